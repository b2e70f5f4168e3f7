"""LatencyPredictor: the latency of a network from its ops."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency.calibration import Floats, Values
from mobilenas.latency.interpolation import Interpolation
from mobilenas.latency.op_key import BlockKey, Covering, OpKey
from mobilenas.latency.table import LatencyTable
from mobilenas.runners import Unit

INTERVAL = 1.645
"""Standard errors on each side of a 90 % interval."""
SESSION_ERROR = 0.015
"""Standard deviation of what networks take, relatively, from one session of measuring to another; none of counts.

It is not in the held-out error of a calibration, whose networks were measured together. Source: twenty networks on a
shared server, figures of 6 to 24 visits, 1.5 to 1.1 % (`benchmarks/LOG.md`, 2026-12-01). Of 60 strangers' networks that
were measured in int8 minutes after a table was made whose held-out error is 1.0 %, 53 % are inside an interval without
this, 82 % with it.
"""
SHARED_ERROR = 0.1
"""Share of the variance of interpolated ops that they have in common."""
GROWTH = 0.4
"""By how much the error of a calibrated table grows with every doubling beyond the networks that it was fitted to.

Relative to the error within. On the Pixel 1, tables fitted to a part of the published networks erred by 5.2 % within,
and 5.6, 8.4 and 10.7 % within the first, second and third doubling (benchmarks/pixel1.py).
"""

GUESSED = ("interpolated", "estimated")
"""Sources of ops that have no row."""


@dataclass(frozen=True, slots=True)
class OpLatency:
    """What one op or block costs.

    Attributes:
        latency_us: Microseconds, or what else the table's unit is.
        error_us: Standard error; 0 for a row of the table, whose error is part of the calibration's.
        source: "measured", "calibrated" or "imported" for a row of the table; without one "interpolated" from its
            rows, or "estimated" by its rates.
        extrapolated: Whether it was interpolated, and is larger or smaller than all measured ops of its kind.
    """

    latency_us: float
    error_us: float
    source: str
    extrapolated: bool = False


@dataclass(frozen=True, slots=True)
class Latency:
    """A prediction.

    Attributes:
        latency_us: Predicted latency, in `unit`.
        low_us, high_us: 90 % interval.
        footprint_us: The part of `latency_us` that weights and activations beyond the cache cost.
        by_op: What each distinct op or block costs, once.
        counts: How often each occurs.
        unmeasured: Ops that have no row in the table and were interpolated or priced by its rates.
        extrapolated: Whether one of its ops lies beyond all measured ops of its kind, or the network beyond what the
            networks take that a calibrated table was fitted to, by more than their error; its interval is wider for
            that.
        eras: Predicted milliseconds by era of the runtime, where the table tells; the first is `ms`.
        unit: Of all figures named `..._us`. `ms` and its like raise `InputError` where it is no time.
    """

    latency_us: float
    low_us: float
    high_us: float
    footprint_us: float
    by_op: Mapping[OpKey, OpLatency]
    counts: Mapping[OpKey, int]
    unmeasured: tuple[OpKey, ...]
    eras: Mapping[str, float]
    unit: Unit = Unit.MICROSECONDS
    extrapolated: bool = False

    @property
    def ms(self) -> float:
        """Predicted latency in milliseconds."""
        return self.unit.milliseconds(self.latency_us)

    @property
    def low_ms(self) -> float:
        """Lower end of the 90 % interval in milliseconds."""
        return self.unit.milliseconds(self.low_us)

    @property
    def high_ms(self) -> float:
        """Upper end of the 90 % interval in milliseconds."""
        return self.unit.milliseconds(self.high_us)

    @property
    def footprint_ms(self) -> float:
        """The part of `ms` that weights and activations beyond the cache cost."""
        return self.unit.milliseconds(self.footprint_us)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedGraph:
    """A network as one predictor sees it.

    Attributes:
        by_op: What each distinct op or block costs, once.
        occurrences: How often each occurs.
        counts, op_us, error_us: The same as an array, their latencies and standard errors, times the calibration's
            factors; shape (distinct ops,).
        footprint_bytes: Bytes that count as its footprint in the table's calibration.
    """

    by_op: Mapping[OpKey, OpLatency]
    occurrences: Counter[OpKey]
    counts: Floats
    op_us: Floats
    error_us: Floats
    footprint_bytes: float


class LatencyPredictor:
    """Predicts from one latency table; a look-up an op, or a block where the table has it.

    Args:
        table: Measured ops and the calibration of their sums.
    """

    def __init__(self, table: LatencyTable) -> None:
        self.table = table
        self._interpolation = Interpolation({op: row.latency_us for op, row in table.ops.items()})
        self._covering = Covering(table.blocks)
        self._cache: dict[OpKey, OpLatency] = {}
        self._fitted_us = table.fitted_us

    @property
    def unit(self) -> Unit:
        """What its predictions are counted in."""
        return Unit(self.table.info.unit)

    def op_latency(self, key: OpKey) -> OpLatency:
        """What one op or block costs: as in the table, by its rates, or interpolated, which it says.

        Raises:
            InputError: If the table is empty, or a block is not in it.
        """
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._look_up(key)
        return found

    def _look_up(self, key: OpKey) -> OpLatency:
        info, rates = self.table.info, self.table.rates
        if key in self.table:
            return OpLatency(self.table[key].latency_us, 0.0, info.method)
        if isinstance(key, BlockKey):
            raise InputError(f"the table of {info.device} has no row of this block; give its ops one by one")
        if rates is not None:
            latency_us = rates.op_us(key, info.dtype)
            return OpLatency(latency_us, rates.error * latency_us, "estimated")
        estimate = self._interpolation.estimate(key)
        return OpLatency(estimate.latency_us, estimate.error_us, "interpolated", estimate.extrapolated)

    def predict(self, graph: OpGraph, measured_us: Mapping[OpSpec, float] | None = None) -> Latency:
        """The latency of a network.

        Args:
            graph: The network.
            measured_us: Ops that were timed apart, in a form that the table does not speak of, and what they took.

        Raises:
            InputError: If the table is empty.
        """
        prepared = self.prepare(graph, measured_us)
        total_us, half_us = self.predict_us(prepared)
        rates = self.table.rates
        return Latency(
            latency_us=total_us,
            low_us=max(total_us - half_us, 0.0),
            high_us=total_us + half_us,
            footprint_us=total_us - self.network_us(float(prepared.counts @ prepared.op_us), 0.0),
            by_op=prepared.by_op,
            counts=prepared.occurrences,
            unmeasured=tuple(op for op, each in prepared.by_op.items() if each.source in GUESSED),
            eras={name: factor * total_us / 1e3 for name, factor in rates.eras.items()} if rates else {},
            unit=self.unit,
            extrapolated=self.is_extrapolated(total_us) or any(op.extrapolated for op in prepared.by_op.values()),
        )

    def prepare(self, graph: OpGraph, measured_us: Mapping[OpSpec, float] | None = None) -> "PreparedGraph":
        """A network whose ops are looked up, for predictions again and again.

        Args:
            graph: The network.
            measured_us: As for `predict`.

        Raises:
            InputError: If the table is empty.
        """
        counts = self._covering(graph)
        apart: dict[OpKey, OpLatency] = {op: OpLatency(us, 0.0, "measured") for op, us in (measured_us or {}).items()}
        by_op = {op: apart[op] if op in apart else self.op_latency(op) for op in counts}
        factors = np.array([self.table.calibration.factor(op) for op in by_op])
        return PreparedGraph(
            by_op=by_op,
            occurrences=counts,
            counts=np.array(list(counts.values()), np.float64),
            op_us=factors * [latency.latency_us for latency in by_op.values()],
            error_us=factors * [latency.error_us for latency in by_op.values()],
            footprint_bytes=self.table.calibration.footprint.of(graph, self.table.info.dtype),
        )

    def predict_us(self, prepared: "PreparedGraph") -> tuple[float, float]:
        """Predicted latency of a prepared network and half the width of its 90 % interval, microseconds."""
        counts, errors = prepared.counts, prepared.error_us
        total_us = self.network_us(float(counts @ prepared.op_us), prepared.footprint_bytes)
        return total_us, float(self.half_width_us(total_us, counts @ errors, counts @ errors**2))

    def network_us(self, op_sum_us: float, footprint_bytes: float) -> float:
        """Latency of a network with such a sum of ops, times their factors, and such a footprint."""
        return float(self.table.info.overhead_us + self.table.calibration.network_us(op_sum_us, footprint_bytes))

    def half_width_us(self, total_us: Values, error_sum_us: Values, error_squares_us: Values) -> Floats:
        """Half the width of the 90 % interval around predictions; numbers or arrays of them.

        Args:
            total_us: The prediction.
            error_sum_us: Sum over all ops of their standard errors.
            error_squares_us: Sum over all ops of their variances.
        """
        ops = SHARED_ERROR * np.square(error_sum_us) + (1 - SHARED_ERROR) * np.asarray(error_squares_us)
        calibration = self.table.calibration
        # The error of rates is that of whole families left out, on networks of all sizes: it is known well enough.
        within = calibration.spread if self.table.rates is None else calibration.error
        error = within * (1 + GROWTH * self._doublings_beyond(total_us))
        if self.unit is Unit.MICROSECONDS and self.table.rates is None:
            error = np.hypot(error, SESSION_ERROR)
        half: Floats = INTERVAL * np.sqrt(np.square(error * np.asarray(total_us)) + ops)
        return half

    def is_extrapolated(self, total_us: float) -> bool:
        """Whether a prediction lies beyond what a calibrated table was fitted to, by more than its error."""
        return bool(self._doublings_beyond(total_us) > np.log2(1 + self.table.calibration.error))

    def _doublings_beyond(self, total_us: Values) -> Floats:
        """How often the largest fitted network must be doubled, or the smallest halved; 0 within, or where none is."""
        if self._fitted_us is None:
            return np.zeros_like(total_us)
        least, most = self._fitted_us
        doublings = np.log2(np.maximum(total_us, 1e-3))
        beyond: Floats = np.maximum(0.0, np.maximum(doublings - np.log2(most), np.log2(least) - doublings))
        return beyond
