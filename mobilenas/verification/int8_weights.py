"""weights_checks: are an int8 file's weights those of the network? It needs neither images nor torch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, Weights, lower
from mobilenas.export.constants import KERNEL_AXES, parameters
from mobilenas.export.large_windows import MOST_PIECES
from mobilenas.export.quantization import STEPS, WEIGHT_LIMIT
from mobilenas.export.tflite_file import FileOperator
from mobilenas.export.tflite_op import Parameter, TfliteOp
from mobilenas.export.weights import check_finite
from mobilenas.graph import WEIGHTED, ChannelGroups, OpGraph, OpKind, OpNode
from mobilenas.verification.report import Check

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.generic]
ROUNDING = 12.0**-0.5
"""Standard deviation of what rounding loses, in steps."""
MOST_DEVIATIONS = 1.75
"""Root mean square difference of a layer's weights, in standard deviations of what may be; rounding alone makes 1."""
MOST_FACTOR = 17.0
"""How far from 1 the factors of equalisation may be: they end at 16, and are found from rounded weights."""
UNKNOWN = 8.0
"""Standard error of a factor of which nothing is known."""
FEW_STEPS = 3
"""Rows without a weight of so many steps say only which factors are too small for them."""
BIAS_SHARE, BIAS_RANGE, BIAS_STEPS = 0.5, 0.05, 30.0
"""How far bias correction may move the biases of a layer, root mean square.

The largest of a share of them, a share of the output's range, and what so many steps of the input come to after the
weights.
"""
_ONE: Array = np.ones(1)
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
        input_step: What one step of the input comes to in the output, shape (output channels,), where the input is
            off by as much everywhere in a channel, and channels differ at random.
    """

    node: OpNode
    value: int
    stored: Array
    steps: Array
    stored_bias: Array
    bias: Array
    output_range: float
    input_step: Array


@dataclass(frozen=True, slots=True, eq=False)
class _Factors:
    """What the channels of a group were divided by, and the relative standard error of it; shape (channels,)."""

    values: Array
    errors: Array

    @classmethod
    def fixed(cls, count: int) -> "_Factors":
        return cls(np.ones(count), np.zeros(count))

    def refined(self, found: "_Factors") -> "_Factors":
        """With what another layer says of them."""
        before, more = np.square(self.errors) ** -1, np.square(found.errors) ** -1
        logarithm = (before * np.log(self.values) + more * np.log(found.values)) / (before + more)
        return _Factors(np.exp(logarithm), (before + more) ** -0.5)


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
    factors: dict[int, _Factors] = {}
    weights, biases = _Worst(), _Worst()
    for layer in layers:
        group = groups.of(layer.value)
        wanted, variance = _read(layer, factors.get(groups.of(layer.node.inputs[0])))
        written = _Factors.fixed(len(wanted))
        if group in free:
            found = _written(layer.stored, wanted, variance)
            written = factors.get(group, found)
            factors[group] = written.refined(found) if group in factors else found
        expected = wanted / written.values[:, None]
        variance = (
            ROUNDING**2 + variance / np.square(written.values)[:, None] + np.square(expected * written.errors[:, None])
        )
        deviations = _root_mean_square((layer.stored - expected) / np.sqrt(variance))
        weights.add(deviations / MOST_DEVIATIONS, f"{deviations:.2g} times what rounding makes in {layer.node.name}")
        moved, allowed = _bias(layer, written)
        biases.add(moved / allowed, f"{moved:.2g} from the network's in {layer.node.name}, where {allowed:.2g} may be")
    return [
        weights.check("weights", f"at most {MOST_DEVIATIONS:g} times (root mean square)"),
        biases.check("biases", "at most what bias correction moves"),
    ]


def _bias(layer: _Layer, written: _Factors) -> tuple[float, float]:
    """By how much the biases differ from the network's, and by how much they may; channels of known factors alone."""
    known = written.errors < 0.1
    bias = layer.bias[known] / written.values[known]
    allowed = max(
        BIAS_SHARE * _root_mean_square(bias),
        BIAS_RANGE * layer.output_range,
        BIAS_STEPS * _root_mean_square(layer.input_step[known]),
    )
    return _root_mean_square(layer.stored_bias[known] - bias), allowed


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.square(values).mean())) if values.size else 0.0


def _read(layer: _Layer, factors: _Factors | None) -> tuple[Array, Array]:
    """Weights of the network times the factors of the channels that they read, and the variance of that."""
    steps = layer.steps
    if factors is None:
        return steps, np.zeros_like(steps)
    if layer.node.spec.kind is OpKind.DEPTHWISE_CONV2D:  # a row for every channel
        wanted = steps * factors.values[:, None]
        return wanted, np.square(wanted * factors.errors[:, None])
    columns = steps.reshape(len(steps), -1, len(factors.values)) * factors.values
    return columns.reshape(steps.shape), np.square(columns * factors.errors).reshape(steps.shape)


def _written(stored: Array, wanted: Array, variance: Array) -> _Factors:
    """What every row was divided by, by least squares; 1, with a large error, for those that say nothing."""
    worth = 1 / (ROUNDING**2 + variance)
    squares = (worth * np.square(wanted)).sum(1)
    largest = np.abs(stored).max(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.clip((worth * stored * wanted).sum(1) / squares, 1 / MOST_FACTOR, MOST_FACTOR)
        errors = 1 / (np.sqrt(squares) * inverse)
    says = np.isfinite(inverse) & (errors < UNKNOWN)
    says &= (largest >= FEW_STEPS) | (np.abs(wanted).max(1) > MOST_FACTOR * (largest + 0.5))
    return _Factors(1 / np.where(says, inverse, 1.0), np.maximum(np.where(says, errors, UNKNOWN), 1e-6))


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
    for index, group in groupby(zip(found, lowered, strict=True), key=lambda pair: pair[1][0]):
        node, parts = graph.nodes[index], [(operator, op) for operator, (_, op) in group]
        if node.spec.kind not in WEIGHTED:
            continue
        wanted, (operator, op) = parameters(node, weights), parts[0]
        weight, bias = _joined(file, node, parts, wanted)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise InputError(f"{node.name} has weights or biases that are not finite")
        rows = _rows(weight, op.code)
        if op.real:
            scale, bias_scale = _usual_scales(rows), _ONE
            rows = rows / scale[:, None]
        else:
            scale, bias_scale = (_scales(file, tensor) for tensor in operator.inputs[1:3])
        read, given = _around(file, operator, op)
        (in_scale, *_), (out_scale, *_) = _scales(file, read), _scales(file, given)
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
            input_step=float(in_scale) * scale * _channel_sums(node, rows),
        )


def _joined(
    file: TfliteFile, node: OpNode, parts: Sequence[tuple[FileOperator, TfliteOp]], wanted: Mapping[str, Numbers]
) -> tuple[Numbers, Numbers]:
    """The weights of a node's operators, put together where they are several, and their biases' sum.

    Raises:
        InputError: If one lacks them, or they have other shapes.
    """
    weights, biases = [], []
    for operator, op in parts:
        if len(operator.inputs) < 3 or min(operator.inputs[1:3]) < 0:
            raise InputError(f"{node.name} has no weights or no bias")
        weight, bias = (file.constant(operator.inputs[i]) for i in (1, 2))
        part = op.inputs[1]
        shape = part.of(wanted).shape if isinstance(part, Parameter) else ()
        if (weight.shape, bias.shape) != (shape, wanted["bias"].shape):
            raise InputError(f"{node.name} has weights of the shape {list(weight.shape)}, biases {list(bias.shape)}")
        weights.append((part, weight))
        biases.append(bias)
    if len(parts) == 1:
        return weights[0][1], biases[0]
    whole = {"weight": np.zeros(wanted["weight"].shape, weights[0][1].dtype)}
    for part, weight in weights:
        if isinstance(part, Parameter):
            part.of(whole)[:] = weight
    return whole["weight"], np.sum(biases, axis=0)


def _usual_scales(rows: Array) -> Array:
    """The scales that the rows of weights in float32 would have in int8."""
    found: Array = np.maximum(np.abs(rows).max(1) / WEIGHT_LIMIT, np.finfo(np.float32).tiny)
    return found


def _around(file: TfliteFile, operator: FileOperator, op: TfliteOp) -> tuple[int, int]:
    """The int8 tensors that an operator reads and gives, or those before and after it where it computes in float32."""
    (read, *_), (given, *_) = operator.inputs, operator.outputs or (-1,)
    if not op.real:
        return read, given
    for _ in file.operators:
        if read not in file.producers or file.tensors[read].scale:
            break
        (read,) = file.operators[file.producers[read]].inputs[:1] or (-1,)
    for _ in range(MOST_PIECES):
        after = file.first_readers.get(("ADD", given)) or file.first_readers.get(("QUANTIZE", given))
        if after is None or file.tensors[given].scale:
            break
        (given,) = after.outputs[:1] or (-1,)
    return read, given


def _channel_sums(node: OpNode, stored: Array) -> Array:
    """What the weights of each input channel add up to, root of the sum of their squares; shape (output channels,)."""
    channels = 1 if node.spec.kind is OpKind.DEPTHWISE_CONV2D else node.spec.in_shapes[0][2] // node.spec.groups
    found: Array = np.sqrt(np.square(stored.reshape(len(stored), -1, channels).sum(1)).sum(1))
    return found


def _scales(file: TfliteFile, tensor: int) -> Array:
    """The scales of a tensor, at least one."""
    if tensor < 0:
        raise InputError("an operator with weights reads or gives nothing")
    found = np.array(file.tensors[tensor].scale)
    if not found.size or not (np.isfinite(found) & (found > 0)).all():
        raise InputError(f"{file.tensors[tensor].name!r} has no scale above 0")
    return found


def _rows(values: npt.NDArray[np.generic], code: str) -> Array:
    rows = np.moveaxis(values, KERNEL_AXES[code], 0)
    return rows.reshape(len(rows), -1).astype(np.float64)
