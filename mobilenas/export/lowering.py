"""lower: an op as the TFLite operators that compute it.

Micro-models and whole networks use it, so what is timed is what ships.
"""

from collections.abc import Callable

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export.tflite_op import Constant, Input, Operand, Parameter, Result, TfliteOp
from mobilenas.export.windows import binary, dilation, padding_op, pool, windowed
from mobilenas.graph import OpKind, OpSpec
from mobilenas.registry import unknown

DTYPES = ("float32",)
MAX_CONCATENATED = 5
"""XNNPACK takes no more tensors in one concatenation."""


def lower(spec: OpSpec, dtype: str = "float32") -> tuple[TfliteOp, ...]:
    """The operators that compute `spec`, in execution order; the last one gives its output.

    XNNPACK takes every form here as a whole, into one delegate; a test holds it.

    Raises:
        InputError: If the dtype is not known.
    """
    if dtype not in DTYPES:
        raise InputError(unknown("dtype", dtype, list(DTYPES)))
    return _RULES[spec.kind](spec)


def _conv(spec: OpSpec) -> tuple[TfliteOp, ...]:
    operands = (Parameter("weight"), Parameter("bias"))
    if spec.kind is OpKind.CONV2D:
        return windowed(spec, "CONV_2D", operands, dilation(spec))
    multiplier = {"depthMultiplier": spec.out_channels // spec.in_shapes[0][2]}
    return windowed(spec, "DEPTHWISE_CONV_2D", operands, {**dilation(spec), **multiplier})


def _scalar(value: float) -> Constant:
    return Constant(np.array(value, np.float32))


def _fully_connected(spec: OpSpec) -> tuple[TfliteOp, ...]:
    operands = (Input(), Parameter("weight"), Parameter("bias"))
    options = {"fusedActivationFunction": spec.activation.upper()}
    return (TfliteOp("FULLY_CONNECTED", operands, spec.out_shape, options, flat=True),)


def _mean(spec: OpSpec) -> tuple[TfliteOp, ...]:
    axes = Constant(np.array([1, 2], np.int32))
    return (TfliteOp("MEAN", (Input(), axes), spec.out_shape, {"keepDims": True}),)


def _elementwise(code: str) -> Callable[[OpSpec], tuple[TfliteOp, ...]]:
    return lambda spec: (TfliteOp(code, (Input(),), spec.out_shape),)


def _two(code: str) -> Callable[[OpSpec], tuple[TfliteOp, ...]]:
    return lambda spec: (binary(code, Input(0), Input(1), spec.out_shape, spec.activation),)


def _hard_sigmoid(spec: OpSpec) -> tuple[TfliteOp, ...]:
    shifted = binary("ADD", Input(), _scalar(3.0), spec.out_shape, "relu6")
    return shifted, binary("MUL", Result(0), _scalar(1 / 6), spec.out_shape)


def _silu(spec: OpSpec) -> tuple[TfliteOp, ...]:
    gate = TfliteOp("LOGISTIC", (Input(),), spec.out_shape)
    return gate, binary("MUL", Input(), Result(0), spec.out_shape)


def _concat(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """XNNPACK concatenates two to five tensors: one is kept as it is, and more are added to what is there."""
    if len(spec.in_shapes) == 1:
        return _slice(spec)
    parts: list[Operand] = [Input(i) for i in range(len(spec.in_shapes))]
    channels = [shape[2] for shape in spec.in_shapes]
    height, width, _ = spec.out_shape
    operators: list[TfliteOp] = []
    while len(parts) > 1:
        joined = sum(channels[:MAX_CONCATENATED])
        options = {"axis": 3, "fusedActivationFunction": "NONE"}
        operators.append(TfliteOp("CONCATENATION", tuple(parts[:MAX_CONCATENATED]), (height, width, joined), options))
        parts[:MAX_CONCATENATED] = [Result(len(operators) - 1)]
        channels[:MAX_CONCATENATED] = [joined]
    return tuple(operators)


def _slice(spec: OpSpec) -> tuple[TfliteOp, ...]:
    begin = Constant(np.zeros(4, np.int32))
    size = Constant(np.array([1, *spec.out_shape], np.int32))
    return (TfliteOp("SLICE", (Input(), begin, size), spec.out_shape),)


_RULES: dict[OpKind, Callable[[OpSpec], tuple[TfliteOp, ...]]] = {
    OpKind.CONV2D: _conv,
    OpKind.DEPTHWISE_CONV2D: _conv,
    OpKind.FULLY_CONNECTED: _fully_connected,
    OpKind.MAX_POOL2D: pool,
    OpKind.AVG_POOL2D: pool,
    OpKind.MEAN: _mean,
    OpKind.PAD: lambda spec: (padding_op(spec),),
    OpKind.ADD: _two("ADD"),
    OpKind.MUL: _two("MUL"),
    OpKind.CONCAT: _concat,
    OpKind.SLICE: _slice,
    OpKind.RELU: _elementwise("RELU"),
    OpKind.RELU6: _elementwise("RELU6"),
    OpKind.HARD_SWISH: _elementwise("HARD_SWISH"),
    OpKind.HARD_SIGMOID: _hard_sigmoid,
    OpKind.SIGMOID: _elementwise("LOGISTIC"),
    OpKind.SILU: _silu,
}
