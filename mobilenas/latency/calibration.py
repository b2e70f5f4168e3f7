"""Calibration: from a sum of isolated ops to a whole network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Values = float | Floats
FIELDS_SEPARATOR = " | "
LEAST_NETWORKS, LEAST_BEYOND = 8, 5
"""Networks that a footprint term needs, and how many of them must lie beyond its knee: a few fix no slope."""
HUBER_SHARE = 0.03
"""Relative residual beyond which a network counts linearly instead of quadratically."""
UNCALIBRATED_ERROR = 0.10
"""Relative error assumed of a plain sum of ops (measured: RMSPE 5.4 %, docs/latency.md)."""
MOST_SCALE = 1000.0
LEAST_SCALE = 0.1
"""Even where the networks seem to depend on nothing but their footprint, ops cost something."""
LEAST_ERROR = 0.01
"""No interval is narrower than what measuring itself repeats to."""


@dataclass(frozen=True, slots=True)
class CalibrationNetwork:
    """A network that was measured whole.

    Attributes:
        name: Where it comes from, such as `mnasnet@224#17` (space, resolution, seed).
        op_sum_us: Sum of its isolated ops.
        footprint_bytes: Bytes of its weights and of the activations alive at its peak.
        measured_us: Its latency, the cost of starting an inference taken off.
    """

    name: str
    op_sum_us: float
    footprint_bytes: int
    measured_us: float

    def to_text(self) -> str:
        """One line for the table's preamble."""
        values = (self.name, f"{self.op_sum_us:.2f}", str(self.footprint_bytes), f"{self.measured_us:.2f}")
        return FIELDS_SEPARATOR.join(values)

    @classmethod
    def from_text(cls, text: str) -> "CalibrationNetwork":
        """Reads what `to_text` wrote.

        Raises:
            ValueError: If it is malformed or a number is not positive and finite.
        """
        name, op_sum_us, footprint_bytes, measured_us = text.split(FIELDS_SEPARATOR)
        network = cls(name, float(op_sum_us), int(footprint_bytes), float(measured_us))
        times = (network.op_sum_us, network.measured_us)
        if network.footprint_bytes < 0 or not all(math.isfinite(time) and time > 0 for time in times):
            raise ValueError(f"calibration network {name!r} has a number that is not positive")
        return network


@dataclass(frozen=True, slots=True)
class Calibration:
    """latency = scale * sum(ops) + us_per_mb * max(0, F - cache_mb), F the megabytes of a network's footprint.

    The footprint is all weights and the activations alive at the peak (`OpGraph.footprint_bytes`). Isolated ops find
    what they read in the cache; a network streams it: beyond what the cache keeps every further megabyte costs.

    Attributes:
        scale: Factor on the sum of isolated ops.
        us_per_mb: Microseconds a megabyte of footprint beyond the cache.
        cache_mb: Megabytes that stay in the cache.
        error: Relative standard error on networks that were left out of the fit.
        networks: How many networks it was fitted on.

    Source: measured on this project's reference host: RMSPE 1.7 % from 20 networks, against 5.4 % for the plain sum.
    """

    scale: float = 1.0
    us_per_mb: float = 0.0
    cache_mb: float = 0.0
    error: float = UNCALIBRATED_ERROR
    networks: int = 0

    def network_us(self, op_sum_us: Values, footprint_bytes: Values) -> Floats:
        """Latency of networks from the sums of their ops and their footprints; numbers or arrays of them."""
        beyond = np.maximum(0.0, np.asarray(footprint_bytes) / 1e6 - self.cache_mb)
        return np.asarray(self.scale * np.asarray(op_sum_us) + self.us_per_mb * beyond, np.float64)

    @classmethod
    def fit(cls, networks: Sequence[CalibrationNetwork]) -> "Calibration":
        """Fits to relative errors, robustly; the knee by leave-one-out.

        With fewer than eight networks the footprint term is left out; with none the sum stands as it is.
        """
        if not networks:
            return cls()
        sums = np.array([n.op_sum_us for n in networks])
        megabytes = np.array([n.footprint_bytes for n in networks]) / 1e6
        measured = np.array([n.measured_us for n in networks])
        # every candidate knee: no footprint term at all, none kept, or what some of the networks hold
        kept = np.sort(megabytes)[: max(len(networks) - LEAST_BEYOND, 0)]
        knees = [math.inf, 0.0, *kept] if len(networks) >= LEAST_NETWORKS else [math.inf]
        best = min(knees, key=lambda knee: _left_out_error(sums, megabytes, measured, knee))
        scale, slope = _solve(sums, megabytes, measured, best)
        error = max(_left_out_error(sums, megabytes, measured, best), LEAST_ERROR)
        if len(networks) < 5:
            error = max(error, UNCALIBRATED_ERROR / 2)
        knee = float(best) if math.isfinite(best) else float(megabytes.max())
        return cls(float(scale), float(slope), knee, float(error), len(networks))

    def to_text(self) -> str:
        """One line for the table's preamble."""
        return (
            f"scale {self.scale!r}, us_per_mb {self.us_per_mb!r}, cache_mb {self.cache_mb!r}, "
            f"held_out_error {self.error!r}, networks {self.networks}"
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
        names = ("scale", "us_per_mb", "cache_mb", "held_out_error", "networks")
        if tuple(fields) != names:
            raise ValueError(f"the calibration must give {', '.join(names)}")
        numbers = [float(fields[name]) for name in names]
        if not all(math.isfinite(n) and n >= 0 for n in numbers):
            raise ValueError("the calibration has a number that is negative or not finite")
        scale, us_per_mb, cache_mb, error, count = numbers
        if not MOST_SCALE >= scale >= 1 / MOST_SCALE:
            raise ValueError(
                f"the calibration's scale must be from {1 / MOST_SCALE:g} to {MOST_SCALE:g}, not {scale:g}"
            )
        return cls(scale, us_per_mb, cache_mb, error, int(count))


def _solve(sums: Floats, megabytes: Floats, measured: Floats, knee: float) -> tuple[float, float]:
    """Least relative squares for (scale, slope >= 0), large residuals weighted down (Huber)."""
    beyond = np.maximum(0.0, megabytes - knee) if math.isfinite(knee) else np.zeros_like(megabytes)
    columns = np.stack([sums, beyond], axis=1) / measured[:, None]
    weights = np.ones(len(sums))
    scale, slope = 1.0, 0.0
    for _ in range(8):
        weighted = columns * weights[:, None]
        used = weighted if beyond.any() else weighted[:, :1]
        solution = np.linalg.lstsq(used, weights, rcond=None)[0]
        if len(solution) == 2 and solution[1] < 0:
            solution = np.linalg.lstsq(weighted[:, :1], weights, rcond=None)[0]
        if len(solution) == 2 and solution[0] < LEAST_SCALE:
            rest = np.linalg.lstsq(weighted[:, 1:], weights - LEAST_SCALE * weighted[:, 0], rcond=None)[0]
            solution = np.array([LEAST_SCALE, max(float(rest[0]), 0.0)])
        scale, slope = float(solution[0]), float(solution[1]) if len(solution) == 2 else 0.0
        residuals = np.abs(scale * columns[:, 0] + slope * columns[:, 1] - 1)
        weights = np.sqrt(np.minimum(1.0, HUBER_SHARE / np.maximum(residuals, 1e-9)))
    return scale, slope


def _left_out_error(sums: Floats, megabytes: Floats, measured: Floats, knee: float) -> float:
    """Root mean square of relative errors on networks left out one at a time."""
    if len(sums) == 1:
        return UNCALIBRATED_ERROR
    errors = []
    for out in range(len(sums)):
        keep = np.arange(len(sums)) != out
        scale, slope = _solve(sums[keep], megabytes[keep], measured[keep], knee)
        beyond = max(0.0, megabytes[out] - knee) if math.isfinite(knee) else 0.0
        errors.append((scale * sums[out] + slope * beyond) / measured[out] - 1)
    return float(np.sqrt(np.mean(np.square(errors))))
