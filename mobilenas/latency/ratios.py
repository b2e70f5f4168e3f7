"""Ratios: how an op's latency on one device differs from that on another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.graph import OpGraph, OpKind, OpSpec
from mobilenas.latency.predictor import LatencyPredictor

Floats = npt.NDArray[np.float64]
COMMON_SPREAD, GROUP_SPREAD, SHAPE_SPREAD = 0.5, 0.4, 0.4
"""How far, as a logarithm, ops' ratios lie apart: all of them, those of a group, and within a group by shape."""
LENGTH = 4.0
"""Over what distance in `_features`, whose unit is two octaves, ratios within a group change."""
OP_NOISE, NETWORK_NOISE, NETWORK_OFFSET = 0.05, 0.02, 0.05
"""Of a measured op's ratio, of a network, and of what all networks take beyond the sum of their ops."""
FREEDOM = 10.0
"""Degrees of freedom of a measurement's noise (Student's distribution): what is far off counts little."""
ROUNDS = 12
"""Of Gauss-Newton, and of weighing the measurements; the fit stands after four, a few more where one is far off."""

_GROUPS = {
    OpKind.FULLY_CONNECTED: "fully connected",
    OpKind.ADD: "element-wise",
    OpKind.MUL: "element-wise",
    OpKind.RELU: "activation",
    OpKind.RELU6: "activation",
    OpKind.HARD_SWISH: "activation",
    OpKind.HARD_SIGMOID: "activation",
    OpKind.SIGMOID: "activation",
    OpKind.SILU: "activation",
    OpKind.GELU: "activation",
}


def group(op: OpSpec) -> str:
    """Which ops change by about one factor from device to device."""
    if op.kind in (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D):
        size = max(op.kernel_size)
        return f"{op.kind} {'1' if size == 1 else '3' if size <= 3 else '5 and more'}"
    return _GROUPS.get(op.kind, "other")


@dataclass(frozen=True, slots=True)
class RatioFit:
    """What measurements say of the ratios.

    Attributes:
        ratios: Of every op and, last, of the footprint term, shape (ops + 1,).
        scale: The factor on sums that networks have beyond them.
        evidence: Logarithm of the density of the measurements before they were made, up to a constant.
        noise: Of every network, how many times the usual noise it seems to have, shape (networks,).
    """

    ratios: Floats
    scale: float
    evidence: float
    noise: Floats


class Ratios:
    """The process of the logarithms of ratios, new latency by old: of all ops, and, last, of the footprint term.

    Args:
        ops: All ops that matter.
        source: Gives their old latency.

    Attributes:
        ops: The same, in an order.
        alone_us: What each takes by itself on the source, shape (ops,).
        in_networks_us: What each costs there in a network, shape (ops,).
    """

    def __init__(self, ops: Mapping[OpSpec, None], source: LatencyPredictor) -> None:
        self.ops = tuple(ops)
        self.alone_us = np.maximum([source.op_latency(op).latency_us for op in self.ops], 1e-3)
        self._calibration = source.table.calibration
        self.in_networks_us = self._calibration.scale * self.alone_us
        self.in_networks_us *= [self._calibration.factor(op) for op in self.ops]
        self._place = {op: i for i, op in enumerate(self.ops)}
        self._group = np.unique([*map(group, self.ops), "footprint"], return_inverse=True)[1]
        points = [_features(op, us) for op, us in zip(self.ops, self.alone_us, strict=True)]
        self._point = np.array([*points, np.zeros(len(points[0]))])

    def sums(self, networks: Sequence[OpGraph], dtype: str) -> Floats:
        """Old microseconds of every op and of the footprint in every network, shape (networks, ops + 1).

        Args:
            networks: The networks.
            dtype: What their footprint is counted in.
        """
        found = np.zeros((len(networks), len(self.ops) + 1))
        for row, graph in zip(found, networks, strict=True):
            for op, number in graph.op_counts().items():
                row[self._place[op]] = number * self.in_networks_us[self._place[op]]
            row[-1] = self._calibration.network_us(0.0, self._calibration.footprint.of(graph, dtype))
        return found

    def fit(self, old_us: Floats, new_us: Floats, ops: Sequence[OpSpec], measured_us: Floats) -> RatioFit:
        """The ratios given what was measured.

        The variance of each measurement's noise is found with the ratios, as what makes Student's distribution of
        normal ones.

        Args:
            old_us: From `sums`.
            new_us: What the networks took, shape (networks,).
            ops: Ops that were measured.
            measured_us: What they took.
        """
        count = len(new_us)
        used = np.flatnonzero(old_us.any(0))
        places = np.array([self._place[op] for op in ops], np.intp)
        center = float(np.log(np.median(new_us / old_us.sum(1))))
        op_ratios = np.log(np.maximum(measured_us, 1e-3) / self.alone_us[places]) - center
        among, across, known = self._kernel(used, used), self._kernel(used, places), self._kernel(places, places)
        ratios = np.full(len(used), center)
        usual = np.repeat([NETWORK_NOISE**2, OP_NOISE**2], [count, len(ops)])
        likely = usual
        for _ in range(ROUNDS):
            parts = old_us[:, used] * np.exp(ratios)
            shares = parts / parts.sum(1, keepdims=True)
            wanted = np.log(new_us / parts.sum(1)) + shares @ (ratios - center)
            to_ops = shares @ across
            own = shares @ among @ shares.T + NETWORK_OFFSET**2
            noise = likely
            covariance = np.block([[own, to_ops], [to_ops.T, known]]) + np.diag(noise)
            inverse = np.linalg.inv(covariance)
            found = np.concatenate([wanted, op_ratios])
            weights = inverse @ found
            ratios = center + among @ (shares.T @ weights[:count]) + across @ weights[count:]
            squares = noise - noise**2 * np.diag(inverse) + (noise * weights) ** 2
            likely = (FREEDOM * usual + squares) / (FREEDOM + 1)
        everywhere = np.arange(len(self.ops) + 1)
        logs = self._kernel(everywhere, used) @ (shares.T @ weights[:count])
        logs += self._kernel(everywhere, places) @ weights[count:]
        return RatioFit(
            ratios=np.exp(center + logs),
            scale=float(np.exp(NETWORK_OFFSET**2 * weights[:count].sum())),
            evidence=-0.5 * float(found @ weights + np.linalg.slogdet(covariance)[1] + _unlikeliness(noise / usual)),
            noise=np.sqrt(noise / usual)[:count],
        )

    def left_out(self, old_us: Floats, new_us: Floats, ops: Sequence[OpSpec], measured_us: Floats) -> Floats:
        """Of networks left out, one at a time, their relative errors and the others' evidence, shape (2, networks)."""
        errors, evidence = [], []
        for out in range(len(new_us)):
            kept = np.arange(len(new_us)) != out
            fit = self.fit(old_us[kept], new_us[kept], ops, measured_us)
            errors.append(fit.scale * float(old_us[out] @ fit.ratios) / new_us[out] - 1)
            evidence.append(fit.evidence)
        return np.array([errors, evidence])

    def telling(self, shares: Floats, count: int) -> list[OpSpec]:
        """Greedy choice; the covariance given the chosen is not formed: each adds one column."""
        everywhere = np.arange(len(self.ops) + 1)
        kernel = self._kernel(everywhere, everywhere)
        doubt, variance = shares @ kernel, np.diag(kernel).copy()
        columns: list[Floats] = []
        chosen: list[int] = []
        for _ in range(min(count, len(self.ops))):
            gains = (doubt**2).sum(0) / (variance + OP_NOISE**2)
            gains[[*chosen, -1]] = -np.inf
            best = int(np.argmax(gains))
            column = kernel[:, best] - sum((c * c[best] for c in columns), np.zeros(len(kernel)))
            deviation = np.sqrt(max(variance[best], 0.0) + OP_NOISE**2)
            doubt = doubt - np.outer(doubt[:, best] / deviation, column / deviation)
            variance = np.maximum(variance - (column / deviation) ** 2, 0.0)
            columns.append(column / deviation)
            chosen.append(best)
        return [self.ops[i] for i in chosen]

    def _kernel(self, some: npt.NDArray[np.intp], others: npt.NDArray[np.intp]) -> Floats:
        a, b = self._point[some], self._point[others]
        squares = np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T, 0)
        same = self._group[some][:, None] == self._group[others]
        within = GROUP_SPREAD**2 + SHAPE_SPREAD**2 * np.exp(-0.5 * squares / LENGTH**2)
        kernel: Floats = COMMON_SPREAD**2 + same * within
        return kernel


def _unlikeliness(ratios: Floats) -> float:
    """Of variances that are so many times the usual ones, minus twice the logarithm of their density."""
    return FREEDOM * float((np.log(ratios) + 1 / ratios - 1).sum())


def _features(op: OpSpec, old_us: float) -> list[float]:
    """What the ratio depends on, in units of two octaves; the efficiency on the old device counts double."""
    height, width, out_channels = op.out_shape
    work = op.macs or op.activation_bytes() / 4
    logs = np.log2([op.in_shapes[0][2], out_channels, height * width, old_us])
    return [*(logs / 2).tolist(), float(np.log2(max(work, 1) / old_us))]
