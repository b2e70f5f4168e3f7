"""How a model is timed, and what comes out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.settings import Settings, check

UNDISTURBED_PERCENTILE = 10


@dataclass(frozen=True, kw_only=True)
class TimingProtocol(Settings):
    """Visits interleaved over time, a percentile of each.

    A visit loads the model afresh, warms up and runs it. A model's value is the 10th percentile over its visits of the
    lower quartile of the visit's runs: means are useless, since preemption makes single runs arbitrarily long, and
    disturbances only ever add.

    Attributes:
        visits: Visits a model; between two of them every other model of the batch has its turn.
        runs: Timed runs a visit.
        visit_seconds: A visit ends after this time even if `runs` are not done, but never before five runs.
        warmup_runs: Runs before the timed ones.
        timeout_seconds: A visit that takes longer is a hang: the model fails.

    Source: repeats within 0.1-0.4 % for an op on a shared server; see docs/measuring.md.
    """

    visits: int = 3
    runs: int = 40
    visit_seconds: float = 0.05
    warmup_runs: int = 3
    timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        check(self.visits >= 1, "visits", self.visits, "a whole number from 1")
        check(self.runs >= 5, "runs", self.runs, "a whole number from 5")
        check(0 < self.visit_seconds <= 600, "visit_seconds", self.visit_seconds, "seconds above 0, at most 600")
        check(self.warmup_runs >= 0, "warmup_runs", self.warmup_runs, "a whole number from 0")
        check(self.timeout_seconds > 0, "timeout_seconds", self.timeout_seconds, "seconds above 0")


def undisturbed(visits: Sequence[float] | npt.NDArray[np.float64]) -> float:
    """What a model takes when nothing disturbs it: the 10th percentile over its visits.

    On a shared server whose memory another process kept busy, networks' medians rose by 8.6 % (standard deviation over
    ten networks 2.9 %), lower quartiles by 8.4 % (3.1 %), 10th percentiles by 3.4 % (1.5 %).
    """
    return float(np.percentile(visits, UNDISTURBED_PERCENTILE))


@dataclass(frozen=True, slots=True)
class Timing:
    """What one model took.

    Attributes:
        latency_us: `undisturbed(visit_us)`, in `unit`.
        spread_us: Half the range between the quartiles of `visit_us`: how far visits differ.
        p10_us, p90_us: 10th and 90th percentile of a visit's runs: over the visits the 10th percentile of the one and
            the 90th of the other.
        runs, visits: How many there were.
        delegates: Partitions that the runtime gave to a delegate; 1 is what one wants.
        visit_us: The 25th percentile of each visit, in time order.
        unit: "us"; an emulated device counts "instructions".
    """

    latency_us: float
    spread_us: float
    p10_us: float
    p90_us: float
    runs: int
    visits: int
    delegates: int
    visit_us: tuple[float, ...]
    unit: str = "us"

    @classmethod
    def from_visits(cls, visits: Sequence[Sequence[float]], delegates: int) -> "Timing":
        """Summarises the runs of all visits; `visits` holds one sequence of microseconds a visit."""
        p10, p25, p90 = np.transpose([np.percentile(times, [10, 25, 90]) for times in visits])
        return cls(
            latency_us=undisturbed(p25),
            spread_us=float(np.percentile(p25, 75) - np.percentile(p25, 25)) / 2,
            p10_us=undisturbed(p10),
            p90_us=float(np.percentile(p90, 90)),
            runs=sum(len(times) for times in visits),
            visits=len(visits),
            delegates=delegates,
            visit_us=tuple(p25.tolist()),
        )

    @classmethod
    def merged(cls, timings: Sequence["Timing"]) -> "Timing":
        """One timing from several of one visit each."""
        visit_us = [us for timing in timings for us in timing.visit_us]
        low, high = np.percentile(visit_us, [25, 75])
        return cls(
            latency_us=undisturbed(visit_us),
            spread_us=float(high - low) / 2,
            p10_us=undisturbed([timing.p10_us for timing in timings]),
            p90_us=float(np.percentile([timing.p90_us for timing in timings], 90)),
            runs=sum(timing.runs for timing in timings),
            visits=len(visit_us),
            delegates=timings[0].delegates,
            visit_us=tuple(visit_us),
            unit=timings[0].unit,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One model that could not be timed; the others of its batch are unharmed."""

    reason: str
