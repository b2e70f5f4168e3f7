"""Published networks that meet the bounds of a search."""

from dataclasses import dataclass

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.evaluators import BatchEvaluator, Evaluator
from mobilenas.latency import LatencyPredictor
from mobilenas.objectives import Bounds
from mobilenas.settings import Settings
from mobilenas.spaces import SearchSpace


@dataclass(frozen=True, kw_only=True)
class PublishedNetwork(Settings):
    """A published network, with what the run's own table says of it.

    Attributes:
        name: Its name.
        latency_ms, low_ms, high_ms: Predicted, with the 90 % interval.
        macs, params: Its own.
        accuracy: By the search's evaluator, [0, 1]; None where that would have to train it, or does not know it.
        top1: ImageNet top-1 as published, [0, 1], after full training; None where none was published, or the search is
            for other classes.
    """

    name: str
    latency_ms: float
    low_ms: float
    high_ms: float
    macs: int
    params: int
    accuracy: float | None = None
    top1: float | None = None


def fitting_networks(
    space: SearchSpace, predictor: LatencyPredictor, bounds: Bounds, evaluator: Evaluator
) -> list[PublishedNetwork]:
    """The published networks that meet the bounds by the rule that candidates are held to, the most accurate first.

    Args:
        space: Where it has another number of classes than they were published for, they take that and its input size.
        predictor: Predicts their latency.
        bounds: What they must meet.
        evaluator: Asked for their accuracy if it is one that answers at once.
    """
    found = []
    for name in models.names():
        original = models.get(name)
        arch = original
        if original.num_classes != space.num_classes:
            arch = original.resized(resolution=space.resolution, num_classes=space.num_classes)
        graph = arch.graph()
        if not bounds.is_met_by(graph):
            continue
        latency = predictor.predict(graph)
        found.append(
            PublishedNetwork(
                name=name,
                latency_ms=latency.ms,
                low_ms=latency.low_ms,
                high_ms=latency.high_ms,
                macs=graph.macs,
                params=graph.params,
                accuracy=_accuracy(evaluator, arch),
                top1=models.published(name).top1 if arch is original else None,
            )
        )
    return sorted(found, key=lambda each: (-(each.top1 or 0.0), -each.macs, each.name))


def _accuracy(evaluator: Evaluator, arch: Arch) -> float | None:
    if not isinstance(evaluator, BatchEvaluator):
        return None
    try:
        return evaluator(arch, seed=0).accuracy
    except InputError:  # no network of the evaluator's space
        return None
