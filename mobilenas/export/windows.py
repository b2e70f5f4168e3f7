"""Operators with a window and padding, in the forms that XNNPACK takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mobilenas.export.tflite_op import Constant, Input, Operand, Result, TfliteOp, repeated
from mobilenas.graph import OpKind, OpSpec, Shape


def windowed(
    spec: OpSpec,
    code: str,
    operands: tuple[Operand, ...],
    options: Mapping[str, object],
    around: Callable[[OpSpec], tuple[TfliteOp, ...]] | None = None,
) -> tuple[TfliteOp, ...]:
    """One operator with a window; explicit padding becomes operators before it, a PAD unless `around` gives others."""
    window = {
        "padding": "SAME" if spec.padding == "same" else "VALID",
        "strideH": spec.stride[0],
        "strideW": spec.stride[1],
        "fusedActivationFunction": spec.activation.upper(),
        **options,
    }
    if spec.padding in ("same", "valid"):
        return (TfliteOp(code, (Input(), *operands), spec.out_shape, window),)
    before = around(spec) if around else (padding_op(spec),)
    return *before, TfliteOp(code, (Result(len(before) - 1), *operands), spec.out_shape, window)


def padding_op(spec: OpSpec) -> TfliteOp:
    """Zeros around the op's input, as many as `spec.explicit_padding` says."""
    height, width, channels = spec.in_shapes[0]
    vertical, horizontal = spec.explicit_padding
    amounts = Constant(np.array([(0, 0), vertical, horizontal, (0, 0)], np.int32))
    shape = (height + sum(vertical), width + sum(horizontal), channels)
    return TfliteOp("PAD", (Input(), amounts), shape)


def dilation(spec: OpSpec) -> dict[str, object]:
    """The options of a convolution's dilation."""
    return {"dilationHFactor": spec.dilation[0], "dilationWFactor": spec.dilation[1]}


def binary(code: str, a: Operand, b: Operand, shape: Shape, activation: str = "none") -> TfliteOp:
    """ADD or MUL, broadcast."""
    return TfliteOp(code, (a, b), shape, {"fusedActivationFunction": activation.upper()})


def pool(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """The largest value or the mean of each window.

    XNNPACK's pools refuse a window of one pixel and strides beyond the window; those become depthwise convolutions.
    """
    if spec.kernel_size == (1, 1):
        return (_picked(spec, Input(), spec.activation),)
    window = {"filterHeight": spec.kernel_size[0], "filterWidth": spec.kernel_size[1]}
    skips = any(stride > kernel for stride, kernel in zip(spec.stride, spec.kernel_size, strict=True))
    if spec.kind is OpKind.MAX_POOL2D:
        return _skipping_max_pool(spec) if skips else windowed(spec, "MAX_POOL_2D", (), window, _lowest_around)
    if spec.padding in ("same", "valid") and not skips:
        return windowed(spec, "AVERAGE_POOL_2D", (), window)
    return average_by_convolution(spec)


def average_by_convolution(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """The mean of each window as a constant depthwise convolution.

    Where some windows have fewer real pixels than others, it divides by the largest number, and a multiplication by a
    constant map, nowhere below 1, makes that up.
    """
    channels = spec.out_channels
    rows, columns = (real_pixels(spec, axis).astype(np.float32) for axis in (0, 1))
    most = np.maximum(rows.max() * columns.max(), 1)
    operands = (repeated(1 / most, 1, *spec.kernel_size, channels), repeated(0, channels))
    options = {"depthMultiplier": 1, **dilation(spec)}
    if windows_are_equal(spec):
        return windowed(spec, "DEPTHWISE_CONV_2D", operands, options)
    *before, means = windowed(replace(spec, activation="none"), "DEPTHWISE_CONV_2D", operands, options)
    border = Constant(most / np.maximum(np.outer(rows, columns), 1).reshape(1, len(rows), len(columns), 1))
    scaled = binary("MUL", Result(len(before)), border, spec.out_shape, spec.activation)
    return *before, means, scaled


def real_pixels(spec: OpSpec, axis: int) -> npt.NDArray[np.int64]:
    """How many rows (axis 0) or columns (1) of each window are no padding; a window has as many pixels as both say."""
    size, (before, _) = spec.in_shapes[0][axis], spec.explicit_padding[axis]
    starts = np.arange(spec.out_shape[axis]) * spec.stride[axis] - before
    ends = np.minimum(starts + spec.kernel_size[axis], size)
    found: npt.NDArray[np.int64] = np.maximum(ends - np.maximum(starts, 0), 0)
    return found


def windows_are_equal(spec: OpSpec) -> bool:
    """Whether all windows have as many real pixels; one with none counts as one with one."""
    counts = [real_pixels(spec, axis) for axis in (0, 1)]
    least, most = (int(np.prod([pick(found) for found in counts])) for pick in (np.min, np.max))
    return max(least, 1) == max(most, 1)


def _skipping_max_pool(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """A stride beyond the window, which XNNPACK's pools refuse: every window, then every stride-th of them."""
    (kernel_h, kernel_w), (stride_h, stride_w) = spec.kernel_size, spec.stride
    pool_h, pool_w = (stride_h if stride_h <= kernel_h else 1), (stride_w if stride_w <= kernel_w else 1)
    around = _lowest_around(spec)
    height, width, channels = around[-1].out_shape if around else spec.in_shapes[0]
    pooled = replace(
        spec,
        in_shapes=((height, width, channels),),
        stride=(pool_h, pool_w),
        padding="valid",
        activation="none",
    )
    window = {"filterHeight": kernel_h, "filterWidth": kernel_w, "strideH": pool_h, "strideW": pool_w}
    options = {**window, "padding": "VALID", "fusedActivationFunction": "NONE"}
    pool = TfliteOp("MAX_POOL_2D", (Result(len(around) - 1) if around else Input(),), pooled.out_shape, options)
    picked = replace(
        pooled,
        in_shapes=(pooled.out_shape,),
        kernel_size=(1, 1),
        stride=(stride_h // pool_h, stride_w // pool_w),
    )
    return *around, pool, _picked(picked, Result(len(around)), spec.activation)


def _picked(spec: OpSpec, operand: Operand, activation: str = "none") -> TfliteOp:
    """Every stride-th pixel, by a depthwise convolution of one pixel."""
    channels = spec.out_channels
    ones, zeros = repeated(1, 1, 1, 1, channels), repeated(0, channels)
    options = {
        "padding": "VALID",
        "strideH": spec.stride[0],
        "strideW": spec.stride[1],
        "depthMultiplier": 1,
        "fusedActivationFunction": activation.upper(),
        **dilation(spec),
    }
    return TfliteOp("DEPTHWISE_CONV_2D", (operand, ones, zeros), spec.out_shape, options)


def _lowest_around(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """Rows and columns of the lowest float around the input, concatenated: XNNPACK does not take PADV2."""
    operators: list[TfliteOp] = []
    operand: Operand = Input()
    shape = list(spec.in_shapes[0])
    for axis, (before, after) in enumerate(spec.explicit_padding):
        if before or after:
            start, end = (_lowest(shape, axis, count) for count in (before, after))
            parts = (*start, operand, *end)
            shape[axis] += before + after
            height, width, channels = shape
            options = {"axis": axis + 1, "fusedActivationFunction": "NONE"}
            operators.append(TfliteOp("CONCATENATION", parts, (height, width, channels), options))
            operand = Result(len(operators) - 1)
    return tuple(operators)


def _lowest(shape: Sequence[int], axis: int, count: int) -> tuple[Constant, ...]:
    sizes = [1, *shape]
    sizes[axis + 1] = count
    return (repeated(float(np.finfo(np.float32).min), *sizes),) if count else ()
