"""Predictors fitted and tested on the networks that `predictor_data.py` measured.

    python benchmarks/predictor_error.py errors      # ours, and what one would try instead, on held-out networks
    python benchmarks/predictor_error.py errors xeon.float32.1    # of another record
    python benchmarks/predictor_error.py choice      # which ops to measure: chosen against drawn at random
    python benchmarks/predictor_error.py transfer    # float32 -> int8, one thread -> two, from few networks and ops
    python benchmarks/predictor_error.py transfer float32.aarch64_emulated    # microseconds -> instructions
    python benchmarks/predictor_error.py transfer xeon.float32.2    # of another machine's record, from xeon.float32.1
    python benchmarks/predictor_error.py footprint   # what share of weights counts that are used once
    python benchmarks/predictor_error.py phones      # Pixel 1 <-> Note 10, blocks that others measured

No network named held, fresh or odd takes part in any fit. `phones` reads the tables in the folder of
MOBILENAS_TEST_DATA.
"""

import csv
import gzip
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from _phone_blocks import phone_transfers
from _record import RESULTS, record
from predict_and_measure import kendall_tau
from predictor_data import networks

from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency import (
    TRANSFER_OPS,
    Calibration,
    CalibrationNetwork,
    LatencyPredictor,
    LatencyTable,
    MeasuredNetwork,
    Measurement,
    next_ops,
    telling_ops,
    transfer,
)
from mobilenas.latency.calibration_set import few_networks, networks_for
from mobilenas.latency.support import support_ops
from mobilenas.spaces.mnasnet import MnasNetSpace

DRAWS = 10
GRAPHS = networks(40, 120, 120, 60)
SETS = {
    "held": "120 samples of the MnasNet space at 224 px: all of their ops are among those of profile",
    "fresh": "120 MnasNet-like files of strangers",
    "odd": "60 pruned or odd ones, 128-288 px, 10-1000 classes",
}
Predict = Callable[[str], tuple[float, float]]
"""Latency in microseconds and half the width of the 90 % interval, by a network's name."""


class Data:
    """One recorded table: ops, networks to fit and networks to test."""

    def __init__(self, name: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.csv"
            path.write_bytes(gzip.decompress((RESULTS / f"predictor_data.{name}.csv.gz").read_bytes()))
            self.table = LatencyTable.load(path)
        self.measured_us = {n.name: n.measured_us + self.table.info.overhead_us for n in self.table.networks}
        self.to_fit = [n for n in self.table.networks if n.name.startswith(("published", "space"))]

    def test(self, kind: str) -> list[str]:
        return [n.name for n in self.table.networks if n.name.startswith(kind)]

    def drawn(self, count: int, draw: int) -> list[CalibrationNetwork]:
        """Some of the networks to fit."""
        return drawn(self.to_fit, count, draw)

    def as_profiled(self) -> list[CalibrationNetwork]:
        """Those that `profile` takes, as far as they were recorded."""
        names = {recorded(name) for name in networks_for(MnasNetSpace(resolution=224))}
        return [n for n in self.to_fit if n.name in names]

    def predictor(self, to_fit: Iterable[CalibrationNetwork], rows: Iterable[Any] | None = None) -> LatencyPredictor:
        """Ours, calibrated on some networks; `rows` are the ops that count as measured."""
        kept = dict(self.table) if rows is None else {op: self.table[op] for op in rows}
        predictor = LatencyPredictor(LatencyTable(self.table.info, kept, calibration=Calibration()))
        fitted = [
            CalibrationNetwork.of(
                n.name,
                GRAPHS[n.name],
                lambda op: predictor.op_latency(op).latency_us,
                dtype=self.table.info.dtype,
                measured_us=n.measured_us,
            )
            for n in to_fit
        ]
        return LatencyPredictor(LatencyTable(self.table.info, kept, tuple(fitted)))


def drawn(networks: Sequence[CalibrationNetwork], count: int, draw: int) -> list[CalibrationNetwork]:
    return [networks[i] for i in np.random.default_rng(draw).permutation(len(networks))[:count]]


def recorded(name: str) -> str:
    """What `predictor_data.py` calls a network of `profile`'s; it has the ones at 112 pixels at 128."""
    return f"space#{name}" if "#" in name else f"published#{name}".replace("@112", "@128")


def op_sum(predictor: LatencyPredictor, graph: OpGraph) -> float:
    return sum(count * predictor.op_latency(op).latency_us for op, count in graph.op_counts().items())


def figures(data: Data, kind: str, predict: Predict) -> dict[str, float]:
    names = data.test(kind)
    predicted, half = np.transpose([predict(name) for name in names])
    measured = np.array([data.measured_us[name] for name in names])
    errors = predicted / measured - 1
    found = {
        "networks": len(names),
        "rmspe_percent": 100 * np.sqrt(np.mean(errors**2)),
        "mape_percent": 100 * np.mean(np.abs(errors)),
        "bias_percent": 100 * np.mean(errors),
        "within_5_percent": 100 * np.mean(np.abs(errors) <= 0.05),
        "within_10_percent": 100 * np.mean(np.abs(errors) <= 0.10),
        "worst_percent": 100 * np.abs(errors).max(),
    }
    if half.any():
        found["inside_90_percent_interval"] = 100 * np.mean(np.abs(predicted - measured) <= half)
        found["median_half_width_percent"] = 100 * np.median(half / predicted)
    return {key: round(float(value), 2) for key, value in found.items()} | {
        "kendall_tau": round(kendall_tau(predicted, measured), 3)
    }


def ours(predictor: LatencyPredictor) -> Predict:
    return lambda name: predictor.predict_us(predictor.prepare(GRAPHS[name]))


def fitted_line(data: Data, size: Callable[[str], float], count: int, offset: bool) -> Predict:
    """Latency = a * size (+ c), by least squares on relative errors of `count` networks."""
    names = [n.name for n in data.drawn(count, 0)]
    sizes, measured = np.array([size(n) for n in names]), np.array([data.measured_us[n] for n in names])
    columns = [sizes, np.ones_like(sizes)] if offset else [sizes]
    solution = np.linalg.lstsq(np.stack(columns, 1) / measured[:, None], np.ones(len(names)), rcond=None)[0]
    return lambda name: (float(solution[0] * size(name) + (solution[1] if offset else 0.0)), 0.0)


def block_sums(data: Data, name: str) -> dict[str, list[Predict]]:
    """A line through sums of blocks that were measured as such, where `predictor_blocks.py` did."""
    path = RESULTS / f"predictor_blocks.{name}.csv.gz"
    if not path.exists():
        return {}
    with gzip.open(path, "rt", newline="") as file:
        sums = {row["network"]: float(row["block_sum_us"]) for row in csv.DictReader(file)}
    return {"sum of blocks, affine, 20 networks": [fitted_line(data, lambda n: sums[n], 20, True)]}


def errors(name: str) -> None:
    """Ours and the baselines on one recorded table."""
    data = Data(name)
    space_ops = [op for op in MnasNetSpace(resolution=224).distinct_ops() if op in data.table]
    profiled = dict.fromkeys(
        [*space_ops, *support_ops(), *(op for n in data.to_fit[:20] for op in GRAPHS[n.name].op_counts())]
    )
    sums = {n.name: n.op_sum_us for n in data.table.networks}
    methods: dict[str, list[Predict]] = {
        "MACs, linear, 40 networks": [fitted_line(data, lambda n: GRAPHS[n].macs, 40, True)],
        "sum of ops": [lambda n: (sums[n], 0.0)],
        "sum of ops, affine, 20 networks": [fitted_line(data, lambda n: sums[n], 20, True)],
        **block_sums(data, name),
        **{
            f"ours, {n} networks": [ours(data.predictor(data.drawn(n, draw))) for draw in range(DRAWS)]
            for n in (5, 10, 20, 40)
        },
        f"ours, the {len(data.as_profiled())} networks that profile takes": [ours(data.predictor(data.as_profiled()))],
        "ours, 20 networks, missing ops interpolated": [ours(data.predictor(data.drawn(20, 0), rows=profiled))],
    }
    found = {
        kind: {method: mean_figures(data, kind, predictors) for method, predictors in methods.items()}
        for kind in SETS
        if data.test(kind)
    }
    record(f"predictor_error.{name}", {"sets": SETS, "ops_profiled": len(profiled), "draws": DRAWS, **found})


def mean_figures(data: Data, kind: str, predictors: Sequence[Predict]) -> dict[str, float]:
    """Figures averaged over draws of the networks to fit; `worst_percent` is that of all draws."""
    rows = [figures(data, kind, predict) for predict in predictors]
    found = {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
    return found | {"worst_percent": max(row["worst_percent"] for row in rows)}


def footprint(names: Sequence[str]) -> None:
    """Ours, from the networks that `profile` takes, by what share weights count that are used once an inference."""
    found: dict[str, Any] = {}
    for name in names:
        data = Data(name)
        for share in (1.0, 0.75, 0.5, 0.25):
            with patch("mobilenas.latency.footprint.STREAMED_SHARE", share):
                predict = ours(data.predictor(data.as_profiled()))
                found[f"{name}, {share}"] = {kind: figures(data, kind, predict) for kind in SETS if data.test(kind)}
    record("predictor_footprint", found)


def choice(splits: int = 10) -> None:
    """Error of networks' sums with a tenth, a fifth and three tenths of the ops measured."""
    data = Data("float32.1")
    fresh, rows = data.test("fresh"), []
    for split in range(splits):
        rng = np.random.default_rng(split)
        order = [fresh[i] for i in rng.permutation(len(fresh))]
        population, tests = [GRAPHS[n].op_counts() for n in order[: len(order) // 2]], order[len(order) // 2 :]
        pool = list(dict.fromkeys(op for counts in population for op in counts))
        drawn = [pool[i] for i in rng.permutation(len(pool))]
        chosen: dict[Any, float] = {}
        for share in (0.1, 0.2, 0.3):
            budget = int(share * len(pool))
            while len(chosen) < budget:
                batch = next_ops(population, pool, chosen, budget - len(chosen))
                chosen |= {op: data.table[op].latency_us for op in batch}
            own, random = sum_error(data, chosen, tests), sum_error(data, drawn[:budget], tests)
            rows.append({"split": split, "share": share, "chosen": own, "random": random})
            print(rows[-1], flush=True)
    summary = {}
    for share in (0.1, 0.2, 0.3):
        pairs = np.array([[r["chosen"], r["random"]] for r in rows if r["share"] == share])
        summary[str(share)] = {
            "chosen_mean": round(float(pairs[:, 0].mean()), 2),
            "chosen_sd": round(float(pairs[:, 0].std()), 2),
            "random_mean": round(float(pairs[:, 1].mean()), 2),
            "random_sd": round(float(pairs[:, 1].std()), 2),
            "chosen_better": f"{int((pairs[:, 0] < pairs[:, 1]).sum())} of {len(pairs)}",
        }
    record("predictor_choice", {"rmspe_percent_of_sums_of_60_networks_not_seen": summary, "splits": rows})


def sum_error(data: Data, measured: Iterable[Any], tests: Sequence[str]) -> float:
    rows = {op: Measurement(data.table[op].latency_us) for op in measured}
    predictor = LatencyPredictor(LatencyTable(data.table.info, rows, calibration=Calibration()))
    true = {n.name: n.op_sum_us for n in data.table.networks}
    relative = [op_sum(predictor, GRAPHS[name]) / true[name] - 1 for name in tests]
    return round(100 * float(np.sqrt(np.mean(np.square(relative)))), 2)


def telling(source: Data) -> list[OpSpec]:
    """The ops that a transfer from a recorded table measures."""
    table = source.predictor(source.as_profiled()).table
    return telling_ops(table, [GRAPHS[n.name] for n in source.to_fit], TRANSFER_OPS)


def transfers(names: Sequence[str], machine: str) -> None:
    """From a machine's float32 with one thread to other tables: few networks, drawn several times, a few ops.

    The source is what `profile` makes: a table that is calibrated on 20 networks, none of those that are tested.
    """
    source = Data(f"{machine}float32.1")
    table = source.predictor(source.as_profiled()).table
    chosen_ops = telling(source)
    taken = {recorded(name) for name in few_networks(MnasNetSpace(resolution=224), 10)}
    found: dict[str, Any] = {}
    for name in names:
        if not (RESULTS / f"predictor_data.{name}.csv.gz").exists():
            print(f"{name}: not recorded; run predictor_data.py")
            continue
        target = Data(name)
        own_ops = list(target.table) if len(target.table) <= TRANSFER_OPS else chosen_ops  # made with --telling
        known = [n for n in target.to_fit if n.name in source.measured_us]
        tests = [n for kind in SETS for n in target.test(kind)]
        as_taken = [n for n in known if n.name in taken]
        draws = {count: [drawn(known, count, draw) for draw in range(DRAWS)] for count in (5, 10, 20)}
        for label, choices, ops in (
            ("5 networks and 80 ops", draws[5], TRANSFER_OPS),
            ("10 networks and 0 ops", draws[10], 0),
            ("10 networks and 80 ops", draws[10], TRANSFER_OPS),
            (f"the {len(as_taken)} networks and 80 ops that profile --from takes", [as_taken], TRANSFER_OPS),
            ("20 networks and 80 ops", draws[20], TRANSFER_OPS),
        ):
            op_us = {op: target.table[op].latency_us for op in own_ops[:ops]}
            rows = []
            for chosen in choices:
                measured = [MeasuredNetwork(n.name, GRAPHS[n.name], target.measured_us[n.name]) for n in chosen]
                predict = ours(LatencyPredictor(transfer(table, target.table.info, measured, op_us)))
                rows.append(
                    [
                        relative_error(target, tests, predict),
                        relative_error(target, tests, one_factor(source, measured)),
                        inside(target, tests, predict),
                    ]
                )
            mean, worst = np.mean(rows, axis=0), np.max(rows, axis=0)
            found[f"{machine}float32.1 -> {name}, {label}"] = {
                "networks_tested": len(tests),
                "rmspe_percent": round(float(mean[0]), 2),
                "rmspe_percent_worst_draw": round(float(worst[0]), 2),
                "one_factor_rmspe_percent": round(float(mean[1]), 2),
                "inside_90_percent_interval": round(float(mean[2]), 1),
            }
            print(name, label, list(found.values())[-1], flush=True)
    record(f"predictor_transfer.{names[0]}" if len(names) == 1 else "predictor_transfer", {"draws": DRAWS, **found})


def one_factor(source: Data, measured: Sequence[MeasuredNetwork]) -> Predict:
    """The source's predictor times the median ratio of what was measured."""
    old = source.predictor(source.drawn(20, 0))
    ratio = np.median([network.latency_us / old.predict(network.graph).ms for network in measured])
    return lambda name: (float(ratio * old.predict(GRAPHS[name]).ms), 0.0)


def relative_error(data: Data, names: Sequence[str], predict: Predict) -> float:
    return 100 * float(np.sqrt(np.mean([(predict(n)[0] / data.measured_us[n] - 1) ** 2 for n in names])))


def inside(data: Data, names: Sequence[str], predict: Predict) -> float:
    return 100 * float(np.mean([abs(predict(n)[0] - data.measured_us[n]) <= predict(n)[1] for n in names]))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["errors", *names]:
            for each in names or ("float32.1", "int8.1"):
                errors(each)
        case ["choice"]:
            choice()
        case ["transfer", *names]:
            of_machines = {name.removesuffix(".float32.2") for name in names if name.endswith(".float32.2")}
            transfers(names or ["int8.1", "float32.2"], f"{of_machines.pop()}." if of_machines else "")
        case ["footprint", *names]:
            footprint(names or ("float32.1", "int8.1", "xeon.float32.1"))
        case ["phones"]:
            record("predictor_transfer.phones", phone_transfers(Path(os.environ["MOBILENAS_TEST_DATA"])))
        case _:
            sys.exit(__doc__)
