"""weights_checks: are an int8 file's weights those of the network? It needs neither images nor torch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, Weights, lower
from mobilenas.export.constants import KERNEL_AXES, parameters
from mobilenas.export.quantization import STEPS
from mobilenas.export.tflite_op import Parameter
from mobilenas.export.weights import check_finite
from mobilenas.graph import WEIGHTED, ChannelGroups, OpGraph, OpKind, OpNode
from mobilenas.verification.report import Check

Array = npt.NDArray[np.floating]
MOST_STEPS = 0.5
"""Root mean square difference of a layer's weights, in steps of their int8 scale; rounding alone makes 0.29."""
MOST_BIAS, MOST_BIAS_OF_RANGE = 0.5, 0.05
"""Root mean square difference of a layer's biases: a share of theirs or, where those are small, of the output's range.

Bias correction moves them by up to a fifth; where there were none, by a few hundredths of the range.
"""
LARGEST_FACTOR = 17.0
"""How far from 1 the factors of equalisation may be: they end at 16, and are found from rounded weights."""
SAME_SIGNS = 0.8
"""Share of the weights that must keep their sign where they were trained on in int8; other weights keep half."""


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    """The weights of one node.

    Attributes:
        node, value: The node, and the number of the value it gives.
        stored: What the file holds, shape (output channels, rest).
        steps: What the network has, in steps of the file's scales, of the same shape; input channels count fastest.
        stored_bias, bias: Real values, shape (output channels,), in the file and in the network.
        output_range: From the lowest to the highest value that the output can have.
    """

    node: OpNode
    value: int
    stored: Array
    steps: Array
    stored_bias: Array
    bias: Array
    output_range: float


@dataclass(slots=True)
class _Worst:
    """The layer with the largest difference, as a share of what is allowed."""

    share: float = 0.0
    found: str = "the network's"

    def add(self, share: float, found: str) -> None:
        if share > self.share:
            self.share, self.found = share, found

    def check(self, name: str, wanted: str) -> Check:
        return Check(name, self.share <= 1, self.found, wanted)


def weights_checks(model: bytes, graph: OpGraph, weights: Weights, *, fine_tuned: bool = False) -> list[Check]:
    """Whether every layer's weights and biases are the network's, but for what `quantize` does to them.

    That is rounding, and the factors of equalisation for the weights, and bias correction for the biases.

    Args:
        model: An int8 file with the operators that `lower` gives.
        graph: The network.
        weights: Its state dict.
        fine_tuned: Whether it was trained on in int8: then most of all weights together must have the same sign, and
            biases are not compared.
    """
    try:
        check_finite(weights)
        layers = _layers(TfliteFile.parse(model), graph, weights)
        return [_signs_check(layers)] if fine_tuned else _rounding_checks(layers, ChannelGroups(graph))
    except InputError as error:
        return [Check("weights", False, str(error), "the network's")]


def _signs_check(layers: Iterator[_Layer]) -> Check:
    same = count = 0
    for layer in layers:
        kept = (layer.stored != 0) & (layer.steps != 0)
        same += int((np.sign(layer.stored) == np.sign(layer.steps))[kept].sum())
        count += int(kept.sum())
    share = same / count if count else 1.0
    found = f"{100 * share:.4g} % of the signs are the network's"
    return Check("weights", share >= SAME_SIGNS, found, f"at least {100 * SAME_SIGNS:g} %")


def _rounding_checks(layers: Iterator[_Layer], groups: ChannelGroups) -> list[Check]:
    """The factors of a group are found where it is first written, and hold for all who write or read it after."""
    free = set(groups.free())
    factors: dict[int, Array] = {}
    weights, biases = _Worst(), _Worst()
    for layer in layers:
        read, written = groups.of(layer.node.inputs[0]), groups.of(layer.value)
        wanted = _read(layer, factors[read]) if read in factors else layer.steps
        known = ~np.isnan(wanted)
        stored, wanted = np.where(known, layer.stored, 0), np.where(known, wanted, 0)
        if written in free and written not in factors:
            factors[written] = _factor(stored, wanted)
        factor = factors.get(written, np.ones(len(wanted)))
        told = ~np.isnan(factor)
        steps = _root_mean_square((stored - wanted / factor[:, None])[known & told[:, None]])
        weights.add(steps / MOST_STEPS, f"{steps:.2g} steps of int8 from the network's in {layer.node.name}")
        bias = (layer.bias / factor)[told]
        moved = _root_mean_square(layer.stored_bias[told] - bias)
        allowed = max(MOST_BIAS * _root_mean_square(bias), MOST_BIAS_OF_RANGE * layer.output_range)
        biases.add(moved / allowed, f"{moved:.2g} from the network's in {layer.node.name}, where {allowed:.2g} may be")
    return [
        weights.check("weights", f"at most {MOST_STEPS:g} (root mean square)"),
        biases.check("biases", f"at most {100 * MOST_BIAS:g} % of them, {100 * MOST_BIAS_OF_RANGE:g} % of the range"),
    ]


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean())) if values.size else 0.0


def _read(layer: _Layer, factor: Array) -> Array:
    """Weights of the network times the factors of the channels that they read."""
    steps = layer.steps
    if layer.node.spec.kind is OpKind.DEPTHWISE_CONV2D:  # a row for every channel
        return steps * factor[:, None]
    return (steps.reshape(len(steps), -1, len(factor)) * factor).reshape(steps.shape)


def _factor(stored: Array, wanted: Array) -> Array:
    """What every row was divided by, by least squares; NaN for those that say nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.square(wanted).sum(1) / (stored * wanted).sum(1)
    says = np.isfinite(found) & stored.any(1)
    return np.where(says, np.clip(found, 1 / LARGEST_FACTOR, LARGEST_FACTOR), np.nan)


def _layers(file: TfliteFile, graph: OpGraph, weights: Weights) -> Iterator[_Layer]:
    """Every node that has weights, in order.

    Raises:
        InputError: If the file has other layers.
    """
    found = [operator for operator in file.operators if operator.code in KERNEL_AXES]
    lowered = [
        (index, op)
        for index, node in enumerate(graph.nodes)
        for op in lower(node.spec, "int8")
        if op.code in KERNEL_AXES
    ]
    if len(found) != len(lowered):
        raise InputError(f"{len(found)} operators have weights, not {len(lowered)}")
    for operator, (index, op) in zip(found, lowered, strict=True):
        node = graph.nodes[index]
        if node.spec.kind not in WEIGHTED or op.inputs[1] != Parameter("weight"):
            continue
        wanted = parameters(node, weights)
        if len(operator.inputs) < 3 or min(operator.inputs[1:3]) < 0:
            raise InputError(f"{node.name} has no weights or no bias")
        weight, bias = (file.constant(operator.inputs[i]) for i in (1, 2))
        if (weight.shape, bias.shape) != (wanted["weight"].shape, wanted["bias"].shape):
            raise InputError(f"{node.name} has weights of the shape {list(weight.shape)}, biases {list(bias.shape)}")
        scale, bias_scale, (out_scale, *_) = (
            _scales(file, tensor) for tensor in (*operator.inputs[1:3], operator.outputs[0])
        )
        rows = _rows(weight, op.code)
        if not {scale.size, bias_scale.size} <= {1, len(rows)}:
            raise InputError(f"{node.name} has {scale.size} and {bias_scale.size} scales for {len(rows)} channels")
        yield _Layer(
            node=node,
            value=graph.value_of(index),
            stored=rows,
            steps=_rows(wanted["weight"], op.code) / scale.reshape(-1, 1),
            stored_bias=bias.astype(np.float64) * bias_scale,
            bias=wanted["bias"].astype(np.float64),
            output_range=STEPS * float(out_scale),
        )


def _scales(file: TfliteFile, tensor: int) -> Array:
    """The scales of a tensor, at least one."""
    found = np.array(file.tensors[tensor].scale)
    if not found.size or not (np.isfinite(found) & (found > 0)).all():
        raise InputError(f"{file.tensors[tensor].name!r} has no scale above 0")
    return found


def _rows(values: npt.NDArray[np.generic], code: str) -> Array:
    rows = np.moveaxis(values, KERNEL_AXES[code], 0)
    return rows.reshape(len(rows), -1).astype(np.float64)
