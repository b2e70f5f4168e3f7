"""Few-shot transfer between two phones' tables of blocks, which ProxylessNAS and Once-for-All published."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mobilenas.latency import LatencyPredictor, LatencyTable, MeasuredNetwork, Measurement, TableInfo, transfer
from mobilenas.latency.block_file import BlockEntry, read_block_file
from mobilenas.latency.rate_fit import Sample, fit_rates, predicted_us
from mobilenas.latency.rates import PRIOR

DRAWS = 10
NETWORKS = 200


def phone_transfers(data: Path) -> dict[str, Any]:
    """Blocks of one phone from the prices of work of the other and a few blocks measured anew."""
    phones = {
        "Pixel 1": movable(read_block_file(data / "pixel1_lut" / "mobile_trim.yaml")),
        "Note 10": movable(read_block_file(data / "note10_lut" / "224_lookup_table.yaml")),
    }
    found: dict[str, Any] = {}
    for source, target in (("Pixel 1", "Note 10"), ("Note 10", "Pixel 1")):
        for count in (5, 10, 20):
            rows = [transferred(phones[source], phones[target], count, draw) for draw in range(DRAWS)]
            mean = {key: round(float(np.mean([row[key] for row in rows])), 1) for key in rows[0]}
            found[f"{source} -> {target}, {count} blocks"] = mean
    return found


def movable(entries: Sequence[BlockEntry]) -> list[BlockEntry]:
    return [entry for entry in entries if entry.name.startswith("expanded_conv")]


def transferred(old: Sequence[BlockEntry], new: Sequence[BlockEntry], count: int, draw: int) -> dict[str, float]:
    """Errors in percent: of blocks that were not measured anew, and of networks made of blocks."""
    rng = np.random.default_rng(draw)
    order = rng.permutation(len(new))
    few, rest = [new[i] for i in order[:count]], [new[i] for i in order[count:]]
    theirs = fit_rates(samples_of(old))
    ops = dict.fromkeys(op for entry in (*old, *new) for op in entry.graph.op_counts())
    source = LatencyTable(TableInfo(device="old"), {op: Measurement(theirs.op_us(op)) for op in ops})
    networks = [MeasuredNetwork(entry.name, entry.graph, entry.measurement.latency_us) for entry in few]
    made = transfer(source, TableInfo(device="new"), networks)
    ways = {
        "transfer": LatencyPredictor(made),
        "prices held to the other phone's": predictor_of(samples_of(few), prior=theirs),
        "prices held to the data sheet": predictor_of(samples_of(few), prior=PRIOR),
    }
    old_us = predicted_us(theirs, samples_of(few))
    ratio = float(np.median([entry.measurement.latency_us for entry in few] / old_us))
    plain = LatencyTable(TableInfo(device="new"), {op: Measurement(ratio * theirs.op_us(op)) for op in ops})
    ways["one factor"] = LatencyPredictor(plain)
    share = re.search(r"for (\d+) % from a phone's data sheet", made.info.source)
    found = {"transfer: weight of the data sheet, percent": float(share[1]) if share else 0.0}
    for name, predictor in ways.items():
        predicted = {entry.name: 1e3 * predictor.predict(entry.graph).ms for entry in new}
        taken = {entry.name: entry.measurement.latency_us for entry in new}
        off = [predicted[entry.name] / taken[entry.name] - 1 for entry in rest]
        found[f"{name}: blocks, rmspe_percent"] = 100 * float(np.sqrt(np.mean(np.square(off))))
        sums = [
            sum(number * predicted[block] for block, number in network.items())
            / sum(number * taken[block] for block, number in network.items())
            - 1
            for network in random_networks(new, draw)
        ]
        found[f"{name}: networks, rmspe_percent"] = 100 * float(np.sqrt(np.mean(np.square(sums))))
    return found


def predictor_of(samples: Sequence[Sample], *, prior: Any) -> LatencyPredictor:
    return LatencyPredictor(LatencyTable(TableInfo(device="new"), rates=fit_rates(samples, prior=prior)))


def samples_of(entries: Sequence[BlockEntry]) -> list[Sample]:
    return [Sample(entry.graph.op_counts(), entry.measurement.latency_us) for entry in entries]


def random_networks(entries: Sequence[BlockEntry], draw: int) -> list[Counter[str]]:
    """Networks of the blocks' space: at every place one of the blocks that fit, residual ones up to three times."""
    rng = np.random.default_rng(1000 + draw)
    by_place: dict[str, list[str]] = {}
    for entry in entries:
        by_place.setdefault("-".join(re.findall(r"(?:input|output|idskip):[^-]*", entry.name)), []).append(entry.name)
    found = []
    for _ in range(NETWORKS):
        network: Counter[str] = Counter()
        for place, names in by_place.items():
            repeats = int(rng.integers(1, 4)) if place.endswith("idskip:1") else 1
            network.update(rng.choice(names, size=repeats).tolist())
        found.append(network)
    return found
