"""LatencyBound: predicted latency on one device, its uncertainty included."""

from statistics import NormalDist

import numpy as np

from mobilenas.graph import OpGraph
from mobilenas.latency import CompiledLatency
from mobilenas.objectives.bound import Bound, Floats
from mobilenas.settings import check
from mobilenas.spaces import Genotypes

DEFAULT_RISK = 0.05
"""Of missing the target: the upper end of a 90 % interval meets it."""


class LatencyBound(Bound):
    """Predicted latency on one device; the end of its interval that is exceeded with probability `risk` must meet it.

    Args:
        device: Name of the device.
        target_ms: Milliseconds above 0.
        compiled: Predicts the latency of the space's networks there.
        risk: Probability that a network at the bound misses it: 0.05 is the upper end of the 90 % interval, 0.5 the
            prediction itself.
        option: What a command line calls the target.

    Attributes:
        correction: Measured over predicted latency, as far as a search has learnt it; the prediction times it must meet
            the target as well.

    Raises:
        FieldError: If the target is not above 0, or the risk not above 0 and at most 0.5.
    """

    def __init__(
        self,
        device: str,
        target_ms: float,
        compiled: CompiledLatency,
        *,
        risk: float = DEFAULT_RISK,
        option: str = "--target-ms",
    ) -> None:
        super().__init__(f"latency on {device}", target_ms, "ms", option)
        check(0 < risk <= 0.5, "risk", risk, "a number above 0, at most 0.5")
        self.correction = 1.0
        self._compiled = compiled
        self._share = deviations(risk) / deviations(DEFAULT_RISK)

    def nominal(self, genotypes: Genotypes) -> Floats:
        """Predicted latency, milliseconds."""
        return self._compiled.latency_ms(genotypes)

    def upper(self, genotypes: Genotypes) -> Floats:
        """The interval's end, or the corrected prediction where that is more, milliseconds."""
        upper_ms = self._compiled.upper_ms(genotypes)
        if self._share == 1.0 and self.correction == 1.0:
            return upper_ms
        nominal_ms = self.nominal(genotypes)
        upper_ms = nominal_ms + self._share * (upper_ms - nominal_ms)
        return np.maximum(upper_ms, self.correction * nominal_ms) if self.correction != 1.0 else upper_ms

    def upper_of_graph(self, graph: OpGraph) -> float:
        """As `upper`, milliseconds."""
        latency = self._compiled.predictor.predict(graph)
        return max(latency.ms + self._share * (latency.high_ms - latency.ms), self.correction * latency.ms)


def deviations(risk: float) -> float:
    """Standard deviations above the mean that a normal figure exceeds with probability `risk`."""
    return NormalDist().inv_cdf(1 - risk)
