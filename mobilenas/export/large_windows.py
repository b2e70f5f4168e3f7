"""Depthwise convolutions of large windows, in pieces for which XNNPACK has fast kernels."""

import math
from collections.abc import Iterator

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export.tflite_op import (
    MAX_VALUES,
    Constant,
    Input,
    Operand,
    Parameter,
    Result,
    TfliteOp,
    Window,
    repeated,
)
from mobilenas.export.windows import binary, dilation, padding_op
from mobilenas.graph import OpKind, OpSpec
from mobilenas.graph.kind import Pair

MOST_TAPS = 25
"""Pixels of the largest window for which XNNPACK has a depthwise kernel (`benchmarks/large_windows.py`)."""
MOST_PIECES = 16
"""Beyond, what the pieces copy and add outweighs that."""


def is_large(spec: OpSpec) -> bool:
    """Whether a depthwise convolution has no kernel of its own."""
    return spec.kind is OpKind.DEPTHWISE_CONV2D and math.prod(spec.kernel_size) > MOST_TAPS


def is_in_pieces(spec: OpSpec) -> bool:
    """Whether one is written as the sum of several."""
    few_enough = is_large(spec) and math.prod(spec.kernel_size) <= MOST_PIECES * MOST_TAPS
    return few_enough and len(pieces(spec.kernel_size)) <= MOST_PIECES


def pieces(kernel_size: Pair) -> list[Window]:
    """Parts of a window of at most 25 pixels each, as few as rectangles in rows and columns can be."""
    height, width = kernel_size
    columns = min(range(1, width + 1), key=lambda n: (n * _rows(height, -(-width // n)), n))
    across = -(-width // columns)
    down = MOST_TAPS // across or 1
    return [
        ((top, min(top + down, height)), (left, min(left + across, width)))
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def _rows(height: int, across: int) -> int:
    """How many pieces of a width cover a height; none of more than 25 pixels does."""
    return -(-height // (MOST_TAPS // across)) if across <= MOST_TAPS else 10**9


def in_pieces(spec: OpSpec) -> tuple[TfliteOp, ...]:
    """The sum of what every piece of the window gives on the rows and columns that it sees."""
    return tuple(_in_pieces(spec))


def _in_pieces(spec: OpSpec) -> Iterator[TfliteOp]:
    (vertical, horizontal), channels = spec.explicit_padding, spec.in_shapes[0][2]
    padded = sum(vertical) + spec.in_shapes[0][0], sum(horizontal) + spec.in_shapes[0][1]
    options = {
        "padding": "VALID",
        "strideH": spec.stride[0],
        "strideW": spec.stride[1],
        "depthMultiplier": spec.out_channels // channels,
        "fusedActivationFunction": "NONE",
        **dilation(spec),
    }
    image: Operand = Input()
    count = 0
    if any((*vertical, *horizontal)):
        yield padding_op(spec)
        image, count = Result(0), 1
    total: Operand | None = None
    parts = pieces(spec.kernel_size)
    for number, window in enumerate(parts):
        begins = [begin * step for (begin, _), step in zip(window, spec.dilation, strict=True)]
        sizes = [
            (out - 1) * stride + (end - begin - 1) * step + 1
            for out, stride, (begin, end), step in zip(
                spec.out_shape[:2], spec.stride, window, spec.dilation, strict=True
            )
        ]
        if max(*begins, *sizes) > MAX_VALUES:
            raise InputError(f"an image of {padded[0]} x {padded[1]} pixels is too large")
        seen = image
        if (*begins, *sizes) != (0, 0, *padded):
            begin = Constant(np.array([0, *begins, 0], np.int32))
            size = Constant(np.array([1, *sizes, channels], np.int32))
            yield TfliteOp("SLICE", (image, begin, size), (sizes[0], sizes[1], channels))
            seen, count = Result(count), count + 1
        bias = repeated(0, spec.out_channels) if number else Parameter("bias")
        yield TfliteOp("DEPTHWISE_CONV_2D", (seen, Parameter("weight", window), bias), spec.out_shape, options)
        found, count = Result(count), count + 1
        if total is not None:
            activation = spec.activation if number == len(parts) - 1 else "none"
            yield binary("ADD", total, found, spec.out_shape, activation)
            found, count = Result(count), count + 1
        total = found
