"""Depthwise convolutions of large windows: in the pieces that `lower` writes, and in one piece, timed in turn.

    python benchmarks/large_windows.py [DEVICE]

Single ops on any device (aarch64_emulated counts instructions), and on this machine the networks that have them.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from _record import record

from mobilenas import models
from mobilenas.export import large_windows, lowering, random_weights, write_tflite
from mobilenas.graph import OpGraph, OpKind, OpSpec, single_op
from mobilenas.runners import Device, Failure, Runner, TimingProtocol, open_runner

NETWORKS = ("mixnet_s", "mixnet_m", "proxylessnas_mobile", "proxylessnas_gpu")
OPS = ((28, 120, 7), (14, 240, 9), (14, 576, 7), (56, 72, 7))
"""Height and width, channels, and window."""
DTYPES = ("float32", "int8")
PROTOCOL = TimingProtocol(visits=5, runs=50, visit_seconds=0.15)


@contextmanager
def in_one_piece() -> Iterator[None]:
    """`lower` as it was: one operator of the file's own type."""
    with patch.object(large_windows, "MOST_PIECES", 0), patch.object(lowering, "is_large", lambda spec: False):
        yield


def files(graph: OpGraph) -> list[bytes]:
    """In pieces and in one piece, in each dtype."""
    weights = random_weights(graph)
    found = [write_tflite(graph, weights, dtype=dtype) for dtype in DTYPES]
    with in_one_piece():
        return found + [write_tflite(graph, weights, dtype=dtype) for dtype in DTYPES]


def compare(runner: Runner, name: str, graph: OpGraph) -> dict[str, Any]:
    """What the files of one graph take."""
    took = []
    for timing in runner.measure(files(graph), PROTOCOL):
        if isinstance(timing, Failure):
            sys.exit(f"{name} does not run: {timing.reason}")
        took.append(timing.latency_us)
    pieces, whole = dict(zip(DTYPES, took, strict=False)), dict(zip(DTYPES, took[len(DTYPES) :], strict=True))
    row = {
        "name": name,
        "in_pieces": {dtype: round(us, 1) for dtype, us in pieces.items()},
        "in_one_piece": {dtype: round(us, 1) for dtype, us in whole.items()},
        "pieces_over_one": {dtype: round(pieces[dtype] / whole[dtype], 3) for dtype in DTYPES},
        "int8_over_float32": round(pieces["int8"] / pieces["float32"], 3),
        "int8_over_float32_in_one_piece": round(whole["int8"] / whole["float32"], 3),
    }
    print(row, flush=True)
    return row


def main() -> None:
    device = Device.load(sys.argv[1] if len(sys.argv) > 1 else "host")
    graphs = {}
    for size, channels, window in OPS:
        spec = OpSpec(OpKind.DEPTHWISE_CONV2D, ((size, size, channels),), channels, kernel_size=(window, window))
        graphs[f"{size}x{size}x{channels}, {window}x{window}"] = single_op(spec)
    if device.name == "host":
        graphs |= {name: models.get(name).graph() for name in NETWORKS}
    with open_runner(device) as runner:
        rows = [compare(runner, name, graph) for name, graph in graphs.items()]
        unit = runner.unit.value
    record(f"large_windows.{device.name}", {"unit": unit, "rows": rows})


if __name__ == "__main__":
    main()
