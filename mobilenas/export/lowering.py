"""lower: an op as the TFLite operators that compute it.

Micro-models and whole networks use it, so what is timed is what ships.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export.large_windows import in_pieces, is_in_pieces, is_large
from mobilenas.export.tflite_op import Constant, Input, Operand, Parameter, Result, TfliteOp
from mobilenas.export.windows import average_by_convolution, binary, dilation, padding_op, pool, windowed
from mobilenas.graph import OpKind, OpSpec, Shape
from mobilenas.registry import unknown

DTYPES = ("float32", "float16", "int8")
FORMS = 2
"""Raised by one whenever `lower` gives another form of an op; latency tables say of which forms their rows are."""
MAX_CONCATENATED = 5
"""XNNPACK takes no more tensors in one concatenation."""
GELU_SLOPE = 2 * math.sqrt(2 / math.pi)
GELU_BEND = 0.044715 * GELU_SLOPE
"""GELU is nearly x * sigmoid(GELU_SLOPE * x + GELU_BEND * x**3)."""
LOGISTIC_BOUNDS = (0.0, 255 / 256)
"""TFLite demands scale 1/256 and zero point -128 of an int8 LOGISTIC."""


def lower(spec: OpSpec, dtype: str = "float32") -> tuple[TfliteOp, ...]:
    """The operators that compute `spec`, in execution order; the last one gives its output.

    XNNPACK takes every form here as a whole, into one delegate; a test holds it. In float16 the weights go through
    DEQUANTIZE and everything is computed in float32. In int8 XNNPACK leaves out HARD_SWISH, GELU, AVERAGE_POOL_2D,
    RELU and RELU6, so there those ops have other forms. Depthwise convolutions of large windows are the sum of smaller
    ones, and compute in float32 in int8 files too, so that the sum is not rounded.

    Args:
        spec: The op.
        dtype: One of `DTYPES`.

    Raises:
        InputError: If the dtype is not known.
    """
    if dtype not in DTYPES:
        raise InputError(unknown("dtype", dtype, list(DTYPES)))
    if dtype == "int8":
        return _INT8_RULES[spec.kind](spec)
    operators = _RULES[spec.kind](spec)
    return _dequantized(operators) if dtype == "float16" else operators


def has_new_form(spec: OpSpec, forms: int) -> bool:
    """Whether an op has another form now than it had when `FORMS` was `forms`."""
    return forms < FORMS and is_large(spec)


def _conv(spec: OpSpec) -> tuple[TfliteOp, ...]:
    operands = (Parameter("weight"), Parameter("bias"))
    if spec.kind is OpKind.CONV2D:
        return windowed(spec, "CONV_2D", operands, dilation(spec))
    multiplier = {"depthMultiplier": spec.out_channels // spec.in_shapes[0][2]}
    return windowed(spec, "DEPTHWISE_CONV_2D", operands, {**dilation(spec), **multiplier})


def _depthwise(spec: OpSpec) -> tuple[TfliteOp, ...]:
    return in_pieces(spec) if is_in_pieces(spec) else _conv(spec)


def _int8_depthwise(spec: OpSpec) -> tuple[TfliteOp, ...]:
    return _between_types(spec, _depthwise(spec)) if is_large(spec) else _conv(spec)


def _between_types(spec: OpSpec, operators: tuple[TfliteOp, ...]) -> tuple[TfliteOp, ...]:
    """Operators of an op with one input that compute in float32 what is int8 before and after them."""
    before = TfliteOp("DEQUANTIZE", (Input(),), spec.in_shapes[0], real=True)
    computed = [replace(op, real=True) for op in _moved(operators, 1, {Input(): Result(0)})]
    return before, *computed, TfliteOp("QUANTIZE", (Result(len(computed)),), spec.out_shape)


def _moved(operators: Sequence[TfliteOp], count: int, instead: Mapping[Operand, Operand]) -> list[TfliteOp]:
    """Operators behind `count` others, which read some things instead of others."""

    def moved(operand: Operand) -> Operand:
        return Result(operand.index + count) if isinstance(operand, Result) else instead.get(operand, operand)

    return [replace(op, inputs=tuple(map(moved, op.inputs))) for op in operators]


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
    shifted = replace(binary("ADD", Input(), _scalar(3.0), spec.out_shape, "relu6"), bounds=(0.0, 6.0))
    return shifted, replace(binary("MUL", Result(0), _scalar(1 / 6), spec.out_shape), bounds=(0.0, 1.0))


def _int8_hard_swish(spec: OpSpec) -> tuple[TfliteOp, ...]:
    gate = _hard_sigmoid(spec)
    return *gate, binary("MUL", Input(), Result(len(gate) - 1), spec.out_shape)


def _int8_sigmoid(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """TFLite fixes the scale of LOGISTIC; after QUANTIZE the output can share one with whatever it is joined with."""
    gate = TfliteOp("LOGISTIC", (Input(),), spec.out_shape, bounds=LOGISTIC_BOUNDS)
    return gate, TfliteOp("QUANTIZE", (Result(0),), spec.out_shape, bounds=(0.0, 1.0))


def _clamp(activation: str) -> Callable[[OpSpec], tuple[TfliteOp, ...]]:
    """A pool of one pixel with a fused activation, which XNNPACK takes as the activation alone."""
    ones = {"filterHeight": 1, "filterWidth": 1, "strideH": 1, "strideW": 1}
    options = {**ones, "padding": "VALID", "fusedActivationFunction": activation}
    return lambda spec: (TfliteOp("MAX_POOL_2D", (Input(),), spec.out_shape, options),)


def _silu(spec: OpSpec) -> tuple[TfliteOp, ...]:
    gate = TfliteOp("LOGISTIC", (Input(),), spec.out_shape, bounds=LOGISTIC_BOUNDS)
    return gate, binary("MUL", Input(), Result(0), spec.out_shape)


def _gelu(spec: OpSpec) -> tuple[TfliteOp, ...]:
    return (TfliteOp("GELU", (Input(),), spec.out_shape, {"approximate": False}),)


def _int8_gelu(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """As x * sigmoid(2 * sqrt(2 / pi) * (u + 0.044715 * u**3)); u is x between -3 and 3, where the sigmoid is flat.

    Source: Hendrycks and Gimpel, arXiv 1606.08415, section 2, where it stands as a tanh.
    """
    shape, slope, bend = spec.out_shape, GELU_SLOPE, GELU_BEND
    highest = 3 * (slope + 9 * bend)
    return (
        replace(binary("ADD", Input(), _scalar(3.0), shape, "relu6"), bounds=(0.0, 6.0)),
        replace(binary("ADD", Result(0), _scalar(-3.0), shape), bounds=(-3.0, 3.0)),
        replace(binary("MUL", Result(1), Result(1), shape), bounds=(0.0, 9.0)),
        replace(binary("MUL", Result(2), _scalar(bend), shape), bounds=(0.0, 9 * bend)),
        replace(binary("ADD", Result(3), _scalar(slope), shape), bounds=(0.0, slope + 9 * bend)),
        replace(binary("MUL", Result(1), Result(4), shape), bounds=(-highest, highest)),
        TfliteOp("LOGISTIC", (Result(5),), shape, bounds=LOGISTIC_BOUNDS),
        binary("MUL", Input(), Result(6), shape),
    )


def _concat(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """One part is kept as it is."""
    if len(spec.in_shapes) == 1:
        return _slice(spec)
    parts = [Input(i) for i in range(len(spec.in_shapes))]
    return _joined(parts, spec.in_shapes, 2)


def _joined(
    operands: Sequence[Operand], shapes: Sequence[Shape], axis: int, *, first: int = 0, batch: bool = True
) -> tuple[TfliteOp, ...]:
    """Two tensors or more along one axis: XNNPACK takes up to five, and more are added to what is there.

    Args:
        operands: The tensors.
        shapes: Their shapes.
        axis: Of the shapes.
        first: How many operators stand before these in the lowering.
        batch: Whether the 1 of the batch comes before the shapes.
    """
    parts, sizes = list(operands), [shape[axis] for shape in shapes]
    options = {"axis": axis + batch, "fusedActivationFunction": "NONE"}
    operators: list[TfliteOp] = []
    while len(parts) > 1:
        joined = sum(sizes[:MAX_CONCATENATED])
        shape = (*shapes[0][:axis], joined, *shapes[0][axis + 1 :])
        operators.append(TfliteOp("CONCATENATION", tuple(parts[:MAX_CONCATENATED]), shape, options, batch=batch))
        parts[:MAX_CONCATENATED] = [Result(first + len(operators) - 1)]
        sizes[:MAX_CONCATENATED] = [joined]
    return tuple(operators)


def _upsample(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """Columns, then rows, each as a row of a matrix that stands several times side by side.

    XNNPACK takes no RESIZE_NEAREST_NEIGHBOR, and the copies have the scale of the image in int8.
    """
    (height, width, channels), (rows, columns) = spec.in_shapes[0], spec.stride
    operators: list[TfliteOp] = []
    for count, repeated, image in (
        (columns, (height * width, 1, channels), (height, width * columns, channels)),
        (rows, (height, 1, width * columns * channels), spec.out_shape),
    ):
        if count == 1:
            continue
        operators.append(_reshape(_last(operators), repeated))
        operators += _joined([_last(operators)] * count, [repeated] * count, 1, first=len(operators), batch=False)
        operators.append(_reshape(_last(operators), (1, *image)))
    return tuple(operators)


def _last(operators: Sequence[TfliteOp]) -> Operand:
    """What the operators so far give, or the op's input."""
    return Result(len(operators) - 1) if operators else Input()


def _slice(spec: OpSpec) -> tuple[TfliteOp, ...]:
    size = Constant(np.array([1, *spec.out_shape], np.int32))
    return (TfliteOp("SLICE", (Input(), Parameter("begin"), size), spec.out_shape),)


def _channel_shuffle(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """The channels as rows of a matrix, one a group, that is transposed. Pixels are rows, as XNNPACK wants few axes."""
    height, width, channels = spec.out_shape
    rows = (height * width, spec.groups, channels // spec.groups)
    columns = (rows[0], rows[2], rows[1])
    order = Constant(np.array([0, 2, 1], np.int32))
    return (
        _reshape(Input(), rows),
        TfliteOp("TRANSPOSE", (Result(0), order), columns, batch=False),
        _reshape(Result(1), (1, *spec.out_shape)),
    )


def _reshape(operand: Operand, shape: tuple[int, ...]) -> TfliteOp:
    sizes = Constant(np.array(shape, np.int32))
    return TfliteOp("RESHAPE", (operand, sizes), shape, {"newShape": list(shape)}, batch=False)


_RULES: dict[OpKind, Callable[[OpSpec], tuple[TfliteOp, ...]]] = {
    OpKind.CONV2D: _conv,
    OpKind.DEPTHWISE_CONV2D: _depthwise,
    OpKind.FULLY_CONNECTED: _fully_connected,
    OpKind.MAX_POOL2D: pool,
    OpKind.AVG_POOL2D: pool,
    OpKind.MEAN: _mean,
    OpKind.PAD: lambda spec: (padding_op(spec),),
    OpKind.ADD: _two("ADD"),
    OpKind.MUL: _two("MUL"),
    OpKind.CONCAT: _concat,
    OpKind.SLICE: _slice,
    OpKind.CHANNEL_SHUFFLE: _channel_shuffle,
    OpKind.UPSAMPLE: _upsample,
    OpKind.RELU: _elementwise("RELU"),
    OpKind.RELU6: _elementwise("RELU6"),
    OpKind.HARD_SWISH: _elementwise("HARD_SWISH"),
    OpKind.HARD_SIGMOID: _hard_sigmoid,
    OpKind.SIGMOID: _elementwise("LOGISTIC"),
    OpKind.SILU: _silu,
    OpKind.GELU: _gelu,
}

_INT8_RULES = _RULES | {
    OpKind.DEPTHWISE_CONV2D: _int8_depthwise,
    OpKind.AVG_POOL2D: average_by_convolution,
    OpKind.RELU: _clamp("RELU"),
    OpKind.RELU6: _clamp("RELU6"),
    OpKind.HARD_SWISH: _int8_hard_swish,
    OpKind.SIGMOID: _int8_sigmoid,
    OpKind.GELU: _int8_gelu,
}


def _dequantized(operators: tuple[TfliteOp, ...]) -> tuple[TfliteOp, ...]:
    """Operators whose parameters are read through DEQUANTIZE, which XNNPACK does once, when it loads the file."""
    operands = [operand for op in operators for operand in op.inputs]
    parameters = [o for o in operands if isinstance(o, Parameter) and o.name != "begin"]
    before = [TfliteOp("DEQUANTIZE", (parameter,), ()) for parameter in parameters]
    return *before, *_moved(operators, len(before), {o: Result(i) for i, o in enumerate(parameters)})
