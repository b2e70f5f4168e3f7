"""Sentinel: a model that is timed around others; Visit: what was found beside it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, Self

import numpy as np

from mobilenas import models
from mobilenas.blocks.mbconv import MBConv
from mobilenas.export import random_weights, write_tflite
from mobilenas.graph import GraphBuilder
from mobilenas.runners import MOST_SLOWNESS, Timing

SENTINEL_BLOCK = MBConv(out_channels=24, kernel_size=3, stride=2, expanded_channels=96, activation="relu6")
"""Beside ops: the second block of MobileNetV2, whose activations do not stay in the processor's own cache."""
SENTINEL_NETWORK = "mobilenet_v2"
"""Beside networks: its weights do not stay there either."""
USUAL_PERCENTILE = 10
"""Of a sentinel's timings, what it usually takes: most of a session may be disturbed."""


class Visit(NamedTuple):
    """What one visit of a model found.

    Attributes:
        us: The latency.
        beside_us: What the sentinel took beside it.
        slowness: How many times its best the processor took, as the runner's gate saw; 1 in quiet moments, and where
            there is no gate.
        runs: How many it had, quiet or not.
    """

    us: float
    beside_us: float
    slowness: float
    runs: int

    @classmethod
    def of(cls, timing: Timing) -> Self:
        """A visit by its timing."""
        return cls(timing.latency_us, timing.beside_us, timing.slowness, timing.runs)


@dataclass(slots=True)
class Sentinel:
    """A model that is timed around others, to see whether the device is as it was.

    Attributes:
        name: What it is, for messages.
        write: Gives its file.
        tolerance: How many times its usual time counts as disturbed.
        stride: It is timed again after so many models.
        known_us: Its usual time from an earlier session; 0 if there was none.
        quiet_us, other_us: Timings of this session, in quiet moments of the processor and in others.
    """

    name: str
    write: Callable[[], bytes]
    tolerance: float
    stride: int
    known_us: float = 0.0
    quiet_us: list[float] = field(default_factory=list)
    other_us: list[float] = field(default_factory=list)

    @property
    def session_us(self) -> float:
        """Its usual time in this session; 0 before the first timing."""
        timings_us = self.quiet_us or self.other_us
        return float(np.percentile(timings_us, USUAL_PERCENTILE)) if timings_us else 0.0

    @property
    def usual_us(self) -> float:
        """Its usual time, of an earlier session where there was one."""
        return self.known_us or self.session_us

    @property
    def slowness(self) -> float:
        """How many times its usual time it took in this session, within [0.8, 1.25]; 1 where nobody knows."""
        known = self.session_us and self.known_us
        return min(max(self.session_us / self.known_us, 1 / MOST_SLOWNESS), MOST_SLOWNESS) if known else 1.0

    def remember(self, visits: Iterable[Visit]) -> None:
        """Takes over what it took beside visits that an interrupted session made in quiet moments."""
        self.quiet_us.extend(visit.beside_us for visit in visits if visit.slowness == 1)

    def beside(self, before: Timing, after: Timing, visits: int) -> tuple[float, float]:
        """What it took beside some visits, on average and the slower of the two, had they been in quiet moments.

        Each visit's average is kept, as journals keep it. How much slower it was than in a quiet moment is known for
        the runner's own reference only, which may feel more of what disturbs: the sentinel counts as no faster than
        usual.
        """
        around = (before, after)
        kept = self.quiet_us if before.slowness == after.slowness == 1 else self.other_us
        kept.extend([(before.latency_us + after.latency_us) / 2] * visits)
        found = [t.latency_us if t.slowness == 1 else max(t.latency_us / t.slowness, self.usual_us) for t in around]
        return sum(found) / 2, max(found)


@cache
def block_file() -> bytes:
    """The sentinel of ops."""
    builder = GraphBuilder((112, 112, 16))
    graph = builder.finish(SENTINEL_BLOCK.emit(builder, builder.inputs[0]))
    return write_tflite(graph, random_weights(graph))


@cache
def network_file() -> bytes:
    """The sentinel of networks."""
    graph = models.get(SENTINEL_NETWORK).graph()
    return write_tflite(graph, random_weights(graph))
