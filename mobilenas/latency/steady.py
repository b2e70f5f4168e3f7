"""SteadyRunner: visits that a disturbance spoilt are made again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

from mobilenas import models
from mobilenas.errors import DeviceError
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import Failure, Runner, Timing, TimingProtocol

SENTINEL_OP = OpSpec(OpKind.CONV2D, ((28, 28, 120),), 40)
SENTINEL_NETWORK = "mobilenet_v2"
"""Its weights do not stay in the processor's own cache: it feels what others do to the memory; a single op does not."""
OP_DRIFT, NETWORK_DRIFT = 1.05, 1.06
"""A chunk around which the sentinel takes longer than this times its usual time is measured again."""
USUAL_PERCENTILE = 10
"""Of a sentinel's timings, what it usually takes: most of a session may be disturbed."""
NOTABLE_DRIFT = 0.04
RETRIES = 3
PAUSE_SECONDS = 0.2
"""Wait before the first retry; it doubles with each."""
PATIENCE_SECONDS, PATIENCE_SHARE = 5.0, 0.3
"""What a session spends on retries: seconds, and a share of what it spent on visits that were not disturbed.

A device that stays slow is measured as it is, and the user is told.
"""
NETWORK_CHUNK = 8
"""Networks that go to the device in one trip; a sentinel costs as much as one of them."""


@dataclass(slots=True)
class Sentinel:
    """A model that is timed around others, to see whether the device is as it was.

    Attributes:
        name: What it is, for messages.
        write: Gives its file.
        tolerance: How many times its usual time counts as disturbed.
        known_us: Its usual time from an earlier session; 0 if there was none.
        timings_us: Of this session.
    """

    name: str
    write: Callable[[], bytes]
    tolerance: float
    known_us: float = 0.0
    timings_us: list[float] = field(default_factory=list)

    @property
    def session_us(self) -> float:
        """Its usual time in this session; 0 before the first timing."""
        return float(np.percentile(self.timings_us, USUAL_PERCENTILE)) if self.timings_us else 0.0

    @property
    def usual_us(self) -> float:
        """Its usual time, of an earlier session where there was one."""
        return self.known_us or self.session_us


class SteadyRunner:
    """An open runner, watched by two sentinels: a compute-bound op and a network that uses the memory.

    A sentinel is timed before and after each chunk of models; where it is slow against its usual time, the device was
    disturbed, and after a pause the chunk's visits are made again, at most three times. Of all tries the one with the
    fastest sentinel counts.

    Args:
        runner: An open runner.
        op_us, network_us: The sentinels' usual times, as a latency table keeps them; 0 where none does.
    """

    def __init__(self, runner: Runner, *, op_us: float = 0.0, network_us: float = 0.0) -> None:
        self.op = Sentinel("a convolution", _op_file, OP_DRIFT, op_us)
        self.network = Sentinel(SENTINEL_NETWORK, _network_file, NETWORK_DRIFT, network_us)
        self.repeated_chunks = 0
        self._runner = runner
        self._patience_seconds = PATIENCE_SECONDS

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
        return [failures.get(i) or Timing.merged(visits[i]) for i in range(len(files))]

    def visit(self, files: Sequence[bytes], protocol: TimingProtocol, sentinel: Sentinel) -> list[Timing | Failure]:
        """One visit of each file, made again while `sentinel` says that the device is disturbed.

        Raises:
            DeviceError: If the device is lost.
        """
        best_us, best = np.inf, list[Timing | Failure]()
        for attempt in range(RETRIES + 1):
            start = time.monotonic()
            slower_us, timings = self._watched(files, protocol, sentinel)
            if slower_us < best_us:
                best_us, best = slower_us, timings
            if slower_us <= sentinel.tolerance * sentinel.usual_us:
                self._patience_seconds += PATIENCE_SHARE * (time.monotonic() - start)
                break
            if attempt == RETRIES or self._patience_seconds <= 0:
                break
            self.repeated_chunks += 1
            time.sleep(PAUSE_SECONDS * 2**attempt)
            self._patience_seconds -= time.monotonic() - start
        return best

    def drift(self) -> str:
        """In a sentence, how far the device is from what it was when its table was made; empty if it is not."""
        for sentinel in (self.op, self.network):
            if sentinel.known_us and sentinel.timings_us:
                change = sentinel.session_us / sentinel.known_us - 1
                if abs(change) > NOTABLE_DRIFT:
                    how = f"{100 * abs(change):.0f} % {'slower' if change > 0 else 'faster'}"
                    return f"the device runs {sentinel.name} {how} than when its latency table was made"
        return ""

    def _watched(
        self, files: Sequence[bytes], protocol: TimingProtocol, sentinel: Sentinel
    ) -> tuple[float, list[Timing | Failure]]:
        around = sentinel.write()
        first, *timings, last = self._runner.measure([around, *files, around], protocol)
        if isinstance(first, Failure) or isinstance(last, Failure):
            reason = first.reason if isinstance(first, Failure) else last.reason if isinstance(last, Failure) else ""
            raise DeviceError(f"the device does not run {sentinel.name} ({reason}); check it and run this again")
        sentinel.timings_us += [first.latency_us, last.latency_us]
        return max(first.latency_us, last.latency_us), timings


@cache
def _op_file() -> bytes:
    return write_micro_model(SENTINEL_OP)


@cache
def _network_file() -> bytes:
    graph = models.get(SENTINEL_NETWORK).graph()
    return write_tflite(graph, random_weights(graph))
