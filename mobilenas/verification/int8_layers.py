"""layers_of: the weights of an int8 file's operators beside those of the network's nodes."""

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
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode

Array = npt.NDArray[np.floating]
Numbers = npt.NDArray[np.generic]
_ONE: Array = np.ones(1)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
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


def layers_of(file: TfliteFile, graph: OpGraph, weights: Weights) -> Iterator[Layer]:
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
        yield Layer(
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
