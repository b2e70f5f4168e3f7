"""A slow-down in the middle of a profiling run on this machine: is it noticed, and what becomes of the rows?

    python benchmarks/noise.py

Five sessions profile the ops of the MnasNet space, each on its own; they take turns, trip by trip, so that what the
machine does in these minutes is the same for all. Three are undisturbed. In two every inference is 20 % longer half of
the time, as a throttled or shared processor makes it; one of these has neither gate nor sentinel, which shows the
damage. The inferences really last longer: the process that times models spins after each.

A row's truth is the mean of two undisturbed sessions. What the third is off by is what no method can be below.
"""

import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from _record import record

from mobilenas.graph import OpSpec
from mobilenas.latency import LatencyTable, Profiler
from mobilenas.latency.sentinel import Visit
from mobilenas.runners import Device, Failure, Timing, TimingProtocol, _local_transport, undisturbed
from mobilenas.runners._agent_runner import gate_model
from mobilenas.runners._litert_process import LiteRTProcess
from mobilenas.runners._local_transport import LocalTransport
from mobilenas.runners.host import HostRunner, lock_path
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.storage import exclusive

FACTOR, PERIOD_S, SLOW_S = 1.2, 12, 6
"""So much slower for the last `SLOW_S` of every `PERIOD_S` seconds."""
LEAST_US = 5.0
"""Ops below it are left to the clock, and to what looking at it twice an inference costs."""
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


class Turns:
    """A lock that goes round: who has waited longest is next."""

    def __init__(self) -> None:
        self._changed, self._waiting = threading.Condition(), deque[object]()

    @contextmanager
    def turn(self) -> Iterator[None]:
        mine = object()
        with self._changed:
            self._waiting.append(mine)
            self._changed.wait_for(lambda: self._waiting[0] is mine)
        try:
            yield
        finally:
            with self._changed:
                self._waiting.popleft()
                self._changed.notify_all()


class InTurn(HostRunner):
    """A host runner that takes turns with others of this process, which holds the machine's lock for all."""

    def __init__(self, device: Device, turns: Turns, script: Path, gate: bytes) -> None:
        super().__init__(device)
        self._turns, self._script, self._gate = turns, script, gate
        self.has_gate = bool(gate)

    def _open(self, stack: ExitStack) -> LiteRTProcess:
        return LiteRTProcess(LocalTransport(script=self._script), pin=True, gate=self._gate)

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        with self._turns.turn():
            return super().measure(models, protocol)


Session = tuple[LatencyTable, dict[str, float]]


def session(ops: Sequence[OpSpec], open_runner: Callable[[], InTurn], *, blind: bool = False) -> Session:
    """The ops' table, and what it took."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open_runner() as runner:
        device = Device.load("host")
        profiler = Profiler(device=device, dtype="float32", runner=runner, path=Path(folder) / "table.csv")
        estimate, kept = profiler.steady.ops_us, []
        if blind:
            profiler.steady.block.tolerance = float("inf")  # no visit is made again
            estimate = fastest  # nor corrected

        def keep(visits: Sequence[Sequence[Visit]]) -> list[float]:
            kept.extend(visits)
            return estimate(visits)

        profiler.steady.ops_us = keep
        table = profiler.measure(ops)
    return table, {
        **beside_the_sentinel(kept),
        "visits_made_again": profiler.steady.repeated_visits,
        "visits": sum(row.visits for _, row in table.items()),
        "seconds_with_others_turns": round(time.monotonic() - start, 1),
    }


def agent(folder: str, slow_seconds: float) -> Path:
    """The agent whose inferences are longer for the last so many seconds of each period, maybe never."""
    path = Path(folder) / f"slow_for_{slow_seconds}_seconds.py"
    begin = str(int((PERIOD_S - slow_seconds) * 1e9))
    path.write_text(_local_transport.AGENT.read_text().replace("\nif __name__", SLOWED.replace("BEGIN", begin)))
    return path


def fastest(ops: Sequence[Sequence[Visit]]) -> list[float]:
    """What ops take, when nobody knows what was disturbed."""
    return [undisturbed([visit.us for visit in visits]) for visits in ops]


def beside_the_sentinel(ops: Sequence[Sequence[Visit]]) -> dict[str, float]:
    """How ops' quiet visits go with the block timed beside them: logarithms, each op's less their mean."""
    pairs = []
    for visits in ops:
        quiet = [[v.us, v.beside_us] for v in visits if v.slowness == 1 and v.us > LEAST_US]
        if len(quiet) > 1:
            logs = np.log(quiet)
            pairs.extend(logs - logs.mean(axis=0))
    op, sentinel = np.array(pairs).T
    return {
        "quiet_visits": len(pairs),
        "correlation_with_sentinel": round(float(np.corrcoef(op, sentinel)[0, 1]), 2),
        "slope_on_sentinel": round(float(op @ sentinel / (sentinel @ sentinel)), 2),
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
        "median_off_by_percent": round(100 * float(np.median(np.abs(ratios))), 2),
        **within,
        "total_percent": round(100 * total, 2),
    }


def main() -> None:
    ops = sorted(MnasNetSpace(resolution=224).distinct_ops(), key=str)
    device, turns, gate = Device.load("host"), Turns(), gate_model()
    with (
        tempfile.TemporaryDirectory() as folder,
        exclusive(lock_path(), "this machine", wait_seconds=600),
        ThreadPoolExecutor(5) as threads,
    ):
        plain, slowed = agent(folder, 0), agent(folder, SLOW_S)
        undisturbed = [threads.submit(session, ops, lambda: InTurn(device, turns, plain, gate)) for _ in range(3)]
        disturbed = threads.submit(session, ops, lambda: InTurn(device, turns, slowed, gate))
        blind = threads.submit(session, ops, lambda: InTurn(device, turns, slowed, b""), blind=True)
    *truths, repeat = [each.result() for each in undisturbed]
    found = {
        "undisturbed_again": repeat,
        "disturbed": disturbed.result(),
        "disturbed_without_gate_and_sentinel": blind.result(),
    }
    record(
        "noise",
        {
            "slow_down_percent": round(100 * (FACTOR - 1)),
            "slow_seconds": [SLOW_S, PERIOD_S],
            **{
                name: {**difference(table, [truth for truth, _ in truths]), **effort}
                for name, (table, effort) in found.items()
            },
        },
    )


if __name__ == "__main__":
    main()
