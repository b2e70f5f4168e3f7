"""write_onnx: an OpGraph and its weights as an ONNX file, written directly. Needs the extra `onnx`."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mobilenas.export.metadata import Metadata
from mobilenas.export.weights import Array, Weights, check_finite, check_fits, folded
from mobilenas.extras import require
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode, OpSpec

OPSET = 17
"""Operator set of the files: HardSwish is there since 14; onnxruntime reads it since 1.12 (2022)."""
IR_VERSION = 8
"""File format of that time."""
NEAREST = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
"""How a Resize repeats rows and columns."""
Step = tuple[str, dict[str, Any]]


def write_onnx(
    graph: OpGraph, weights: Weights, *, description: str = "mobilenas", metadata: Metadata | None = None
) -> bytes:
    """Writes a network as an ONNX file in float32: batch norm folded, channels first, any batch size.

    Inputs are `input_<i>`, (N, channels, height, width); outputs `output_<i>`, (N, channels) where height and width
    are 1, else (N, channels, height, width).

    Args:
        graph: The network.
        weights: Its state dict.
        description: Stands in the file.
        metadata: Labels and normalisation; they become the entries `labels` (one a line), `mean` and `std`.

    Raises:
        InputError: If `onnx` is not installed, the network is too large for a file, or a weight is not finite.
    """
    require("onnx", "onnx")
    check_fits(graph, "float32")
    check_finite(weights)
    return _Writer(graph, weights).write(description, metadata)


class _Writer:
    """One file under construction."""

    def __init__(self, graph: OpGraph, weights: Weights) -> None:
        from onnx import TensorProto, helper, numpy_helper

        self._graph, self._weights = graph, weights
        self._helper, self._float, self._tensor = helper, TensorProto.FLOAT, numpy_helper.from_array
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def write(self, description: str, metadata: Metadata | None) -> bytes:
        graph, make = self._graph, self._helper
        values = [f"input_{i}" for i in range(len(graph.input_shapes))]
        for node in graph.nodes:
            values.append(self._node(node, [values[i] for i in node.inputs]))
        inputs = [self._value(f"input_{i}", (c, h, w)) for i, (h, w, c) in enumerate(graph.input_shapes)]
        outputs = []
        for i, number in enumerate(graph.outputs):
            height, width, channels = graph.value_shapes[number]
            flat = (height, width) == (1, 1)
            self._add("Flatten" if flat else "Identity", [values[number]], f"output_{i}")
            outputs.append(self._value(f"output_{i}", (channels,) if flat else (channels, height, width)))
        body = make.make_graph(self._nodes, description, inputs, outputs, list(self._constants.values()))
        opsets = [make.make_opsetid("", OPSET)]
        model = make.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="mobilenas")
        if metadata is not None:
            listed = {name: " ".join(f"{x:.9g}" for x in getattr(metadata, name)) for name in ("mean", "std")}
            make.set_model_props(model, {"labels": "\n".join(metadata.labels), **listed})
        return bytes(model.SerializeToString())

    def _value(self, name: str, shape: tuple[int, ...]) -> Any:
        return self._helper.make_tensor_value_info(name, self._float, ("N", *shape))

    def _add(self, code: str, inputs: Sequence[str], name: str, attributes: Mapping[str, Any] | None = None) -> str:
        self._nodes.append(self._helper.make_node(code, list(inputs), [name], name=name, **(attributes or {})))
        return name

    def _constant(self, name: str, value: Array | np.ndarray[Any, np.dtype[np.int64]]) -> str:
        self._constants.setdefault(name, self._tensor(np.ascontiguousarray(value), name))
        return name

    def _node(self, node: OpNode, inputs: list[str]) -> str:
        spec, name = node.spec, node.name
        inner = f"{name}.linear" if spec.activation != "none" else name
        if spec.kind in WEIGHTED:
            weight, bias = folded(node, self._weights)
            if spec.kind is OpKind.FULLY_CONNECTED:  # as a convolution of one window: no change of shapes
                height, width, channels = spec.in_shapes[0]
                weight = weight.reshape(-1, channels, height, width)
            pair = (("weight", weight), ("bias", bias))
            inputs += [self._constant(f"{node.weight_name}.{key}", value) for key, value in pair]
            self._add("Conv", inputs, inner, _convolution(spec))
        elif spec.kind is OpKind.SLICE:
            first, stop = node.first_channel, node.first_channel + spec.out_channels
            limits = (("start", [first]), ("end", [stop]), ("axis", [1]))
            inputs += [self._constant(f"{name}.{key}", np.array(value, np.int64)) for key, value in limits]
            self._add("Slice", inputs, inner)
        elif spec.kind is OpKind.CHANNEL_SHUFFLE:
            height, width, channels = spec.out_shape
            split, back = [0, spec.groups, channels // spec.groups, height * width], [0, channels, height, width]
            rows = self._reshape(inputs[0], split, f"{name}.groups")
            turned = self._add("Transpose", [rows], f"{name}.turned", {"perm": [0, 2, 1, 3]})
            self._reshape(turned, back, inner)
        elif spec.kind is OpKind.PAD:
            amounts = np.array([0, 0, *_begins(spec), 0, 0, *_ends(spec)], np.int64)
            self._add("Pad", [*inputs, self._constant(f"{name}.amounts", amounts)], inner)
        elif spec.kind is OpKind.RELU6:
            self._clip(inputs[0], inner)
        elif spec.kind is OpKind.SILU:
            gate = self._add("Sigmoid", inputs, f"{name}.gate")
            self._add("Mul", [inputs[0], gate], inner)
        elif spec.kind is OpKind.GELU:  # x * (1 + erf(x / sqrt(2))) / 2; Gelu itself came with opset 20
            half, one, root = (self._number(value) for value in (0.5, 1.0, math.sqrt(2)))
            inner_value = self._add("Erf", [self._add("Div", [*inputs, root], f"{name}.scaled")], f"{name}.erf")
            gate = self._add("Mul", [self._add("Add", [inner_value, one], f"{name}.sum"), half], f"{name}.gate")
            self._add("Mul", [inputs[0], gate], inner)
        elif spec.kind is OpKind.UPSAMPLE:
            scales = self._constant(f"{name}.scales", np.array([1, 1, *spec.stride], np.float32))
            self._add("Resize", [*inputs, "", scales], inner, NEAREST)
        else:
            code, attributes = _RULES[spec.kind](spec)
            self._add(code, inputs, inner, attributes)
        if spec.activation == "relu6":
            return self._clip(inner, name)
        return self._add("Relu", [inner], name) if spec.activation == "relu" else inner

    def _reshape(self, value: str, shape: Sequence[int], name: str) -> str:
        """The first size 0 stands for that of the batch."""
        return self._add("Reshape", [value, self._constant(f"{name}.shape", np.array(shape, np.int64))], name)

    def _clip(self, value: str, name: str) -> str:
        return self._add("Clip", [value, self._number(0), self._number(6)], name)

    def _number(self, value: float) -> str:
        return self._constant(f"constant_{value:g}", np.array(value, np.float32))


def _begins(spec: OpSpec) -> list[int]:
    return [before for before, _ in spec.explicit_padding]


def _ends(spec: OpSpec) -> list[int]:
    return [after for _, after in spec.explicit_padding]


def _window(spec: OpSpec) -> dict[str, Any]:
    pads = [*_begins(spec), *_ends(spec)]
    return {"kernel_shape": list(spec.kernel_size), "strides": list(spec.stride), "pads": pads}


def _convolution(spec: OpSpec) -> dict[str, Any]:
    if spec.kind is OpKind.FULLY_CONNECTED:
        return {"kernel_shape": list(spec.in_shapes[0][:2])}
    groups = spec.in_shapes[0][2] if spec.kind is OpKind.DEPTHWISE_CONV2D else spec.groups
    return {**_window(spec), "dilations": list(spec.dilation), "group": groups}


def _plain(code: str) -> Callable[[OpSpec], Step]:
    return lambda spec: (code, {})


_RULES: dict[OpKind, Callable[[OpSpec], Step]] = {
    OpKind.MAX_POOL2D: lambda spec: ("MaxPool", _window(spec)),
    OpKind.AVG_POOL2D: lambda spec: ("AveragePool", {**_window(spec), "count_include_pad": 0}),
    OpKind.MEAN: _plain("GlobalAveragePool"),
    OpKind.ADD: _plain("Add"),
    OpKind.MUL: _plain("Mul"),
    OpKind.CONCAT: lambda spec: ("Concat", {"axis": 1}),
    OpKind.RELU: _plain("Relu"),
    OpKind.HARD_SWISH: _plain("HardSwish"),
    OpKind.HARD_SIGMOID: lambda spec: ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    OpKind.SIGMOID: _plain("Sigmoid"),
}
