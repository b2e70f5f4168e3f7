"""What a search ends in."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from mobilenas.objectives import Bound
from mobilenas.run.comparison import PublishedNetwork
from mobilenas.settings import Settings
from mobilenas.spaces import Genotype


@dataclass(frozen=True, kw_only=True)
class Measured(Settings):
    """Latency of the exported file, measured interleaved with a reference network.

    Attributes:
        latency_ms, p10_ms, p90_ms: As `mobilenas measure` gives them; a phone gives no percentiles.
        reference_ms: The reference network in the same visits.
        delegates: Delegate partitions; None where the device does not say.
    """

    latency_ms: float
    reference_ms: float
    p10_ms: float | None = None
    p90_ms: float | None = None
    delegates: int | None = None


@dataclass(frozen=True, kw_only=True)
class BoundFigure(Settings):
    """What a winner has of something that was bounded.

    Attributes:
        name: What is bounded, such as "latency on pixel1".
        limit: What `upper` must not exceed.
        nominal: The winner's, as predicted.
        upper: The end of its interval by the run's risk and correction; `nominal` where it is certain.
        unit: Unit of all three.
    """

    name: str
    limit: float
    nominal: float
    upper: float
    unit: str


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """`result.json`.

    Attributes:
        met: Whether the exported file measures at most the target; where nothing could be measured, whether the
            prediction meets it with the run's risk.
        target_ms: The target.
        device: Where it is measured, or for which it is predicted.
        name: Name of the winner.
        predicted_ms, low_ms, high_ms: Its prediction and the 90 % interval, with the table the run began with.
        upper_ms: What of it had to meet the target, by the run's risk and correction.
        risk: Probability that a network whose `upper_ms` is the target misses it.
        method: Where the prediction is from: "measured", "calibrated" or "imported", as the table says of its ops.
        era: Era of the runtime that it speaks of, where the table tells.
        extrapolated: Whether it lies beyond the networks that a calibrated table was fitted to.
        correction: Measured over predicted latency, as the run learnt it; 1 if one of the first candidates met the
            target.
        bounds: Everything that was bounded, latency on the device first.
        measured: The exported file's measurement; None if no candidate came so far, or the device does not answer.
        reference: Name of the reference network.
        validation_accuracy: Of the candidate in the search, [0, 1].
        accuracy_std: Its standard deviation, where known.
        accuracy_source: Where the search's accuracies came from.
        accuracy_meaning: What they are not, where that must be said.
        random_accuracy: Of the best of as many random networks that meet the same bounds; None where each would have
            had to be trained and that was not asked for.
        random_trials: How many those were.
        published: Published networks that meet the same bounds by the same rule, with the run's table.
        trained: Whether the exported file has trained weights.
        test_accuracy: Of the trained winner on held-out images, [0, 1].
        exported_accuracy: Of the exported file on the same images, run by LiteRT.
        agreement: Share of those images on which file and torch name the same class.
        detail: What must be known of the winner's accuracy, such as "extrapolated".
        macs, params, size_bytes: Of the winner.
        peak_memory_bytes: Its activations that are alive at once.
        dtype: Element type of the exported file.
        trials: Distinct evaluations.
        planned_trials: As many were wanted; there are fewer where the searcher found nothing new.
        evaluation_seconds: What the evaluations took; not in the file.
        verification: The gate's checks.
    """

    met: bool
    target_ms: float
    device: str
    name: str
    predicted_ms: float
    low_ms: float
    high_ms: float
    upper_ms: float
    risk: float
    correction: float
    reference: str
    accuracy_source: str
    validation_accuracy: float
    macs: int
    params: int
    peak_memory_bytes: int
    trials: int
    planned_trials: int
    evaluation_seconds: float = 0.0
    method: str = "measured"
    era: str | None = None
    extrapolated: bool = False
    bounds: list[BoundFigure] = field(default_factory=list)
    accuracy_std: float | None = None
    accuracy_meaning: str = ""
    random_accuracy: float | None = None
    random_trials: int = 0
    published: list[PublishedNetwork] = field(default_factory=list)
    detail: str = ""
    trained: bool = False
    measured: Measured | None = None
    test_accuracy: float | None = None
    exported_accuracy: float | None = None
    agreement: float | None = None
    size_bytes: int = 0
    dtype: str = "float32"
    verification: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Everything but how long it took: a run that was interrupted ends with the same file."""
        return {name: value for name, value in asdict(self).items() if name != "evaluation_seconds"}


def bound_figures(bounds: Sequence[Bound], genotype: Genotype) -> list[BoundFigure]:
    """What a network has of everything that is bounded."""
    row = np.array([genotype], np.uint8)
    return [
        BoundFigure(
            name=bound.name,
            limit=bound.limit,
            nominal=float(bound.nominal(row)[0]),
            upper=float(bound.upper(row)[0]),
            unit=bound.unit,
        )
        for bound in bounds
    ]
