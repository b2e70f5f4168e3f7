"""Is int8 faster than float32? Every published network in both, in turn; of those where it is not, op by op.

    python benchmarks/int8_speed.py [--device DEVICE] [--most-mmacs MILLIONS] [NETWORK ...]

Networks whose dtypes are nearer than a tenth are timed again with more visits. An op's latency is that of a file that
holds nothing else. aarch64_emulated counts instructions, which are no time, but are the same on every machine.
"""

import argparse
import sys
from typing import Any

from _record import record
from converters import ratio

from mobilenas import models
from mobilenas.export import random_weights, write_tflite
from mobilenas.graph import OpGraph, OpSpec, single_op
from mobilenas.runners import Device, Failure, Runner, Timing, TimingProtocol, open_runner

DTYPES = ("float32", "int8")
QUICK = TimingProtocol(visits=7, runs=100, visit_seconds=0.15)
CLOSE = TimingProtocol(visits=25, runs=200, visit_seconds=0.2)
OPS = TimingProtocol(visits=5, runs=100, visit_seconds=0.03)
CLOSER_THAN = 0.9
"""What int8 over float32 must exceed for more visits."""
SHOWN_OPS = 12


def both(runner: Runner, graphs: list[OpGraph], protocol: TimingProtocol) -> list[tuple[Timing, Timing]]:
    """Timings of each graph in float32 and in int8, which are timed in turn."""
    files = [write_tflite(graph, random_weights(graph), dtype=dtype) for graph in graphs for dtype in DTYPES]
    timings = runner.measure(files, protocol)
    for timing in timings:
        if isinstance(timing, Failure):
            sys.exit(f"a file does not run: {timing.reason}")
    return list(zip(timings[::2], timings[1::2], strict=True))


def op_profile(runner: Runner, graph: OpGraph) -> list[dict[str, Any]]:
    """What int8 takes more or less than float32 in each distinct op, the worst first."""
    counts = graph.op_counts()
    rows = []
    for (spec, count), (exact, quantized) in zip(
        counts.items(), both(runner, [single_op(spec) for spec in counts], OPS), strict=True
    ):
        rows.append(
            {
                "op": describe(spec),
                "count": count,
                "float32": round(count * exact.latency_us, 1),
                "int8": round(count * quantized.latency_us, 1),
            }
        )
    return sorted(rows, key=lambda row: row["float32"] - row["int8"])


def describe(spec: OpSpec) -> str:
    """An op in a few words."""
    shapes = "+".join("x".join(map(str, shape)) for shape in spec.in_shapes)
    window = f" {spec.kernel_size[0]}x{spec.kernel_size[1]}/{spec.stride[0]}" if spec.kernel_size != (1, 1) else ""
    return f"{spec.kind}{window} {shapes} to {spec.out_channels}"


def compare(runner: Runner, name: str) -> dict[str, Any]:
    """One network, and its ops where int8 is no faster."""
    graph = models.get(name).graph()
    ((exact, quantized),) = both(runner, [graph], QUICK)
    if ratio(quantized, exact) > CLOSER_THAN:
        ((exact, quantized),) = both(runner, [graph], CLOSE)
    row = {
        "network": name,
        "float32": round(exact.latency_us, 1),
        "int8": round(quantized.latency_us, 1),
        "int8_over_float32": ratio(quantized, exact),
        "visits": exact.visits,
        "delegates": [exact.delegates, quantized.delegates],
    }
    print(row, flush=True)
    if row["int8_over_float32"] >= 1:
        profile = op_profile(runner, graph)
        row["ops"] = profile[:SHOWN_OPS]
        row["all_ops"] = {dtype: round(sum(op[dtype] for op in profile), 1) for dtype in DTYPES}
    return row


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="host")
    parser.add_argument("--most-mmacs", type=float, default=float("inf"), help="leave larger networks out")
    parser.add_argument("networks", nargs="*", metavar="NETWORK")
    wanted = parser.parse_args()
    macs = {name: models.get(name).graph().macs for name in wanted.networks or models.names()}
    names = sorted((name for name in macs if macs[name] <= 1e6 * wanted.most_mmacs), key=lambda name: macs[name])
    device = Device.load(wanted.device)
    with open_runner(device) as runner:
        rows = [compare(runner, name) for name in names]
        unit = runner.unit.value
    slower = [row["network"] for row in rows if row["int8_over_float32"] >= 1]
    named = [device.name] if device.name != "host" else []
    record(
        ".".join(["int8_speed", *named, *wanted.networks]),
        {"networks": len(rows), "unit": unit, "int8_not_faster": slower, "rows": rows},
    )


if __name__ == "__main__":
    main()
