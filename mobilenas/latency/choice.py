"""Which ops to measure next: those that take the most doubt off predictions of whole networks."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.interpolation import LEAST_ROWS, Interpolation, spread_out

Floats = npt.NDArray[np.float64]
SEEDS = 2 * LEAST_ROWS
"""Ops of each kind that are measured before any choice, spread out over what there is."""
GROWTH = 0.3
"""After so many further ops, relative to what is measured, the interpolation is fitted anew."""
NOISE = 0.01
"""Of a measured op, as a share of the largest variance."""


def next_ops(
    networks: Sequence[Mapping[OpSpec, int]], pool: Iterable[OpSpec], measured: Mapping[OpSpec, float], count: int
) -> list[OpSpec]:
    """The ops to measure next.

    First every kind gets a few ops that are spread out. Then each choice is the op that lowers the mean variance of the
    networks' predicted latency the most, given those chosen before it.

    Args:
        networks: Op counts of networks such as will be predicted.
        pool: Ops that can be measured.
        measured: Latency by op measured so far.
        count: How many at most.

    Returns:
        At most `count` ops, best first; fewer when the interpolation should be fitted to them before one goes on.

    Source: greedy A-optimal design for Gaussian processes (Krause, Singh, Guestrin, JMLR 2008, give the idea; the
    criterion here is the variance of sums over ops instead of mutual information).
    """
    left = [op for op in dict.fromkeys(pool) if op not in measured]
    seeds = _seeds(left, measured)
    if seeds:
        return seeds[:count]
    interpolation = Interpolation(measured)
    known = dict.fromkeys([*left, *(op for network in networks for op in network)])
    latency_us = {op: measured[op] if op in measured else interpolation.estimate(op).latency_us for op in known}
    totals_us = np.array([sum(count * latency_us[op] for op, count in network.items()) for network in networks])
    kinds = [
        _Kind(ops, _shares(ops, networks, latency_us) / totals_us[:, None], interpolation)
        for kind in OpKind
        if (ops := [op for op in left if op.kind is kind]) and _number(measured, kind) >= LEAST_ROWS
    ]
    chosen = [op for op in left if _number(measured, op.kind) < LEAST_ROWS][:count]
    batch = min(count, max(LEAST_ROWS, int(GROWTH * len(measured))))
    while len(chosen) < batch and kinds:
        best = max(kinds, key=lambda kind: kind.gain)
        chosen.append(best.take())
        kinds = [kind for kind in kinds if kind.gain > -np.inf]
    return chosen


def _seeds(left: Sequence[OpSpec], measured: Mapping[OpSpec, float]) -> list[OpSpec]:
    seeds: list[OpSpec] = []
    for kind in OpKind:
        ops = [op for op in left if op.kind is kind]
        lacking = min(SEEDS - _number(measured, kind), len(ops))
        if lacking > 0:
            seeds += spread_out(ops, lacking)
    return seeds


def _shares(
    ops: Sequence[OpSpec], networks: Sequence[Mapping[OpSpec, int]], latency_us: Mapping[OpSpec, float]
) -> Floats:
    """Microseconds that each op takes in each network, shape (networks, ops)."""
    return np.array([[network.get(op, 0) * latency_us[op] for op in ops] for network in networks], np.float64)


def _number(measured: Mapping[OpSpec, float], kind: OpKind) -> int:
    return sum(op.kind is kind for op in measured)


class _Kind:
    """The ops of one kind that can be measured, and how much each would lower the networks' variance.

    The covariance given the ops taken so far is not formed: one column of it is made for each op that is taken.

    Args:
        ops: The ops.
        shares: Which share of each network's latency each op takes, shape (networks, ops).
        interpolation: Fitted to what was measured.

    Attributes:
        gain: Drop of the summed variance by the best op; -inf when none is left.
    """

    def __init__(self, ops: Sequence[OpSpec], shares: Floats, interpolation: Interpolation) -> None:
        self._ops = ops
        self._covariance = interpolation.covariance(ops)
        self._noise = NOISE * float(np.diag(self._covariance).max())
        self._doubt = shares @ self._covariance  # (networks, ops)
        self._variance = np.diag(self._covariance).copy()
        self._columns: list[Floats] = []
        self._open = np.ones(len(ops), bool)
        self._score()

    def take(self) -> OpSpec:
        """The best op; what the others would gain is what is left after it."""
        best = self._best
        column = self._covariance[:, best] - sum((c * c[best] for c in self._columns), np.zeros(len(self._ops)))
        column = column / np.sqrt(max(self._variance[best], 0.0) + self._noise)
        doubt = self._doubt[:, best] / np.sqrt(max(self._variance[best], 0.0) + self._noise)
        self._doubt -= doubt[:, None] * column
        self._variance -= column**2
        self._columns.append(column)
        self._open[best] = False
        self._score()
        return self._ops[best]

    def _score(self) -> None:
        gains = (self._doubt**2).sum(0) / (np.maximum(self._variance, 0.0) + self._noise)
        gains[~self._open] = -np.inf
        self._best = int(np.argmax(gains))
        self.gain = float(gains[self._best])
