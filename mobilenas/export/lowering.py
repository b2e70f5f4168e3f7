"""lower: an op as the TFLite operators that compute it.

Micro-models and whole networks use it, so what is timed is what ships.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec, Shape
from mobilenas.registry import unknown

DTYPES = ("float32",)


@dataclass(frozen=True, slots=True)
class Input:
    """The op's own input number `index`."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """The output of operator number `index` of the same lowering."""

    index: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """The node's "weight" or "bias", folded."""

    name: str


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A constant tensor."""

    value: npt.NDArray[np.generic]


Operand = Input | Result | Parameter | Constant


@dataclass(frozen=True, slots=True)
class TfliteOp:
    """One TFLite operator.

    Attributes:
        code: Name in `BuiltinOperator`, such as `CONV_2D`.
        inputs: What it reads.
        out_shape: (height, width, channels) of its output.
        options: Fields of its builtin options table, by name.
        flat: Whether its output is (1, channels) and not (1, height, width, channels).
    """

    code: str
    inputs: tuple[Operand, ...]
    out_shape: Shape
    options: Mapping[str, object] = field(default_factory=dict)
    flat: bool = False


def lower(spec: OpSpec, dtype: str = "float32") -> tuple[TfliteOp, ...]:
    """The operators that compute `spec`, in execution order; the last one gives its output.

    Every form here is taken by XNNPACK as part of one delegate; a test holds it.

    Raises:
        InputError: If the dtype is not known.
    """
    if dtype not in DTYPES:
        raise InputError(unknown("dtype", dtype, list(DTYPES)))
    return _RULES[spec.kind](spec)


def _conv(spec: OpSpec) -> tuple[TfliteOp, ...]:
    operands = (Parameter("weight"), Parameter("bias"))
    if spec.kind is OpKind.CONV2D:
        return _windowed(spec, "CONV_2D", operands, _dilation(spec))
    multiplier = {"depthMultiplier": spec.out_channels // spec.in_shapes[0][2]}
    return _windowed(spec, "DEPTHWISE_CONV_2D", operands, {**_dilation(spec), **multiplier})


def _windowed(
    spec: OpSpec,
    code: str,
    operands: tuple[Operand, ...],
    options: Mapping[str, object],
    pad_value: float | None = None,
) -> tuple[TfliteOp, ...]:
    """One operator with a window; explicit padding becomes PAD before it, which XNNPACK fuses."""
    window = {
        "padding": "SAME" if spec.padding == "same" else "VALID",
        "strideH": spec.stride[0],
        "strideW": spec.stride[1],
        "fusedActivationFunction": spec.activation.upper(),
        **options,
    }
    if spec.padding in ("same", "valid"):
        return (TfliteOp(code, (Input(), *operands), spec.out_shape, window),)
    pad = _padding_op(spec, pad_value)
    return pad, TfliteOp(code, (Result(0), *operands), spec.out_shape, window)


def _padding_op(spec: OpSpec, value: float | None = None) -> TfliteOp:
    height, width, channels = spec.in_shapes[0]
    vertical, horizontal = spec.explicit_padding
    amounts = Constant(np.array([(0, 0), vertical, horizontal, (0, 0)], np.int32))
    shape = (height + sum(vertical), width + sum(horizontal), channels)
    if value is None:
        return TfliteOp("PAD", (Input(), amounts), shape)
    return TfliteOp("PADV2", (Input(), amounts, Constant(np.array(value, np.float32))), shape)


def _dilation(spec: OpSpec) -> dict[str, object]:
    return {"dilationHFactor": spec.dilation[0], "dilationWFactor": spec.dilation[1]}


def _pool(spec: OpSpec) -> tuple[TfliteOp, ...]:
    window = {"filterHeight": spec.kernel_size[0], "filterWidth": spec.kernel_size[1]}
    if spec.kind is OpKind.MAX_POOL2D:
        lowest = float(np.finfo(np.float32).min)
        return _windowed(spec, "MAX_POOL_2D", (), window, pad_value=lowest)
    if spec.padding in ("same", "valid"):
        return _windowed(spec, "AVERAGE_POOL_2D", (), window)
    return _average_with_explicit_padding(spec)


def _average_with_explicit_padding(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """The sum of each window as a constant depthwise convolution, times one over the number of its real pixels."""
    height, width, channels = spec.in_shapes[0]
    real = np.pad(np.ones((height, width), np.float32), spec.explicit_padding)
    rows, columns, _ = spec.out_shape
    windows = np.lib.stride_tricks.sliding_window_view(real, spec.kernel_size)[:: spec.stride[0], :: spec.stride[1]]
    counts = np.maximum(windows.sum((2, 3))[:rows, :columns], 1).reshape(1, rows, columns, 1)
    ones = Constant(np.ones((1, *spec.kernel_size, channels), np.float32))
    zeros = Constant(np.zeros(channels, np.float32))
    options = {
        "padding": "VALID",
        "strideH": spec.stride[0],
        "strideW": spec.stride[1],
        "depthMultiplier": 1,
        "fusedActivationFunction": "NONE",
        **_dilation(spec),
    }
    return (
        _padding_op(spec),
        TfliteOp("DEPTHWISE_CONV_2D", (Result(0), ones, zeros), spec.out_shape, options),
        _binary("MUL", Result(1), Constant(1 / counts), spec.out_shape, spec.activation),
    )


def _binary(code: str, a: Operand, b: Operand, shape: Shape, activation: str = "none") -> TfliteOp:
    return TfliteOp(code, (a, b), shape, {"fusedActivationFunction": activation.upper()})


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
    return lambda spec: (_binary(code, Input(0), Input(1), spec.out_shape, spec.activation),)


def _hard_sigmoid(spec: OpSpec) -> tuple[TfliteOp, ...]:
    shifted = _binary("ADD", Input(), _scalar(3.0), spec.out_shape, "relu6")
    return shifted, _binary("MUL", Result(0), _scalar(1 / 6), spec.out_shape)


def _silu(spec: OpSpec) -> tuple[TfliteOp, ...]:
    gate = TfliteOp("LOGISTIC", (Input(),), spec.out_shape)
    return gate, _binary("MUL", Input(), Result(0), spec.out_shape)


def _concat(spec: OpSpec) -> tuple[TfliteOp, ...]:
    parts = tuple(Input(i) for i in range(len(spec.in_shapes)))
    return (TfliteOp("CONCATENATION", parts, spec.out_shape, {"axis": 3, "fusedActivationFunction": "NONE"}),)


def _slice(spec: OpSpec) -> tuple[TfliteOp, ...]:
    begin = Constant(np.zeros(4, np.int32))
    size = Constant(np.array([1, *spec.out_shape], np.int32))
    return (TfliteOp("SLICE", (Input(), begin, size), spec.out_shape),)


_RULES: dict[OpKind, Callable[[OpSpec], tuple[TfliteOp, ...]]] = {
    OpKind.CONV2D: _conv,
    OpKind.DEPTHWISE_CONV2D: _conv,
    OpKind.FULLY_CONNECTED: _fully_connected,
    OpKind.MAX_POOL2D: _pool,
    OpKind.AVG_POOL2D: _pool,
    OpKind.MEAN: _mean,
    OpKind.PAD: lambda spec: (_padding_op(spec),),
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
