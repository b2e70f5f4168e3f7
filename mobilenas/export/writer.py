"""write_tflite: an OpGraph and its weights as a TFLite file, written directly."""

import numpy as np

from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.export.lowering import lower
from mobilenas.export.tflite_op import Constant, Input, Operand, Parameter, Result, TfliteOp
from mobilenas.export.weights import Array, Weights, folded, random_weights
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode, OpSpec, single_op

FLAT_READERS = frozenset({"FULLY_CONNECTED", "RELU", "RELU6", "HARD_SWISH", "LOGISTIC"})
"""Operators that take a (1, channels) tensor as it is."""


def write_tflite(graph: OpGraph, weights: Weights, *, dtype: str = "float32", description: str = "mobilenas") -> bytes:
    """Writes a network as a TFLite file: batch norm folded, channels last.

    Images go in as (1, height, width, channels) float32; what ends in a fully connected layer comes out as
    (1, channels), any other output as (1, height, width, channels).

    Args:
        graph: The network.
        weights: Its state dict as arrays in torch's layout; see `OpGraph.state_shapes`.
        dtype: Element type of the exported network.
        description: Stands in the file.

    Returns:
        The file.

    Raises:
        InputError: If the dtype is not known.
    """
    model = FlatbufferModel()
    values = [model.input((1, *shape), f"input_{i}") for i, shape in enumerate(graph.input_shapes)]
    for node in graph.nodes:
        values.append(_write_node(model, node, [values[i] for i in node.inputs], weights, dtype))
    return model.finish([values[i] for i in graph.outputs], description)


def write_micro_model(spec: OpSpec, *, dtype: str = "float32", seed: int = 0) -> bytes:
    """Writes the model of one op with made-up weights: what the look-up table is measured on."""
    graph = single_op(spec)
    return write_tflite(graph, random_weights(graph, seed), dtype=dtype, description="mobilenas op")


def expected_operators(graph: OpGraph, dtype: str = "float32") -> list[str]:
    """The TFLite operators that `write_tflite` writes for a network, in order."""
    return [op.code for node in graph.nodes for op in lower(node.spec, dtype)]


def output_shapes(graph: OpGraph) -> list[tuple[int, ...]]:
    """Shapes of the outputs in the file that `write_tflite` writes."""
    flat: list[bool] = [False] * len(graph.input_shapes)
    for node in graph.nodes:
        last = lower(node.spec)[-1]
        flat.append(last.flat or (last.code in FLAT_READERS and flat[node.inputs[0]]))
    return [(1, graph.value_shapes[i][2]) if flat[i] else (1, *graph.value_shapes[i]) for i in graph.outputs]


def _write_node(model: FlatbufferModel, node: OpNode, inputs: list[int], weights: Weights, dtype: str) -> int:
    parameters = _parameters(node, weights) if node.spec.kind in WEIGHTED else {}
    results: list[int] = []

    def resolve(operand: Operand, op: TfliteOp) -> int:
        match operand:
            case Input(index):
                return _with_rank(model, inputs[index], op, node.name)
            case Result(index):
                return results[index]
            case Parameter(name):
                return model.constant(parameters[name], f"{node.weight_name}.{name}")
            case Constant(value):
                return model.constant(value, f"{node.name}.{op.code.lower()}_constant")

    operators = lower(node.spec, dtype)
    for number, op in enumerate(operators):
        name = node.name if number == len(operators) - 1 else f"{node.name}.{op.code.lower()}"
        operands = [resolve(operand, op) for operand in op.inputs]
        flat = op.flat or (op.code in FLAT_READERS and len(model.shape(operands[0])) == 2)
        shape = (1, op.out_shape[2]) if flat else (1, *op.out_shape)
        results.append(model.operator(op.code, operands, shape, op.options, name))
    return results[-1]


def _with_rank(model: FlatbufferModel, tensor: int, op: TfliteOp, name: str) -> int:
    """The tensor as four-dimensional where the operator needs it."""
    shape = model.shape(tensor)
    if len(shape) == 4 or op.code in FLAT_READERS:
        return tensor
    image = (1, 1, 1, shape[-1])
    sizes = model.constant(np.array(image, np.int32), f"{name}.image_shape")
    return model.operator("RESHAPE", [tensor, sizes], image, {"newShape": list(image)}, f"{name}.image")


def _parameters(node: OpNode, weights: Weights) -> dict[str, Array]:
    """Folded weight and bias in TFLite's layout: OHWI, depthwise 1HWO, fully connected (O, I) over (H, W, C)."""
    weight, bias = folded(node, weights)
    if node.spec.kind is OpKind.CONV2D:
        weight = weight.transpose(0, 2, 3, 1)
    elif node.spec.kind is OpKind.DEPTHWISE_CONV2D:
        weight = weight.transpose(1, 2, 3, 0)
    else:
        height, width, channels = node.spec.in_shapes[0]
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(weight.shape)
    return {"weight": weight, "bias": bias}
