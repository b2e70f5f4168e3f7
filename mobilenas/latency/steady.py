"""SteadyRunner: visits that a disturbance spoilt are made again."""

import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mobilenas.errors import DeviceError
from mobilenas.latency.sentinel import SENTINEL_NETWORK, Sentinel, Visit, block_file, network_file
from mobilenas.runners import MOST_SLOWNESS, Failure, Runner, Timing, TimingProtocol, response, undisturbed

OP_DRIFT, NETWORK_DRIFT = 1.05, 1.06
"""A chunk around which the sentinel takes longer than this times its usual time is measured again."""
NOTABLE_DRIFT = 0.04
RETRIES = 3
PATIENCE_SHARE = 0.3
"""What a session spends on retries, besides its runner's patience: a share of what it spent on undisturbed visits.

A device that stays slow is measured as it is, and the user is told.
"""
OP_STRIDE, NETWORK_STRIDE = 32, 2
"""Models between two timings of the sentinel."""
OP_RESPONSE, OP_RESPONSE_BEHIND_A_GATE, NETWORK_RESPONSE = 0.7, 0.5, 1.0
"""With what power models become slower when their sentinel does, as long as their own visits do not tell.

In the quiet moments that a gate finds, it depends on the machine whether ops do. Source: 1,300 quiet visits to ops in
a session on a shared server have slopes of 0.4 to 0.6 on their sentinel and correlations of 0.2 to 0.3
(`benchmarks/noise.py`); on another, where others use the memory more, the correlation is 0.03 (`benchmarks/LOG.md`).
"""
SESSION_RESPONSE = 0.75
"""With what power networks behind a gate become slower, or faster, when their sentinel does for a whole session.

It is the memory and the last cache that others use then, and what comes from there is a tenth to all of a network's
time. Source: of 20 networks on one shared server, whose sentinel was 3 to 8 % faster than the table's in eight sessions
of twelve visits, 98 % of the figures were within 5 % of the table's so, with the powers 0, 0.5 and 1 64, 93 and 91 %;
on another, where others use more of the processor, the powers from 0 to 1 do not differ (`benchmarks/network_repeat.py`
and `benchmarks/LOG.md`, 2026-11-30 and 12-01).
"""
TARGET, TARGET_BEHIND_A_GATE = (
    TimingProtocol(visits=15, runs=200, visit_seconds=0.12),
    TimingProtocol(visits=24, runs=200, visit_seconds=0.08),
)
"""Of files that are held against a target, beside a reference perhaps; a visit to a phone is a trip."""
NETWORK_CHUNK = 8
"""Networks that go to the device in one trip."""


class SteadyRunner:
    """An open runner, watched by two sentinels: a block beside ops and a network beside networks.

    A sentinel is timed between every few models; where it is slow against its usual time, the device was disturbed,
    and after a pause the visits beside it are made again, at most three times. Of all tries of a model the one with
    the fastest sentinel counts, and what the sentinel took stays with it. Networks behind a gate are not visited again
    for that: they have many visits, and of many the fastest tenth tells more.

    Args:
        runner: An open runner.
        block_us, network_us: The sentinels' usual times, as a latency table keeps them; 0 where none does.
        gate_us: The same of the runner's gate.
    """

    def __init__(self, runner: Runner, *, block_us: float = 0.0, network_us: float = 0.0, gate_us: float = 0.0) -> None:
        self.block = Sentinel("a block of mobilenet_v2", block_file, OP_DRIFT, OP_STRIDE, block_us)
        self.network = Sentinel(SENTINEL_NETWORK, network_file, NETWORK_DRIFT, NETWORK_STRIDE, network_us)
        self.repeated_visits = 0
        self._runner = runner
        runner.usual_gate_us = gate_us
        self._patience_seconds = runner.patience.session_seconds

    @property
    def has_gate(self) -> bool:
        """Whether the runner has one: see `Runner.has_gate`."""
        return self._runner.has_gate

    @property
    def target_protocol(self) -> TimingProtocol:
        """How files are timed that are held against a target."""
        return TARGET_BEHIND_A_GATE if self.has_gate else TARGET

    @property
    def gate_us(self) -> float:
        """What the runner's gate usually takes, of an earlier session where there was one."""
        return self._runner.usual_gate_us or self._runner.gate_us

    def measure(self, files: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        """Times whole networks: every file has its first visit before any has its second.

        Args:
            files: TFLite files.
            protocol: How.

        Returns:
            One entry a file, in order.

        Raises:
            DeviceError: If the device is lost.
        """
        once = replace(protocol, visits=1)
        visits: list[list[Timing]] = [[] for _ in files]
        failures: dict[int, Failure] = {}
        for _ in range(protocol.visits):
            due = [i for i in range(len(files)) if i not in failures]
            for start in range(0, len(due), NETWORK_CHUNK):
                chunk = due[start : start + NETWORK_CHUNK]
                for i, timing in zip(chunk, self.visit([files[i] for i in chunk], once, self.network), strict=True):
                    if isinstance(timing, Failure):
                        failures[i] = timing
                    else:
                        visits[i].append(timing)
        found_us = self.networks_us([[Visit.of(timing) for timing in timings] for timings in visits])
        return [failures.get(i) or replace(Timing.merged(visits[i]), latency_us=found_us[i]) for i in range(len(files))]

    def visit(self, files: Sequence[bytes], protocol: TimingProtocol, sentinel: Sentinel) -> list[Timing | Failure]:
        """One visit of each file, made again while `sentinel` says that the device is disturbed.

        Raises:
            DeviceError: If the device is lost, or stays so slow that its runner's patience says it is no use.
        """
        best: list[tuple[float, Timing | Failure] | None] = [None] * len(files)
        due = list(range(len(files)))
        retries = RETRIES
        if self.has_gate and sentinel is self.network:
            protocol, retries = replace(protocol, waits=False), 0
        for attempt in range(retries + 1):
            start = time.monotonic()
            for i, found in zip(due, self._watched([files[i] for i in due], protocol, sentinel), strict=True):
                before = best[i]
                best[i] = found if before is None or found[0] < before[0] else before
            limit_us = sentinel.tolerance * sentinel.usual_us
            disturbed = [i for i in due if (tried := best[i]) and tried[0] > limit_us]
            if not disturbed:
                self._patience_seconds += PATIENCE_SHARE * (time.monotonic() - start)
                break
            if attempt == retries or self._patience_seconds <= 0:
                break
            due = disturbed
            self.repeated_visits += len(due)
            time.sleep(self._runner.patience.pause_seconds * 2**attempt)
            self._patience_seconds -= time.monotonic() - start
        kept = [each for each in best if each is not None]
        self._check_recovered(max((us for us, _ in kept), default=0.0), sentinel)
        return [timing for _, timing in kept]

    def networks_us(self, networks: Sequence[Sequence[Visit]]) -> list[float]:
        """What networks take by their visits; 0 without any.

        Behind a gate the 10th percentile of them, less what the sentinel says of the whole session; elsewhere that of
        the visits that the sentinel did not find disturbed.
        """
        if not self.has_gate:
            return _least_disturbed(networks, _slowness(networks, self.network.usual_us, NETWORK_RESPONSE))
        factor = self.network.slowness**SESSION_RESPONSE
        visits_us = [[v.us / min(v.slowness, MOST_SLOWNESS) for v in seen] for seen in networks]
        return [undisturbed(seen) / factor if seen else 0.0 for seen in visits_us]

    def ops_us(self, ops: Sequence[Sequence[Visit]]) -> list[float]:
        """What ops take by their visits, the cost of starting an inference included; 0 without any.

        Behind a gate that of the visits in quiet moments, each referred to what the sentinel usually takes; elsewhere
        that of the visits that the sentinel did not find disturbed.
        """
        if not self.has_gate:
            return _least_disturbed(ops, _slowness(ops, self.block.usual_us, OP_RESPONSE))
        slowness = _slowness(ops, self.block.usual_us, OP_RESPONSE_BEHIND_A_GATE)
        factors = [np.clip(each, 1 / MOST_SLOWNESS, MOST_SLOWNESS) for each in slowness]
        referred = [
            [v._replace(us=v.us / factor) for v, factor in zip(seen, each, strict=True)]
            for seen, each in zip(ops, factors, strict=True)
        ]
        return _least_disturbed(referred, [[v.slowness for v in seen] for seen in ops])

    def _check_recovered(self, slowest_us: float, sentinel: Sentinel) -> None:
        drift = slowest_us / sentinel.usual_us if sentinel.usual_us else 1.0
        if drift > self._runner.patience.most_drift:
            raise DeviceError(
                f"the device runs {sentinel.name} {100 * (drift - 1):.0f} % slower than usual and does not recover; "
                "let it cool, end what else runs on it, and run this again: it goes on after the last row"
            )

    def drift(self) -> str:
        """In a sentence, how far the device is from what it was when its table was made; empty if it is not."""
        for sentinel in (self.block, self.network):
            if sentinel.known_us and sentinel.session_us:
                change = sentinel.session_us / sentinel.known_us - 1
                if abs(change) > NOTABLE_DRIFT:
                    how = f"{100 * abs(change):.0f} % {'slower' if change > 0 else 'faster'}"
                    return f"the device runs {sentinel.name} {how} than when its latency table was made"
        return ""

    def _watched(
        self, files: Sequence[bytes], protocol: TimingProtocol, sentinel: Sentinel
    ) -> list[tuple[float, Timing | Failure]]:
        """Each file's timing in one trip, after what the slower of the sentinel's timings around it was."""
        around, stride = sentinel.write(), sentinel.stride
        parts = [files[i : i + stride] for i in range(0, len(files), stride)]
        answers = iter(self._runner.measure([around, *(file for part in parts for file in (*part, around))], protocol))
        before = self._checked(next(answers), sentinel)
        found: list[tuple[float, Timing | Failure]] = []
        for part in parts:
            timings = [next(answers) for _ in part]
            after = self._checked(next(answers), sentinel)
            beside_us, slower_us = sentinel.beside(before, after, len(part))
            for timing in timings:
                if isinstance(timing, Timing):
                    found.append((slower_us * timing.slowness, replace(timing, beside_us=beside_us)))
                else:
                    found.append((slower_us, timing))
            before = after
        return found

    @staticmethod
    def _checked(timing: Timing | Failure, sentinel: Sentinel) -> Timing:
        if isinstance(timing, Failure):
            raise DeviceError(f"the device does not run {sentinel.name} ({timing.reason}); check it and run this again")
        return timing


def _slowness(models: Sequence[Sequence[Visit]], usual_us: float, prior: float) -> list[list[float]]:
    """How many times its usual time each model took in each of its visits, as far as a sentinel says.

    The visits themselves tell how models respond to what slows it down.
    """
    if not usual_us:
        return [[1.0] * len(seen) for seen in models]
    power = response((([v.us / v.slowness for v in seen], [v.beside_us for v in seen]) for seen in models), prior)
    return [[(v.beside_us / usual_us) ** power for v in seen] for seen in models]


def _least_disturbed(models: Sequence[Sequence[Visit]], slowness: Sequence[Sequence[float]]) -> list[float]:
    """What each model takes in its least disturbed visits; 0 without any."""
    pairs = zip(models, slowness, strict=True)
    return [undisturbed([v.us for v in seen], factors) if seen else 0.0 for seen, factors in pairs]
