"""transfer: a table for one device from the table of another and a few measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpKind, OpSpec
from mobilenas.latency.calibration import Calibration, CalibrationNetwork
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.table import LatencyTable, Measurement, TableInfo

Floats = npt.NDArray[np.float64]
LEAST_NETWORKS = 5
NETWORK_SPREAD, GROUP_SPREAD = 0.02, 0.3
"""Relative error of a network's sum, and how far groups' factors lie apart: how strongly they are held together.

Choosing it by networks left out did worse: ten of them do not tell.
"""
LEAST_FACTOR = 0.05
"""No group becomes cheaper than this share of the common factor."""

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
}


@dataclass(frozen=True, slots=True)
class MeasuredNetwork:
    """A network that was measured on the new device.

    Attributes:
        name: What it is called.
        graph: Its ops.
        latency_us: Its latency.
    """

    name: str
    graph: OpGraph
    latency_us: float


def transfer(
    source: LatencyTable,
    info: TableInfo,
    networks: Sequence[MeasuredNetwork],
    ops: Mapping[OpSpec, float] | None = None,
) -> LatencyTable:
    """A table for a new device or dtype from the table of another.

    Every op of the source keeps its place among the ops of its group (convolutions by 1x1 or not, depthwise ones by
    kernel size, fully connected, element-wise, activations, the rest) and each group gets a factor. The factors are
    fitted to the networks' relative errors and held to a common one by a penalty; then the sum is calibrated as that of
    a measured table. The error in the new table is that of networks left out of all of it.

    Args:
        source: The table of the other device.
        info: The preamble of the new table.
        networks: At least five, measured on the new device.
        ops: Latency in microseconds of single ops measured on the new device; they replace the factors' figures for
            these ops and take part in the fit.

    Returns:
        A table whose method is "calibrated".

    Raises:
        InputError: If there are fewer than five networks, or the source is empty.

    Source: the prior-shrunk relative least squares of this project's Pixel 1 calibration; HELP (arXiv:2106.08630) and
    nn-Meter (MobiSys 2021) transfer by meta-learning or by measuring kernels anew.
    """
    if len(networks) < LEAST_NETWORKS:
        raise InputError(f"{len(networks)} networks were measured, but a transfer needs at least {LEAST_NETWORKS}")
    known = ops or {}
    data = _Data.of(LatencyPredictor(source), info, networks, known)
    factors, calibration = data.fit()
    calibration = replace(calibration, error=max(data.left_out_error(), calibration.error))
    by_group = dict(zip(data.groups, factors.tolist(), strict=True))
    common = float(np.median(factors))
    rows = {
        op: Measurement(row.latency_us * by_group.get(group(op), common), row.spread_us, 0, 0)
        for op, row in source.items()
    }
    rows |= {op: Measurement(latency_us) for op, latency_us in known.items()}
    sums = data.shares @ factors
    fitted = tuple(
        CalibrationNetwork(n.name, float(total), int(size), n.latency_us - info.overhead_us)
        for n, total, size in zip(networks, sums, data.weight_bytes, strict=True)
    )
    of = f"{source.info.device}.{source.info.dtype}, {source.info.threads} threads"
    made = replace(info, method="calibrated", source=f"{of}, transferred with {len(networks)} networks")
    return LatencyTable(made, rows, fitted, calibration)


def group(op: OpSpec) -> str:
    """Which ops change by one factor from device to device."""
    if op.kind in (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D):
        size = max(op.kernel_size)
        return f"{op.kind} {'1' if size == 1 else '3' if size <= 3 else '5 and more'}"
    return _GROUPS.get(op.kind, "other")


@dataclass(frozen=True, eq=False)
class _Data:
    """What the factors are fitted to.

    Attributes:
        groups: Names.
        shares: Microseconds by network and group on the source.
        weight_bytes, measured_us: By network.
        op_group, op_ratio: Of each single op: the index of its group, and new latency by that on the source.
    """

    groups: tuple[str, ...]
    shares: Floats
    weight_bytes: Floats
    measured_us: Floats
    op_group: npt.NDArray[np.intp]
    op_ratio: Floats

    @classmethod
    def of(
        cls,
        source: LatencyPredictor,
        info: TableInfo,
        networks: Sequence[MeasuredNetwork],
        ops: Mapping[OpSpec, float],
    ) -> Self:
        names = {group(op) for n in networks for op in n.graph.op_counts()} | {group(op) for op in ops}
        groups = tuple(sorted(names))
        shares = np.zeros((len(networks), len(groups)))
        for row, network in zip(shares, networks, strict=True):
            for op, count in network.graph.op_counts().items():
                row[groups.index(group(op))] += count * source.op_latency(op).latency_us
        return cls(
            groups=groups,
            shares=shares,
            weight_bytes=np.array([n.graph.weight_bytes(info.dtype) for n in networks], np.float64),
            measured_us=np.array([n.latency_us - info.overhead_us for n in networks]),
            op_group=np.array([groups.index(group(op)) for op in ops], np.intp),
            op_ratio=np.array([us / max(source.op_latency(op).latency_us, 1e-3) for op, us in ops.items()]),
        )

    def fit(self, keep: npt.NDArray[np.bool_] | None = None) -> tuple[Floats, Calibration]:
        """Factors of the groups, and the calibration of the sums that they give."""
        kept = np.ones(len(self.measured_us), bool) if keep is None else keep
        shares, measured = self.shares[kept], self.measured_us[kept]
        factors = _solve(shares / measured[:, None], self.op_group, self.op_ratio)
        sums = shares @ factors
        networks = [
            CalibrationNetwork("", float(total), int(size), float(us))
            for total, size, us in zip(sums, self.weight_bytes[kept], measured, strict=True)
        ]
        return factors, Calibration.fit(networks)

    def left_out_error(self) -> float:
        """Root mean square relative error of networks left out of factors and calibration, one at a time."""
        errors = []
        for out in range(len(self.measured_us)):
            factors, calibration = self.fit(np.arange(len(self.measured_us)) != out)
            predicted = calibration.network_us(float(self.shares[out] @ factors), float(self.weight_bytes[out]))
            errors.append(float(predicted) / self.measured_us[out] - 1)
        return float(np.sqrt(np.mean(np.square(errors))))


def _solve(rows: Floats, op_group: npt.NDArray[np.intp], op_ratio: Floats) -> Floats:
    """Factors that bring `rows @ factors` to 1, near a common one; a measured op pulls its group as a network does."""
    count = rows.shape[1]
    common = float(np.median(np.concatenate([1 / rows.sum(1), op_ratio])))
    weight = NETWORK_SPREAD / GROUP_SPREAD
    ops = np.zeros((len(op_group), count))
    ops[np.arange(len(op_group)), op_group] = weight / np.maximum(op_ratio, 1e-9)
    free = np.ones(count, bool)
    factors = np.full(count, common)
    for _ in range(20):
        design = np.vstack([rows, np.diag(np.full(count, weight / common)), ops])
        wanted = np.concatenate([np.ones(len(rows)), np.full(count + len(ops), weight)])
        wanted = wanted - design[:, ~free] @ factors[~free]
        factors[free] = np.linalg.lstsq(design[:, free], wanted, rcond=None)[0]
        low = free & (factors < LEAST_FACTOR * common)
        if low.any():
            factors[low], free = LEAST_FACTOR * common, free & ~low
            continue
        shares = rows.sum(0)
        moved = float(shares @ factors / shares.sum())
        if abs(moved / common - 1) < 1e-6:
            break
        common = moved
    return factors
