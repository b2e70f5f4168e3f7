"""A slow-down in the middle of a profiling run on this machine: is it noticed, and what becomes of the rows?

    python benchmarks/noise.py

The same 300 ops are profiled three times: twice undisturbed and once with every timing 20 % longer for most of the
first half (from the first second to the fifth), as a throttled or shared processor makes it. A fourth run, without the
sentinel, shows the damage.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from _record import record

from mobilenas.graph import OpSpec
from mobilenas.latency import LatencyTable, Profiler, SteadyRunner, profiling
from mobilenas.latency import steady as steady_module
from mobilenas.runners import Device, Failure, Timing, TimingProtocol
from mobilenas.runners.host import HostRunner
from mobilenas.spaces.mnasnet import MnasNetSpace

FACTOR, EPISODES_S = 1.2, ((1.0, 5.0),)


class DisturbedRunner(HostRunner):
    """The host, slowed down while an episode lasts."""

    start = 0.0

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        now = time.monotonic() - self.start
        factor = FACTOR if any(begin <= now < end for begin, end in EPISODES_S) else 1.0
        timings = super().measure(models, protocol)
        return [
            t
            if isinstance(t, Failure)
            else replace(t, latency_us=factor * t.latency_us, visit_us=tuple(factor * us for us in t.visit_us))
            for t in timings
        ]


def profile(ops: Sequence[OpSpec], runner_type: type[HostRunner]) -> tuple[LatencyTable, SteadyRunner]:
    device = Device.load("host")
    with tempfile.TemporaryDirectory() as folder, runner_type(device) as runner:
        profiler = Profiler(device=device, dtype="float32", runner=runner, path=Path(folder) / "table.csv")
        if isinstance(runner, DisturbedRunner):
            runner.start = time.monotonic()
        return profiler.measure(ops), profiler.steady


def difference(table: LatencyTable, truth: LatencyTable, least_us: float = 2.0) -> dict[str, float]:
    """How far rows are from the undisturbed ones, in percent; ops below two microseconds are left to the clock."""
    ratios = np.array(
        [table[op].latency_us / row.latency_us - 1 for op, row in truth.items() if row.latency_us > least_us]
    )
    return {
        "ops": len(ratios),
        "mean_percent": round(100 * float(ratios.mean()), 2),
        "rows_within_2_percent": round(100 * float(np.mean(np.abs(ratios) <= 0.02)), 1),
        "total_percent": round(
            100 * (sum(table[op].latency_us for op in truth) / sum(row.latency_us for row in truth.values()) - 1), 2
        ),
    }


def main() -> None:
    ops = sorted(MnasNetSpace(resolution=224).distinct_ops(), key=str)
    ops = [ops[i] for i in np.random.default_rng(0).permutation(len(ops))[:300]]
    truth, _ = profile(ops, HostRunner)
    again, _ = profile(ops, HostRunner)
    disturbed, steady = profile(ops, DisturbedRunner)
    steady_module.OP_DRIFT, profiling.OP_RESPONSE = float("inf"), 0.0  # neither made again nor corrected
    blind, _ = profile(ops, DisturbedRunner)
    record(
        "noise",
        {
            "slow_down_percent": round(100 * (FACTOR - 1)),
            "undisturbed_repeat": difference(again, truth),
            "disturbed": {**difference(disturbed, truth), "chunks_measured_again": steady.repeated_visits},
            "disturbed_without_sentinel": difference(blind, truth),
        },
    )


if __name__ == "__main__":
    main()
