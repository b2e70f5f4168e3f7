"""Calibration: from a sum of isolated ops to a whole network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import shorten
from mobilenas.graph import ELEMENTWISE, OpKind, OpSpec
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.figures import finite, whole
from mobilenas.latency.footprint import Footprint
from mobilenas.latency.op_key import OpKey

Floats = npt.NDArray[np.float64]
Values = float | Floats
LEAST_NETWORKS, LEAST_BEYOND = 8, 5
"""Networks that a footprint term needs, and how many of them must lie beyond its knee: a few fix no slope."""
HUBER_SHARE = 0.03
"""Relative residual beyond which a network counts linearly instead of quadratically."""
PART_SPREAD = 0.15
"""How far, relative to other ops, depthwise convolutions and activations are taken to lie, before networks say."""
NETWORK_SPREAD = 0.025
"""How far, relatively, networks lie from the fit."""
UNCALIBRATED_ERROR = 0.10
"""Relative error assumed of a plain sum of ops (measured: RMSPE 5.4 %, docs/latency.md)."""
LEAST_SCALE, MOST_SCALE, LEAST_FACTOR, MOST_FACTOR = 0.1, 1000.0, 0.5, 2.0
"""Even where the networks seem to depend on nothing but their footprint, ops of every kind cost something."""
LEAST_ERROR = 0.01
"""No interval is narrower than what measuring itself repeats to."""
CLEARLY = 0.95
"""Times the error with the first footprint that the other one's must be for it to be taken."""
MOST_KNEES = 16
"""Of those that networks hold, spread over them."""
ROUNDS = 8
"""Of reweighting; the weights stand after a few."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """latency = scale * sum(factor * op) + us_per_mb * max(0, F - cache_mb), F the megabytes of a network's footprint.

    Isolated ops find what they read in the cache; a network streams it: beyond what the cache keeps every further
    megabyte costs. The footprint is the weights and the activations alive at the peak, or, where that fits the networks
    clearly better, the weights of small ops (`Footprint`). What does little work for what it reads, depthwise
    convolutions and activations, differs from the rest, by a factor.

    Attributes:
        scale: Factor on the sum of isolated ops.
        us_per_mb: Microseconds a megabyte of footprint beyond the cache.
        cache_mb: Megabytes that stay in the cache.
        error: Root mean square of relative errors on networks left out of the fit.
        networks: How many networks it was fitted on.
        depthwise: Further factor on depthwise convolutions.
        activation: Further factor on activations that are ops of their own.
        footprint: What counts as a network's footprint.

    Source: measured on this project's reference host: RMSPE 2.4 % from 20 networks, 2.6 % without the two further
    factors, 8.9 % for the plain sum (`benchmarks/predictor_error.py`).
    """

    scale: float = 1.0
    us_per_mb: float = 0.0
    cache_mb: float = 0.0
    error: float = UNCALIBRATED_ERROR
    networks: int = 0
    depthwise: float = 1.0
    activation: float = 1.0
    footprint: Footprint = Footprint.WHOLE

    def factor(self, key: OpKey) -> float:
        """What an op's own latency counts as in the sum."""
        if not isinstance(key, OpSpec):
            return 1.0
        if key.kind is OpKind.DEPTHWISE_CONV2D:
            return self.depthwise
        return self.activation if key.kind in ELEMENTWISE else 1.0

    def network_us(self, op_sum_us: Values, footprint_bytes: Values) -> Floats:
        """Latency of networks from the sums of their ops, times their factors, and their footprints.

        Args:
            op_sum_us: A number or an array.
            footprint_bytes: A number or an array.
        """
        beyond = np.maximum(0.0, np.asarray(footprint_bytes) / 1e6 - self.cache_mb)
        return np.asarray(self.scale * np.asarray(op_sum_us) + self.us_per_mb * beyond, np.float64)

    @property
    def spread(self) -> float:
        """Standard error of a prediction as an interval needs it: of few networks even the error is known badly.

        It takes the place of Student's quantile, which is larger than the normal distribution's by about 1 / (n - 1).
        """
        return self.error * (1 + 1 / (self.networks - 1)) if self.networks > 1 else self.error

    @classmethod
    def fit(cls, networks: Sequence[CalibrationNetwork]) -> "Calibration":
        """Fits to relative errors, robustly; the knee by leave-one-out.

        With fewer than eight networks only the scale is fitted; with none the sum stands as it is. The error is that of
        networks left out of the choice of the knee, but not of that of the footprint.
        """
        if not networks:
            return cls()
        known = {kind for kind in Footprint if all(each.bytes_of(kind) is not None for each in networks)}
        found = _Candidates.of(networks, Footprint.STREAMED if Footprint.STREAMED in known else Footprint.WHOLE)
        if Footprint.SMALL_OPS in known:
            other = _Candidates.of(networks, Footprint.SMALL_OPS)
            found = other if other.is_clearly_better_than(found) else found
        data, best = found.data, found.knees[int(found.squares.argmin())]
        solution = data.solve(best, np.ones(len(networks), bool))
        error = max(_error_of_the_best(found.errors), LEAST_ERROR)
        if len(networks) < 5:
            error = max(error, UNCALIBRATED_ERROR / 2)
        scale, slope, depthwise, activation = solution.tolist()
        knee = best if math.isfinite(best) else data.most_megabytes
        return cls(scale, slope, knee, error, len(networks), depthwise / scale, activation / scale, data.footprint)

    def to_text(self) -> str:
        """One line for the table's preamble."""
        return (
            f"scale {self.scale!r}, us_per_mb {self.us_per_mb!r}, cache_mb {self.cache_mb!r}, "
            f"held_out_error {self.error!r}, networks {self.networks}, "
            f"depthwise {self.depthwise!r}, activation {self.activation!r}"
            + (f", footprint {self.footprint}" if self.footprint is not Footprint.WHOLE else "")
        )

    @staticmethod
    def is_outdated(text: str) -> bool:
        """Whether `text` is a calibration of mobilenas 0.1's first tables, whose footprint was the weights alone."""
        return ", knee_mb " in text

    @classmethod
    def from_text(cls, text: str) -> "Calibration":
        """Reads what `to_text` wrote.

        Raises:
            ValueError: If it is malformed or a number is negative or not finite.
        """
        fields = {name: value for name, _, value in (part.rpartition(" ") for part in text.split(", "))}
        names = ("scale", "us_per_mb", "cache_mb", "held_out_error", "networks", "depthwise", "activation")
        footprint = fields.pop("footprint", Footprint.WHOLE)
        if footprint not in tuple(Footprint):
            raise ValueError(
                f"the calibration's footprint must be one of {', '.join(Footprint)}, not {shorten(footprint)}"
            )
        if tuple(fields) not in (names, names[:5]):
            raise ValueError(f"the calibration must give {', '.join(names)}")
        count = whole(fields.pop("networks"), "networks")
        scale, us_per_mb, cache_mb, error, *factors = (finite(text, name) for name, text in fields.items())
        if not MOST_SCALE >= scale >= 1 / MOST_SCALE:
            raise ValueError(
                f"the calibration's scale must be from {1 / MOST_SCALE:g} to {MOST_SCALE:g}, not {scale:g}"
            )
        if not all(LEAST_FACTOR <= factor <= MOST_FACTOR for factor in factors):
            raise ValueError(f"the calibration's factors must be from {LEAST_FACTOR:g} to {MOST_FACTOR:g}")
        depthwise, activation = factors or (1.0, 1.0)
        return cls(scale, us_per_mb, cache_mb, error, count, depthwise, activation, Footprint(footprint))


class _Data:
    """Networks as arrays, all relative to what they took.

    Solutions are (scale, slope, scale of depthwise convolutions, scale of activations).
    """

    def __init__(self, networks: Sequence[CalibrationNetwork], footprint: Footprint) -> None:
        self.footprint = footprint
        self._measured = np.array([n.measured_us for n in networks])
        self._megabytes = np.array([n.bytes_of(footprint) for n in networks], np.float64) / 1e6
        parts = np.array([[n.op_sum_us, n.depthwise_us, n.activation_us] for n in networks])
        self._unit = float(np.median(self._measured / parts[:, 0]))
        """A first guess of the scale, with which the columns of all devices are alike."""
        self._parts = self._unit * parts / self._measured[:, None]

    @property
    def most_megabytes(self) -> float:
        """The largest footprint."""
        return float(self._megabytes.max())

    def knees(self) -> list[float]:
        """The candidates: no footprint term at all, nothing kept, or what some of the networks hold."""
        count = len(self._measured)
        if count < LEAST_NETWORKS:
            return [math.inf]
        kept = np.sort(self._megabytes)[: max(count - LEAST_BEYOND, 0)]
        spread = kept[np.unique(np.linspace(0, len(kept) - 1, MOST_KNEES).round().astype(int))]
        return [math.inf, 0.0, *spread.tolist()]

    def solve(self, knee: float, chosen: npt.NDArray[np.bool_]) -> Floats:
        """Least relative squares over the chosen networks, large residuals weighted down (Huber).

        A slope is never negative. Depthwise convolutions and activations are pulled to the common scale.
        """
        columns = self._columns(knee)[chosen]
        weights = np.ones(len(columns))
        for _ in range(ROUNDS):
            solution = _least_squares(columns, weights, LEAST_SCALE / self._unit)
            residuals = np.abs(columns @ solution - 1)
            before, weights = weights, np.sqrt(np.minimum(1.0, HUBER_SHARE / np.maximum(residuals, 1e-9)))
            if np.array_equal(before, weights):
                break
        scale, slope, *more = solution
        factors = [np.clip(1 + each / scale, LEAST_FACTOR, MOST_FACTOR) for each in more]
        return np.array([self._unit * scale, slope, *(self._unit * scale * np.array(factors))])

    def left_out_errors(self, knee: float) -> list[float]:
        """Relative error on each network, left out of the fit."""
        count = len(self._measured)
        if count == 1:
            return [UNCALIBRATED_ERROR]
        columns, errors = self._columns(knee), []
        for out in range(count):
            scale, slope, depthwise, activation = self.solve(knee, np.arange(count) != out)
            found = np.array([scale, slope * self._unit, depthwise - scale, activation - scale]) / self._unit
            errors.append(float(columns[out] @ found) - 1)
        return errors

    def _columns(self, knee: float) -> Floats:
        """What scale, slope, and more of depthwise convolutions and of activations are multiplied with."""
        sums, depthwise, activation = self._parts.T
        if len(self._measured) < LEAST_NETWORKS:
            depthwise, activation = np.zeros_like(sums), np.zeros_like(sums)
        beyond = np.maximum(0.0, self._megabytes - knee) if math.isfinite(knee) else np.zeros_like(sums)
        return np.stack([sums, beyond / self._measured, depthwise, activation], axis=1)


@dataclass(frozen=True, slots=True, eq=False)
class _Candidates:
    """Knees of one kind of footprint and how well they do.

    Attributes:
        data: The networks.
        knees: The candidates.
        errors: Of every candidate on every network, left out; shape (candidates, networks).
    """

    data: _Data
    knees: list[float]
    errors: Floats

    @classmethod
    def of(cls, networks: Sequence[CalibrationNetwork], footprint: Footprint) -> "_Candidates":
        data = _Data(networks, footprint)
        knees = data.knees()
        return cls(data, knees, np.array([data.left_out_errors(knee) for knee in knees]))

    @property
    def squares(self) -> Floats:
        """Sum of every candidate's squared errors."""
        return np.asarray(np.square(self.errors).sum(1))

    def is_clearly_better_than(self, others: "_Candidates") -> bool:
        """Whether the best of these has less error than the best of the others, by 5 %."""
        return bool(self.squares.min() < CLEARLY**2 * others.squares.min())


def _error_of_the_best(errors: Floats) -> float:
    """Root mean square error on left-out networks, each with the candidate that is best for the others.

    Args:
        errors: Of every candidate on every network, shape (candidates, networks).
    """
    squares = np.square(errors)
    chosen = (squares.sum(1, keepdims=True) - squares).argmin(0)
    return float(np.sqrt(np.mean(squares[chosen, np.arange(errors.shape[1])])))


def _least_squares(columns: Floats, weights: Floats, least_scale: float) -> Floats:
    """The x for which columns @ x is near 1: x[0] at least `least_scale`, x[1] at least 0, a prior on the others."""
    prior = NETWORK_SPREAD / PART_SPREAD * np.eye(4)[2:]
    rows = np.vstack([columns * weights[:, None], prior])
    wanted = np.concatenate([weights, np.zeros(2)])
    used: npt.NDArray[np.bool_] = np.any(columns, axis=0)
    solution = _solved(rows, wanted, used)
    if solution[1] < 0:
        used[1] = False
        solution = _solved(rows, wanted, used)
    if solution[0] < least_scale:
        used[0] = False
        solution = _solved(rows, wanted - least_scale * rows[:, 0], used)
        solution[:2] = least_scale, max(float(solution[1]), 0.0)
    return solution


def _solved(rows: Floats, wanted: Floats, used: npt.NDArray[np.bool_]) -> Floats:
    """Least squares over the columns that are used; the others are 0."""
    solution = np.zeros(rows.shape[1])
    solution[used] = np.linalg.lstsq(rows[:, used], wanted, rcond=None)[0]
    return solution
