"""A slow-down in the middle of a profiling run on this machine: is it noticed, and what becomes of the rows?

    python benchmarks/noise.py

The ops of the MnasNet space are profiled in turn undisturbed (three times) and with every inference 20 % longer half
of the time, as a throttled or shared processor makes it (twice); then so again without gate and sentinel, which shows
the damage. A row's truth is the mean of the undisturbed runs'; of the other two for one of these themselves. The
inferences really last longer: the process that times models spins after each.
"""

import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _record import record

from mobilenas.graph import OpSpec
from mobilenas.latency import LatencyTable, Profiler
from mobilenas.latency import steady as steady_module
from mobilenas.runners import Device, _local_transport, host, open_runner
from mobilenas.spaces.mnasnet import MnasNetSpace

FACTOR, PERIOD_S, SLOW_S = 1.2, 12, 6
"""So much slower for the last `SLOW_S` of every `PERIOD_S` seconds."""
DISTURBED_RUNS = 2
LEAST_US = 2.0
"""Ops below it are left to the clock."""
SLOWED = f"""
unslowed = bare_invoke

def bare_invoke(interpreter):
    invoke, clock, begin = unslowed(interpreter), time.perf_counter_ns, BEGIN

    def slowed():
        start = clock()
        invoke()
        if start % {PERIOD_S * 10**9} > begin:
            end = start + int({FACTOR} * (clock() - start))
            while clock() < end:
                pass
    return slowed

if __name__"""


@contextmanager
def slowed_agent(slow_seconds: float):
    """The agent whose inferences are longer for so many seconds of each period."""
    plain = _local_transport.AGENT
    begin = int((PERIOD_S - slow_seconds) * 1e9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "agent.py"
        path.write_text(plain.read_text().replace("\nif __name__", SLOWED.replace("BEGIN", str(begin))))
        _local_transport.AGENT = path
        try:
            yield
        finally:
            _local_transport.AGENT = plain


def profile(ops: Sequence[OpSpec], slow_seconds: float = 0.0) -> tuple[LatencyTable, dict[str, float]]:
    """The ops' table, how many visits were made again, and the seconds it took."""
    device, start = Device.load("host"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, slowed_agent(slow_seconds), open_runner(device) as runner:
        profiler = Profiler(device=device, dtype="float32", runner=runner, path=Path(folder) / "table.csv")
        table = profiler.measure(ops)
    return table, {
        "visits_made_again": profiler.steady.repeated_visits,
        "visits": sum(row.visits for _, row in table.items()),
        "seconds": round(time.monotonic() - start, 1),
    }


def difference(table: LatencyTable, others: Sequence[LatencyTable]) -> dict[str, float]:
    """How far rows are from the mean of other tables', in percent."""
    truth = {op: float(np.mean([other[op].latency_us for other in others])) for op, _ in table.items()}
    ratios = np.array([table[op].latency_us / us - 1 for op, us in truth.items() if us > LEAST_US])
    within = {f"rows_within_{p}_percent": round(100 * float(np.mean(np.abs(ratios) <= p / 100)), 1) for p in (2, 3, 5)}
    total = sum(row.latency_us for _, row in table.items()) / sum(truth.values()) - 1
    return {
        "ops": len(ratios),
        "median_percent": round(100 * float(np.median(ratios)), 2),
        "mean_percent": round(100 * float(ratios.mean()), 2),
        **within,
        "total_percent": round(100 * total, 2),
    }


def main() -> None:
    ops = sorted(MnasNetSpace(resolution=224).distinct_ops(), key=str)
    undisturbed, disturbed = [profile(ops)], []
    for _ in range(DISTURBED_RUNS):
        disturbed.append(profile(ops, SLOW_S))
        undisturbed.append(profile(ops))
    steady_module.OP_DRIFT = float("inf")  # neither made again
    steady_module.response = lambda visits, prior: 0.0  # nor corrected
    host.gate_model = lambda: b""
    blind, effort = profile(ops, SLOW_S)
    truths = [table for table, _ in undisturbed]
    record(
        "noise",
        {
            "slow_down_percent": round(100 * (FACTOR - 1)),
            "slow_seconds": [SLOW_S, PERIOD_S],
            "undisturbed": [
                {**difference(table, [other for other in truths if other is not table]), **effort}
                for table, effort in undisturbed
            ],
            "disturbed": [{**difference(table, truths), **effort} for table, effort in disturbed],
            "disturbed_without_gate_and_sentinel": {**difference(blind, truths), **effort},
        },
    )


if __name__ == "__main__":
    main()
