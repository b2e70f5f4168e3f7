"""transfer: a table for one device from the table of another and a few measurements."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError, shorten
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency.calibration import LEAST_ERROR, Calibration
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.figures import MOST_US
from mobilenas.latency.preamble import TableInfo
from mobilenas.latency.predictor import LatencyPredictor
from mobilenas.latency.rates import PRIOR
from mobilenas.latency.ratios import Ratios
from mobilenas.latency.table import LEAST_US, LatencyTable, Measurement
from mobilenas.runners import Unit

LEAST_NETWORKS = 5
LEAST_NETWORK_US = 1.0
"""No network takes less; the fit divides by latencies."""
MOST_FAR_OFF = 0.3
"""Share of networks that may be; where it is more, the device is not what was expected, and all count."""
LEAST_SAID = 0.05
"""A start that counts for less is not named."""
FAR_OFF = 4.0
"""Times the usual noise of a network from which on it was probably measured wrongly."""
Floats = npt.NDArray[np.float64]


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

    The logarithm of an op's ratio, its new latency by what it costs in a network on the old device, is a Gaussian
    process: something all ops have in common, plus something of the op's group (convolutions by 1x1 or not, depthwise
    ones by kernel size, fully connected, element-wise, activations, the footprint term, the rest), plus a smooth
    function of channels, pixels and efficiency within the group. A measured op tells one of its values; a measured
    network tells a sum over its ops, which is made linear around the last estimate, until that stands. What networks
    take beyond their ops is one factor. The error in the new table is that of networks left out of all of this, one
    at a time.

    Two devices may have little in common. The same is done from prices of work by a phone's data sheet in place of the
    old latencies, where the new device has a clock; each of the two counts as far as its evidence says.

    Args:
        source: The table of the other device.
        info: The preamble of the new table.
        networks: At least five, measured on the new device.
        ops: Latency in microseconds of single ops measured on the new device, the cost of starting an inference taken
            off; `telling_ops` says which tell most.

    Returns:
        A table whose method is "calibrated".

    Raises:
        InputError: If there are fewer than five networks, one is given twice, a latency is not accepted (a network
            takes a microsecond at least beyond what starting an inference costs), or the source is empty.

    Source: kriging with sums as observations (Chiles and Delfiner, Geostatistics, 2012, has block kriging); HELP
    (arXiv:2106.08630) and nn-Meter (MobiSys 2021) transfer by meta-learning or by measuring kernels anew. Starts are
    weighted by their evidence, as in Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, 5.2.
    """
    known = ops or {}
    _check(networks, info, known)
    starts = [_Start(source, networks, info, known)]
    if Unit(info.unit) is Unit.MICROSECONDS:
        starts.append(_Start(_data_sheet(source, networks, info), networks, info, known))
    weights = _weights([start.fit.evidence for start in starts])
    errors = _left_out_errors(starts)
    is_far_off = starts[int(np.argmax(weights))].fit.noise >= FAR_OFF
    old = source.calibration
    calibration = replace(
        old,
        scale=sum(weight * start.scale for weight, start in zip(weights, starts, strict=True)),
        us_per_mb=weights[0] * starts[0].fit.scale * float(starts[0].fit.ratios[-1]) * old.us_per_mb,
        error=max(_usual_error(errors, is_far_off), LEAST_ERROR),
        networks=len(networks),
    )
    in_networks_us = sum(weight * start.in_networks_us for weight, start in zip(weights, starts, strict=True))
    factors = np.array([calibration.scale * calibration.factor(op) for op in starts[0].space.ops])
    latency_us = dict(zip(starts[0].space.ops, (in_networks_us / factors).tolist(), strict=True))
    rows = {op: Measurement(latency_us[op], row.spread_us, 0, 0) for op, row in source.ops.items()}
    rows |= {op: Measurement(us) for op, us in known.items()}
    fitted = tuple(
        CalibrationNetwork.of(
            network.name,
            network.graph,
            latency_us.__getitem__,
            dtype=info.dtype,
            measured_us=float(us),
        )
        for network, us in zip(networks, starts[0].new_us, strict=True)
    )
    of = f"{source.info.device}.{source.info.dtype}, {source.info.threads} threads"
    if weights[-1] >= LEAST_SAID and len(weights) > 1:
        of += f" (and for {100 * weights[1]:.0f} % from a phone's data sheet)"
    means = f"{len(networks)} networks" + (f" and {len(known)} ops" if known else "")
    made = replace(info, method="calibrated", source=f"{of}, transferred with {means}")
    return LatencyTable(made, rows, fitted, calibration, notes=_far_off(networks, errors, is_far_off))


class _Start:
    """A table to start from, fitted to what was measured.

    Attributes:
        space: The ratios to its ops.
        new_us: What the networks took, the cost of starting an inference taken off.
        fit: The ratios.
        scale: Factor on what ops take by themselves.
        in_networks_us: What every op of `space` costs in a network on the new device.
    """

    def __init__(
        self,
        source: LatencyTable,
        networks: Sequence[MeasuredNetwork],
        info: TableInfo,
        known: Mapping[OpSpec, float],
    ) -> None:
        graphs = [network.graph for network in networks]
        ops = dict.fromkeys([*source.ops, *known, *(op for graph in graphs for op in graph.op_counts())])
        self.space = Ratios(ops, LatencyPredictor(source))
        self.new_us = np.array([network.latency_us - info.overhead_us for network in networks])
        self._measured = (
            self.space.sums(graphs, info.dtype),
            self.new_us,
            list(known),
            np.array(list(known.values()), np.float64),
        )
        self.fit = self.space.fit(*self._measured)
        self.scale = self.fit.scale * source.calibration.scale
        self.in_networks_us = self.fit.scale * self.fit.ratios[:-1] * self.space.in_networks_us

    def left_out(self) -> Floats:
        """Of networks left out, one at a time, their relative errors and the others' evidence, shape (2, networks)."""
        return self.space.left_out(*self._measured)


def _left_out_errors(starts: Sequence[_Start]) -> Floats:
    """Relative errors of networks left out of all of the fit, the weights of the starts too; shape (networks,)."""
    errors, evidence = np.stack([start.left_out() for start in starts], axis=1)
    weights = np.array([_weights(each) for each in evidence.T.tolist()]).T
    found: Floats = (weights * errors).sum(0)
    return found


def _usual_error(errors: Floats, is_far_off: npt.NDArray[np.bool_]) -> float:
    """Root mean square; a few that were measured wrongly say nothing about other networks."""
    kept = errors[~is_far_off] if is_far_off.mean() <= MOST_FAR_OFF else errors
    return float(np.sqrt(np.mean(np.square(kept))))


def _far_off(networks: Sequence[MeasuredNetwork], errors: Floats, is_far_off: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    """A line for each network that the others contradict."""
    return tuple(
        f"{network.name} took {1 / (1 + error):.3g} times what the other networks say, so it counts for little; "
        "measure it again"
        for network, error, named in zip(networks, errors, is_far_off, strict=True)
        if named
    )


def _check(networks: Sequence[MeasuredNetwork], info: TableInfo, known: Mapping[OpSpec, float]) -> None:
    if len(networks) < LEAST_NETWORKS:
        raise InputError(f"{len(networks)} networks were measured, but a transfer needs at least {LEAST_NETWORKS}")
    unit, seen = Unit(info.unit).value, set[str]()
    for network in networks:
        if network.name in seen:
            raise InputError(f"network {shorten(network.name)} was given twice; give each once")
        seen.add(network.name)
        if not LEAST_NETWORK_US <= network.latency_us - info.overhead_us <= MOST_US:
            raise InputError(
                f"network {shorten(network.name)}: latency {network.latency_us:g} {unit} is not accepted; give "
                f"{info.overhead_us + LEAST_NETWORK_US:g} to {MOST_US:g}"
            )
    for op, latency_us in known.items():
        if not LEAST_US <= latency_us <= MOST_US:
            raise InputError(f"{op}: latency {latency_us:g} {unit} is not accepted; give {LEAST_US:g} to {MOST_US:g}")


def _weights(evidence: Sequence[float]) -> list[float]:
    """How likely each start is, given what was measured."""
    likelihood = np.exp(np.array(evidence) - max(evidence))
    return [float(each) for each in likelihood / likelihood.sum()]


def _data_sheet(source: LatencyTable, networks: Sequence[MeasuredNetwork], info: TableInfo) -> LatencyTable:
    """What the same ops take by the data sheet of a phone's core."""
    ops = dict.fromkeys([*source.ops, *(op for network in networks for op in network.graph.op_counts())])
    return LatencyTable(
        TableInfo(device="data sheet", dtype=info.dtype),
        {op: Measurement(PRIOR.op_us(op, info.dtype)) for op in ops},
        calibration=Calibration(),
    )


def telling_ops(source: LatencyTable, networks: Sequence[OpGraph], count: int) -> list[OpSpec]:
    """Ops that, measured on another device, tell most about networks like these there; best first.

    Each choice lowers the summed variance of the networks' latencies the most, given those before it.

    Args:
        source: The table of the device that is known.
        networks: Networks such as will be predicted.
        count: How many ops at most.

    Raises:
        InputError: If the table is empty.
    """
    space = Ratios(dict.fromkeys(op for graph in networks for op in graph.op_counts()), LatencyPredictor(source))
    sums_us = space.sums(networks, source.info.dtype)
    return space.telling(sums_us / sums_us.sum(1, keepdims=True), count)
