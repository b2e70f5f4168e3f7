"""write_tflite: an OpGraph and its weights as a TFLite file, written directly."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export.constants import float_constants, int8_constants, parameters
from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.export.lowering import DTYPES, lower
from mobilenas.export.metadata import Metadata
from mobilenas.export.quantization import Quantization
from mobilenas.export.ranges import QuantizationPlan, Ranges
from mobilenas.export.tflite_op import Constant, Input, Parameter, Result, TfliteOp
from mobilenas.export.weights import Weights, check_finite, check_fits, random_weights
from mobilenas.graph import OpGraph, OpNode, OpSpec, single_op
from mobilenas.registry import unknown

FLAT_READERS = frozenset(
    {"FULLY_CONNECTED", "RELU", "RELU6", "HARD_SWISH", "LOGISTIC", "QUANTIZE", "DEQUANTIZE", "ADD", "MUL"}
)
"""Operators that take (1, channels) tensors as they are."""


def write_tflite(
    graph: OpGraph,
    weights: Weights,
    *,
    dtype: str = "float32",
    ranges: Ranges | None = None,
    float_io: bool = False,
    description: str = "mobilenas",
    metadata: Metadata | None = None,
) -> bytes:
    """Writes a network as a TFLite file: batch norm folded, channels last.

    Images go in as (1, height, width, channels); what ends in a fully connected layer comes out as (1, channels), any
    other output as (1, height, width, channels). Inputs and outputs are float32 but for int8 files.

    An int8 file is quantized statically: weights symmetric with a scale a channel, activations with a scale and a zero
    point a tensor. `ranges` says what the activations are; without it every one gets the range -6 .. 6: the file takes
    the time of a real one and computes nothing useful.

    Args:
        graph: The network.
        weights: Its state dict as arrays in torch's layout; see `OpGraph.state_shapes`.
        dtype: Element type of the exported network; float16 is that of the weights alone.
        ranges: (low, high) of the output of every node, by its name, and of every input, by `input_<i>`; for int8.
        float_io: Whether inputs and outputs of an int8 file are float32, quantized and dequantized inside.
        description: Stands in the file.
        metadata: Labels and normalisation, in the form that TFLite's tools read.

    Returns:
        The file.

    Raises:
        InputError: If the dtype is not known, the network too large for a file, a range missing or impossible, or a
            weight is not finite or does not fit in float16.
    """
    if dtype not in DTYPES:
        raise InputError(unknown("dtype", dtype, list(DTYPES)))
    check_fits(graph, dtype)
    check_finite(weights)
    return _Writer(graph, weights, dtype, ranges, float_io).write(description, metadata)


def write_micro_model(spec: OpSpec, *, dtype: str = "float32", seed: int = 0, copies: int = 1) -> bytes:
    """Writes the model of one op with made-up weights and ranges: what the look-up table is measured on.

    An op that is too short for a device's clock stands there in several copies.
    """
    graph = single_op(spec, copies)
    return write_tflite(graph, random_weights(graph, seed), dtype=dtype, description="mobilenas op")


def expected_operators(graph: OpGraph, dtype: str = "float32", *, float_io: bool = False) -> list[str]:
    """The TFLite operators that `write_tflite` writes for a network, in order."""
    found = [op.code for node in graph.nodes for op in lower(node.spec, dtype)]
    if float_io and dtype == "int8":
        return ["QUANTIZE"] * len(graph.input_shapes) + found + ["DEQUANTIZE"] * len(graph.outputs)
    return found


def output_shapes(graph: OpGraph, dtype: str = "float32") -> list[tuple[int, ...]]:
    """Shapes of the outputs in the file that `write_tflite` writes."""
    flat: list[bool] = [False] * len(graph.input_shapes)
    for node in graph.nodes:
        results: list[bool] = []
        for op in lower(node.spec, dtype):
            sources = [flat[node.inputs[o.index]] for o in op.inputs if isinstance(o, Input)]
            sources += [results[o.index] for o in op.inputs if isinstance(o, Result)]
            results.append(_is_flat(op, sources))
        flat.append(results[-1])
    return [(1, graph.value_shapes[i][2]) if flat[i] else (1, *graph.value_shapes[i]) for i in graph.outputs]


def _is_flat(op: TfliteOp, sources: Sequence[bool]) -> bool:
    """Whether the output is (1, channels), given whether each operand that is no constant is."""
    return op.flat or (op.code in FLAT_READERS and bool(sources) and all(sources))


def _largest(values: Mapping[str, npt.NDArray[Any]], name: str) -> float:
    return float(np.abs(values[name]).max()) if name in values else 0.0


class _Writer:
    """One file under construction."""

    def __init__(self, graph: OpGraph, weights: Weights, dtype: str, ranges: Ranges | None, float_io: bool) -> None:
        self._graph, self._dtype, self._float_io = graph, dtype, float_io
        self._parameters = [parameters(node, weights) for node in graph.nodes]
        largest = [(_largest(found, "weight"), _largest(found, "bias")) for found in self._parameters]
        self._plan = QuantizationPlan(graph, largest, ranges) if dtype == "int8" else None
        self._model = FlatbufferModel()
        self._quantizations: dict[int, Quantization | None] = {}
        self._images: dict[int, int] = {}

    def write(self, description: str, metadata: Metadata | None) -> bytes:
        values = [self._input(i, (1, *shape)) for i, shape in enumerate(self._graph.input_shapes)]
        for index, node in enumerate(self._graph.nodes):
            values.append(self._node(index, node, [values[i] for i in node.inputs]))
        outputs = [values[i] for i in self._graph.outputs]
        if self._plan and self._float_io:
            outputs = [
                self._operator("DEQUANTIZE", [tensor], self._model.shape(tensor), {}, f"output_{i}", None)
                for i, tensor in enumerate(outputs)
            ]
        return self._model.finish(outputs, description, metadata)

    def _input(self, index: int, shape: tuple[int, ...]) -> int:
        name, quantization = f"input_{index}", self._plan.input(index) if self._plan else None
        if quantization and self._float_io:
            return self._operator("QUANTIZE", [self._model.input(shape, name)], shape, {}, f"{name}_int8", quantization)
        tensor = self._model.input(shape, name, quantization)
        self._quantizations[tensor] = quantization
        return tensor

    def _node(self, index: int, node: OpNode, inputs: Sequence[int]) -> int:
        results: list[int] = []
        operators = lower(node.spec, self._dtype)
        for number, op in enumerate(operators):
            name = node.name if number == len(operators) - 1 else f"{node.name}.{number}.{op.code.lower()}"
            given = {i: inputs[o.index] for i, o in enumerate(op.inputs) if isinstance(o, Input)}
            given |= {i: results[o.index] for i, o in enumerate(op.inputs) if isinstance(o, Result)}
            flat = _is_flat(op, [len(self._model.shape(tensor)) == 2 for tensor in given.values()])
            if not flat:
                given = {i: self._image(tensor) for i, tensor in given.items()}
            out = self._plan.result(index, number) if self._plan else None
            operands = {**given, **self._constants(op, node, self._parameters[index], given, out)}
            ordered = [operands[i] for i in range(len(op.inputs))]
            shape = [1] * op.batch + [*op.out_shape] if op.out_shape else self._model.shape(ordered[0])
            results.append(self._operator(op.code, ordered, [1, shape[-1]] if flat else shape, op.options, name, out))
        return results[-1]

    def _constants(
        self,
        op: TfliteOp,
        node: OpNode,
        values: Mapping[str, npt.NDArray[Any]],
        given: dict[int, int],
        out: Quantization | None,
    ) -> dict[int, int]:
        """The tensors of an operator's constants, by position."""
        if self._plan:
            quantizations = [self._quantizations.get(given[i]) if i in given else None for i in range(len(op.inputs))]
            stored = int8_constants(op, values, quantizations, out)
        else:
            stored = float_constants(op, values, node.name)
        names = {
            i: f"{node.weight_name}.{o.label}"
            if isinstance(o, Parameter)
            else f"{node.name}.{op.code.lower()}_constant"
            for i, o in enumerate(op.inputs)
            if isinstance(o, Parameter | Constant)
        }
        return {i: self._model.constant(found.values, names[i], found.quantization) for i, found in stored.items()}

    def _operator(
        self,
        code: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: Mapping[str, object],
        name: str,
        quantization: Quantization | None,
    ) -> int:
        tensor = self._model.operator(code, inputs, shape, options, name, quantization)
        self._quantizations[tensor] = quantization
        return tensor

    def _image(self, tensor: int) -> int:
        """A (1, channels) tensor as four-dimensional; others as they are."""
        shape = self._model.shape(tensor)
        if len(shape) != 2:
            return tensor
        if tensor not in self._images:
            image = [1, 1, 1, shape[-1]]
            name = f"image_of_{tensor}"
            sizes = self._model.constant(np.array(image, np.int32), f"{name}_shape")
            quantization = self._quantizations[tensor]
            self._images[tensor] = self._operator(
                "RESHAPE", [tensor, sizes], image, {"newShape": image}, name, quantization
            )
        return self._images[tensor]
