"""How a model is timed, and what comes out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.runners._unit import Unit
from mobilenas.settings import Settings, check

UNDISTURBED_PERCENTILE = 10
NOTABLE_SLOWNESS = 1.03
"""What a reference repeats to by itself."""
MOST_SLOWNESS = 1.25
"""No more is taken off: a device beyond it cannot be measured, and small networks feel less than the reference."""
PRIOR_WEIGHT = 0.3
"""Of what is believed of a response before anything was seen: as ten pairs of visits with 3 % between them."""


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
        waits: Whether runs wait for quiet moments of the processor, where the runner has a gate that tells them.

    Source: repeats within 0.1-0.4 % for an op on a shared server; see docs/measuring.md.
    """

    visits: int = 3
    runs: int = 40
    visit_seconds: float = 0.05
    warmup_runs: int = 3
    timeout_seconds: float = 60.0
    waits: bool = True

    def __post_init__(self) -> None:
        check(self.visits >= 1, "visits", self.visits, "a whole number from 1")
        check(self.runs >= 5, "runs", self.runs, "a whole number from 5")
        check(0 < self.visit_seconds <= 600, "visit_seconds", self.visit_seconds, "seconds above 0, at most 600")
        check(self.warmup_runs >= 0, "warmup_runs", self.warmup_runs, "a whole number from 0")
        check(self.timeout_seconds > 0, "timeout_seconds", self.timeout_seconds, "seconds above 0")


def undisturbed(visits: npt.ArrayLike, slowness: npt.ArrayLike = ()) -> float:
    """What a model takes when nothing disturbs it.

    Args:
        visits: Its latency in each visit.
        slowness: How many times its usual time it took in each visit, as far as a reference beside it says.

    Returns:
        Without `slowness` the 10th percentile over the visits. With it the lower quartile of those whose slowness is at
        most 1.03; where these are less than half, of the quieter half, each divided by its slowness (at most 1.25)
        where that is more.

    Source: with `slowness`, measured on a shared server, 12 visits of seven networks that were made again where the
    reference was slow: 95 % were within 1.7 % of the truth, 5.4 % beside a process that copied memory; of their 10th
    percentiles within 4.2 % and 5.9 %. Where others use the memory and nothing is made again, on another server, 24
    visits' 10th percentiles repeat within 1.2 %, what `slowness` gives within 1.8 % (standard deviations;
    `benchmarks/LOG.md`, 2026-11-30).
    """
    values, factors = np.asarray(visits, np.float64), np.asarray(slowness, np.float64)
    if not factors.size:
        return float(np.percentile(values, UNDISTURBED_PERCENTILE))
    factors = np.minimum(factors, MOST_SLOWNESS)
    factors = np.where(factors > NOTABLE_SLOWNESS, factors, 1.0)
    half = -(-len(values) // 2)
    chosen = np.flatnonzero(factors == 1.0)
    if len(chosen) < half:
        chosen = np.argsort(slowness, kind="stable")[:half]
    return float(np.percentile(values[chosen] / factors[chosen], 25))


def response(visits: Iterable[tuple[npt.ArrayLike, npt.ArrayLike]], prior: float) -> float:
    """The power with which models become slower when a reference beside them does, in [0, 1].

    What disturbs the reference need not disturb them, and the reference has noise of its own: models that were visited
    more than once tell. Each two visits of a model give a slope; of these the median counts, weighted by how far the
    reference's timings are apart, which minimizes the sum of absolute errors.

    Args:
        visits: Of each model the latencies in time order, and what the reference took beside them.
        prior: Counts as ten pairs whose reference is 3 % apart.
    """
    slopes, weights = [prior], [PRIOR_WEIGHT]
    with np.errstate(divide="ignore", invalid="ignore"):  # equal timings of the reference, and clocks that say 0
        for latency, beside in visits:
            apart = np.diff(np.log(beside))
            found = np.diff(np.log(latency)) / apart
            tells = np.isfinite(apart) & np.isfinite(found)
            slopes.extend(found[tells])
            weights.extend(np.abs(apart[tells]))
    order = np.argsort(slopes, kind="stable")
    heap = np.cumsum(np.asarray(weights)[order])
    return float(np.clip(np.asarray(slopes)[order][np.searchsorted(heap, heap[-1] / 2)], 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class Timing:
    """What one model took.

    Attributes:
        latency_us: What it takes by its visits, in `unit`: `undisturbed(visit_us)` but where sentinels tell more.
        spread_us: Half the range between the quartiles of `visit_us`: how far visits differ.
        p10_us, p90_us: 10th and 90th percentile of a visit's runs: over the visits the 10th percentile of the one and
            the 90th of the other. None where the device gives no single runs.
        runs, visits: How many there were.
        delegates: Partitions that the runtime gave to a delegate; 1 is what one wants. None where it does not say.
        visit_us: The estimator's value of each visit, in time order.
        unit: Of all these figures.
        beside_us: What a reference network took just before and after, on average; 0 where none ran.
        slowness: How many times its best the processor took for the runs that count, as the runner saw; 1 where that
            was in a quiet moment, or where it did not look.
        estimator: What stands for a visit's runs: their 25th percentile ("p25"), or what the device's own program gives
            instead ("median", "avg").
    """

    latency_us: float
    spread_us: float
    p10_us: float | None
    p90_us: float | None
    runs: int
    visits: int
    delegates: int | None
    visit_us: tuple[float, ...]
    unit: Unit = Unit.MICROSECONDS
    beside_us: float = 0.0
    slowness: float = 1.0
    estimator: str = "p25"

    @property
    def latency_ms(self) -> float:
        """The latency in milliseconds.

        Raises:
            InputError: If the unit is no time.
        """
        return self.unit.milliseconds(self.latency_us)

    @property
    def seen_us(self) -> float:
        """What may be promised: the latency, but no less than the fastest tenth of the runs, whatever was taken off."""
        return max(self.latency_us, self.p10_us or 0.0)

    @classmethod
    def from_visit(
        cls,
        times: Sequence[float],
        *,
        delegates: int | None,
        quiet: Sequence[float] = (),
        slowness: float = 1.0,
        unit: Unit = Unit.MICROSECONDS,
    ) -> "Timing":
        """Summarises the runs of one visit.

        Args:
            times: What every run took.
            delegates: Partitions that a delegate ran.
            quiet: The runs that count for the latency; by default all.
            slowness: How many times its best a reference took around these.
            unit: Of the times.
        """
        p10, p90 = np.percentile(times, [10, 90])
        us = float(np.percentile(quiet if len(quiet) else times, 25))
        return cls(us, 0.0, float(p10), float(p90), len(times), 1, delegates, (us,), unit, slowness=slowness)

    @classmethod
    def from_visits(cls, visits: Sequence[Sequence[float]], delegates: int, unit: Unit = Unit.MICROSECONDS) -> "Timing":
        """Summarises the runs of all visits; `visits` holds one sequence of figures a visit."""
        return cls.merged([cls.from_visit(times, delegates=delegates, unit=unit) for times in visits])

    @classmethod
    def from_summaries(cls, visit_us: Sequence[float], *, runs: int, delegates: int | None, estimator: str) -> "Timing":
        """Of visits of which the device gives one figure each, and no percentiles."""
        low, high = np.percentile(visit_us, [25, 75])
        return cls(
            latency_us=undisturbed(visit_us),
            spread_us=float(high - low) / 2,
            p10_us=None,
            p90_us=None,
            runs=runs,
            visits=len(visit_us),
            delegates=delegates,
            visit_us=tuple(visit_us),
            estimator=estimator,
        )

    @classmethod
    def merged(cls, timings: Sequence["Timing"]) -> "Timing":
        """One timing from several of one visit each."""
        visit_us = [us for timing in timings for us in timing.visit_us]
        low, high = np.percentile(visit_us, [25, 75])
        p10_us = [timing.p10_us for timing in timings if timing.p10_us is not None]
        p90_us = [timing.p90_us for timing in timings if timing.p90_us is not None]
        return cls(
            latency_us=undisturbed(visit_us),
            spread_us=float(high - low) / 2,
            p10_us=undisturbed(p10_us) if p10_us else None,
            p90_us=float(np.percentile(p90_us, 90)) if p90_us else None,
            runs=sum(timing.runs for timing in timings),
            visits=len(visit_us),
            delegates=timings[0].delegates,
            visit_us=tuple(visit_us),
            unit=timings[0].unit,
            slowness=min(timing.slowness for timing in timings),
            estimator=timings[0].estimator,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """One model that could not be timed; the others of its batch are unharmed."""

    reason: str
