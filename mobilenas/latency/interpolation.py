"""What an op that was not measured probably costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.farthest import farthest_points
from mobilenas.latency.gaussian_process import GaussianProcess, Rows
from mobilenas.latency.op_features import Floats, op_features

LEAST_ROWS = 8
"""With fewer rows of its kind, nothing is said of how the errors of its ops go together."""
FLOOR_US = 0.02
MOST_ERROR = 2.0
"""Largest standard error of a logarithm: a factor of seven."""
BEYOND = 0.5
"""By how many doublings a size must lie beyond all measured ones of its kind to be said to."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Latency of an op that was not measured.

    Attributes:
        latency_us: The latency.
        error_us: Its standard error.
        extrapolated: Whether it is larger or smaller than all measured ops of its kind in some way, or there are none.
    """

    latency_us: float
    error_us: float
    extrapolated: bool = False


class Interpolation:
    """A Gaussian process an op kind, on the logarithms of roofline features.

    Args:
        latency_us: Latency by measured op; their order does not matter.

    Differs from the paper: nn-Meter (Zhang et al., MobiSys 2021) fits random forests to fused kernels; those cannot
    extrapolate beyond the channels they have seen.
    """

    def __init__(self, latency_us: Mapping[OpSpec, float]) -> None:
        self._latency_us = latency_us
        self._processes: dict[OpKind, GaussianProcess] = {}

    def estimate(self, op: OpSpec) -> Estimate:
        """The latency of `op`.

        Raises:
            InputError: If nothing at all was measured.
        """
        value, error, beyond = self._process(op.kind).estimate(np.array(op_features(op)))
        latency_us = max(float(np.exp(value)), FLOOR_US)
        error_us = latency_us * float(np.expm1(min(error, MOST_ERROR)))
        return Estimate(latency_us, error_us, beyond > BEYOND or op.kind not in self._counts)

    def covariance(self, ops: Sequence[OpSpec]) -> Floats:
        """How the relative errors of estimates go together, shape (N, N).

        Args:
            ops: Ops of one kind.

        Raises:
            InputError: If fewer than eight ops of this kind were measured.
        """
        kind = ops[0].kind
        if (count := self._counts.get(kind, 0)) < LEAST_ROWS:
            raise InputError(f"{kind}: {count} ops were measured, but a covariance needs {LEAST_ROWS}")
        return self._process(kind).covariance(np.array([op_features(op) for op in ops]))

    def _process(self, kind: OpKind) -> GaussianProcess:
        if not self._latency_us:
            raise InputError(f"no op of this device was measured, {kind} neither; run: mobilenas profile")
        if kind not in self._processes:
            self._processes[kind] = GaussianProcess(self._rows, list(OpKind).index(kind))
        return self._processes[kind]

    @cached_property
    def _rows(self) -> Rows:
        kinds = {kind: number for number, kind in enumerate(OpKind)}
        return Rows(
            points=np.array([op_features(op) for op in self._latency_us]),
            kinds=np.array([kinds[op.kind] for op in self._latency_us]),
            target=np.log(np.maximum(list(self._latency_us.values()), FLOOR_US)),
        )

    @cached_property
    def _counts(self) -> dict[OpKind, int]:
        counts: dict[OpKind, int] = {}
        for op in self._latency_us:
            counts[op.kind] = counts.get(op.kind, 0) + 1
        return counts


def spread_out(ops: Sequence[OpSpec], count: int) -> list[OpSpec]:
    """Ops that are far from each other in what the interpolation sees."""
    points = np.array([op_features(op) for op in ops])
    points = (points - points.mean(0)) / np.maximum(points.std(0), 1e-6)
    return [ops[i] for i in farthest_points(points, count)]
