"""LatencyPredictor: the latency of a network from its ops."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency.interpolation import Interpolation
from mobilenas.latency.table import LatencyTable

INTERVAL = 1.645
"""Standard errors on each side of a 90 % interval."""
SHARED_ERROR = 0.3
"""Share of the variance of interpolated ops that they have in common."""


@dataclass(frozen=True, slots=True)
class OpLatency:
    """What one op costs.

    Attributes:
        latency_us: Microseconds.
        error_us: Standard error; 0 for a measured op, whose error is part of the calibration's.
        source: "measured", "interpolated", "calibrated" or "imported".
    """

    latency_us: float
    error_us: float
    source: str


@dataclass(frozen=True, slots=True)
class Latency:
    """A prediction.

    Attributes:
        ms: Predicted latency.
        low_ms, high_ms: 90 % interval.
        footprint_ms: The part of `ms` that weights beyond the cache cost.
        by_op: What each distinct op costs, once.
        unmeasured: Ops that were interpolated.
    """

    ms: float
    low_ms: float
    high_ms: float
    footprint_ms: float
    by_op: Mapping[OpSpec, OpLatency]
    unmeasured: tuple[OpSpec, ...]


class LatencyPredictor:
    """Predicts from one latency table; a look-up an op.

    Args:
        table: Measured ops and the calibration of their sums.
    """

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        self._interpolation = Interpolation({op: row.latency_us for op, row in table.items()})
        self._cache: dict[OpSpec, OpLatency] = {}

    def op_latency(self, op: OpSpec) -> OpLatency:
        """What one op costs: as measured, or interpolated, which it says.

        Raises:
            InputError: If the table is empty.
        """
        found = self._cache.get(op)
        if found is None:
            if op in self.table:
                found = OpLatency(self.table[op].latency_us, 0.0, self.table.info.method)
            else:
                estimate = self._interpolation.estimate(op)
                found = OpLatency(estimate.latency_us, estimate.error_us, "interpolated")
            self._cache[op] = found
        return found

    def predict(self, graph: OpGraph) -> Latency:
        """The latency of a network.

        Raises:
            InputError: If the table is empty.
        """
        counts = graph.op_counts()
        by_op = {op: self.op_latency(op) for op in counts}
        op_sum_us = sum(count * by_op[op].latency_us for op, count in counts.items())
        error_sum = sum(count * by_op[op].error_us for op, count in counts.items())
        error_squares = sum(count * by_op[op].error_us ** 2 for op, count in counts.items())
        weight_bytes = float(graph.weight_bytes(self.table.info.dtype))
        total_us = self.network_us(op_sum_us, weight_bytes)
        low_us, high_us = self.interval_us(total_us, error_sum, error_squares)
        return Latency(
            ms=total_us / 1e3,
            low_ms=low_us / 1e3,
            high_ms=high_us / 1e3,
            footprint_ms=(total_us - self.network_us(op_sum_us, 0.0)) / 1e3,
            by_op=by_op,
            unmeasured=tuple(op for op, latency in by_op.items() if latency.source == "interpolated"),
        )

    def network_us(self, op_sum_us: float, weight_bytes: float) -> float:
        """Latency of a network whose ops and weights sum to these."""
        return float(self.table.info.overhead_us + self.table.calibration.network_us(op_sum_us, weight_bytes))

    def interval_us(self, total_us: float, error_sum_us: float, error_squares_us: float) -> tuple[float, float]:
        """90 % interval around a prediction.

        Args:
            total_us: The prediction.
            error_sum_us: Sum over all ops of their standard errors.
            error_squares_us: Sum over all ops of their variances.
        """
        ops = SHARED_ERROR * error_sum_us**2 + (1 - SHARED_ERROR) * error_squares_us
        half = INTERVAL * math.sqrt((self.table.calibration.error * total_us) ** 2 + ops)
        return max(total_us - half, 0.0), total_us + half
