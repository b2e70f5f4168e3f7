"""What an op that was not measured probably costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.farthest import farthest_points

Floats = npt.NDArray[np.float64]
MAX_ROWS = 600
"""More rows of one kind are thinned out: the fit is cubic in them."""
LEAST_ROWS = 8
"""With fewer rows of its kind, an op is estimated from the rows of all kinds."""
LENGTH_SCALES = (1.0, 2.0, 4.0, 8.0)
NOISE = 0.01
FLOOR_US = 0.02


@dataclass(frozen=True, slots=True)
class Estimate:
    """Latency of an op that was not measured, and the standard error of it."""

    latency_us: float
    error_us: float


class Interpolation:
    """A Gaussian process an op kind, on the logarithms of roofline features.

    The mean is a ridge regression on multiply-adds, bytes, channels and pixels, so that far from all rows it falls
    back on the roofline; the process adds what neighbours say. Errors are scaled so that left-out rows have the
    stated spread.

    Args:
        latency_us: Latency by measured op.

    Differs from the paper: nn-Meter (Zhang et al., MobiSys 2021) fits random forests to fused kernels; those cannot
    extrapolate beyond the channels they have seen.
    """

    def __init__(self, latency_us: Mapping[OpSpec, float]) -> None:
        self._latency_us = latency_us
        self._models: dict[OpKind | None, _Process] = {}

    def estimate(self, op: OpSpec) -> Estimate:
        """The latency of `op`.

        Raises:
            InputError: If nothing at all was measured.
        """
        kind = op.kind if self._count(op.kind) >= LEAST_ROWS else None
        if kind not in self._models:
            rows = [o for o in self._latency_us if kind is None or o.kind is kind]
            if not rows:
                raise InputError(f"no op of this device was measured, {op.kind} neither; run: mobilenas profile")
            self._models[kind] = _Process(rows, np.array([self._latency_us[o] for o in rows]))
        return self._models[kind].estimate(op, doubt=1.0 if kind else 3.0)

    def covariance(self, ops: Sequence[OpSpec]) -> Floats:
        """How the relative errors of estimates go together, shape (N, N).

        Args:
            ops: Ops of one kind.

        Raises:
            InputError: If fewer than eight ops of this kind were measured.
        """
        kind = ops[0].kind
        if self._count(kind) < LEAST_ROWS:
            raise InputError(f"{kind}: {self._count(kind)} ops were measured, but a covariance needs {LEAST_ROWS}")
        self.estimate(ops[0])
        return self._models[kind].covariance(ops)

    def _count(self, kind: OpKind) -> int:
        return self._counts.get(kind, 0)

    @cached_property
    def _counts(self) -> dict[OpKind, int]:
        counts: dict[OpKind, int] = {}
        for op in self._latency_us:
            counts[op.kind] = counts.get(op.kind, 0) + 1
        return counts


class _Process:
    """A fitted Gaussian process in log space."""

    def __init__(self, ops: Sequence[OpSpec], latency_us: Floats) -> None:
        step = -(-len(ops) // MAX_ROWS)
        features = np.array([_features(op) for op in ops[::step]])
        target = np.log(np.maximum(latency_us[::step], FLOOR_US))
        self._center, self._spread = features.mean(0), features.std(0)
        self._spread[self._spread < 1e-6] = 1.0  # what never changed is no reason to find a new op far from all others
        self._known = (features - self._center) / self._spread
        self._mean = _ridge(self._known, target)
        residual = target - self._line(self._known)
        self._variance = max(float(residual.var()), 1e-4)
        fits = [self._fit(residual, length) for length in LENGTH_SCALES]
        self._length, self._alpha, self._inverse, self._inflation, _ = min(fits, key=lambda fit: fit[4])

    def _fit(self, residual: Floats, length: float) -> tuple[float, Floats, Floats, float, float]:
        kernel = self._kernel(self._known, length) + NOISE * np.eye(len(residual))
        inverse: Floats = np.linalg.inv(kernel).astype(np.float64)
        alpha = inverse @ residual
        diagonal = np.diag(inverse)
        left_out = alpha / diagonal
        deviations = left_out / np.sqrt(self._variance / diagonal)
        inflation = float(np.sqrt(np.mean(np.square(deviations))))
        return length, alpha, inverse, max(inflation, 0.1), float(np.mean(np.square(left_out)))

    def estimate(self, op: OpSpec, doubt: float) -> Estimate:
        point = ((np.array(_features(op)) - self._center) / self._spread)[None]
        cross = self._kernel(point, self._length)[0]
        value = float(self._line(point)[0] + cross @ self._alpha)
        left = max(1.0 + NOISE - float(cross @ self._inverse @ cross), NOISE)
        deviation = doubt * self._inflation * np.sqrt(self._variance * left)
        latency_us = max(float(np.exp(value)), FLOOR_US)
        return Estimate(latency_us, latency_us * float(np.expm1(min(deviation, 2.0))))

    def covariance(self, ops: Sequence[OpSpec]) -> Floats:
        points = (np.array([_features(op) for op in ops]) - self._center) / self._spread
        cross = self._kernel(points, self._length)
        own = self._between(points, points, self._length) + NOISE * np.eye(len(points))
        left: Floats = self._inflation**2 * self._variance * (own - cross @ self._inverse @ cross.T)
        return left

    def _kernel(self, points: Floats, length: float) -> Floats:
        return self._between(points, self._known, length)

    @staticmethod
    def _between(points: Floats, others: Floats, length: float) -> Floats:
        squares = (points**2).sum(1)[:, None] + (others**2).sum(1) - 2 * points @ others.T
        kernel: Floats = np.exp(-0.5 * np.maximum(squares, 0) / length**2)
        return kernel

    def _line(self, points: Floats) -> Floats:
        return np.column_stack([np.ones(len(points)), points]) @ self._mean


def _ridge(points: Floats, target: Floats) -> Floats:
    design = np.column_stack([np.ones(len(points)), points])
    penalty = 0.1 * np.eye(design.shape[1])
    penalty[0, 0] = 0
    solution: Floats = np.linalg.solve(design.T @ design + penalty, design.T @ target).astype(np.float64)
    return solution


def spread_out(ops: Sequence[OpSpec], count: int) -> list[OpSpec]:
    """Ops that are far from each other in what the interpolation sees."""
    points = np.array([_features(op) for op in ops])
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)
    return [ops[i] for i in farthest_points(points, count)]


def _features(op: OpSpec) -> list[float]:
    height, width, channels = op.in_shapes[0]
    out_height, out_width, out_channels = op.out_shape
    log2 = [
        op.macs / 1e3 + 1,
        op.activation_bytes() / 1e3,
        op.weight_bytes() / 1e3 + 1,
        height * width,
        out_height * out_width,
        channels,
        out_channels,
        op.kernel_size[0] * op.kernel_size[1],
        op.groups,
    ]
    ragged = [float(channels % 4 != 0), float(out_channels % 4 != 0), float(out_channels % 16 != 0)]
    flags = [float(op.stride[0]), float(op.dilation[0]), float(op.activation != "none"), float(op.padding != "same")]
    return [*np.log2(log2).tolist(), *ragged, *flags]
