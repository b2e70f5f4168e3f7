"""Do intervals hold where a table lacks much? Tables cut on purpose, and held-out networks predicted from what is left.

    python benchmarks/interpolation_gaps.py

The data are those that `predictor_data.py` recorded; the calibration is the one of `profile`'s 20 networks. Not held
out in every sense: two constants of the interpolation were chosen while these cuts were looked at (LOG, 2026-11-30).
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from _record import record
from predictor_error import GRAPHS, SETS, Data

from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Calibration, LatencyPredictor, LatencyTable

SIZES: dict[str, Callable[[OpSpec], bool]] = {
    "nothing cut": lambda op: True,
    "no input above 56x56": lambda op: op.in_shapes[0][0] <= 56,
    "no input above 28x28": lambda op: op.in_shapes[0][0] <= 28,
    "no input below 28x28": lambda op: op.in_shapes[0][0] >= 28,
    "at most 96 channels": lambda op: max(op.in_shapes[0][2], op.out_channels) <= 96,
    "at least 96 channels": lambda op: max(op.in_shapes[0][2], op.out_channels) >= 96,
    "no kernel above 3x3": lambda op: max(op.kernel_size) <= 3,
    "no kernel of 3x3": lambda op: max(op.kernel_size) != 3,
    "at most 5 million multiply-adds": lambda op: op.macs <= 5e6,
}
KINDS = (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.HARD_SWISH, OpKind.MUL, OpKind.SILU)
KEPT = (0, 3, 8)
"""Rows of a kind that are left."""


def cuts(ops: Iterable[OpSpec]) -> dict[str, list[OpSpec]]:
    """What is left of a table, by the name of the cut."""
    all_ops = list(ops)
    shuffled = [all_ops[i] for i in np.random.default_rng(0).permutation(len(all_ops))]
    found = {name: [op for op in all_ops if keeps(op)] for name, keeps in SIZES.items()}
    found["a tenth, drawn"] = shuffled[: len(all_ops) // 10]
    for kind in KINDS:
        own = [op for op in shuffled if op.kind is kind]
        others = [op for op in all_ops if op.kind is not kind]
        found |= {f"{count} rows of {kind}": [*others, *own[:count]] for count in KEPT}
    return found


def figures(data: Data, calibration: Calibration, left: list[OpSpec], names: list[str]) -> dict[str, float]:
    """Errors and intervals of networks from the ops that are left."""
    table = LatencyTable(data.table.info, {op: data.table[op] for op in left}, (), calibration)
    predictor = LatencyPredictor(table)
    found = [predictor.predict(GRAPHS[name]) for name in names]
    measured = np.array([data.measured_us[name] for name in names])
    low, mid, high = (np.array([getattr(each, f"{end}_us") for each in found]) for end in ("low", "latency", "high"))
    return {
        "networks": len(names),
        "rmspe_percent": round(100 * float(np.sqrt(np.mean((mid / measured - 1) ** 2))), 1),
        "inside_90_percent_interval": round(100 * float(np.mean((low <= measured) & (measured <= high))), 1),
        "median_half_width_percent": round(100 * float(np.median(high / mid - 1)), 1),
        "said_to_be_extrapolated": sum(each.extrapolated for each in found),
    }


def main() -> None:
    rows: dict[str, Any] = {}
    for name in ("float32.1", "int8.1"):
        data = Data(name)
        calibration = data.predictor(data.as_profiled()).table.calibration
        tests = [network for kind in SETS for network in data.test(kind)]
        for cut, left in cuts(data.table.ops).items():
            missing = set(data.table.ops) - set(left)
            concerned = [n for n in tests if not missing or not missing.isdisjoint(GRAPHS[n].op_counts())]
            if concerned:
                rows[f"{name}, {cut}"] = figures(data, calibration, left, concerned)
                print(name, cut, rows[f"{name}, {cut}"], flush=True)
    record("interpolation_gaps", rows)


if __name__ == "__main__":
    main()
