"""TFLite operators in torch: what `lower` gives for int8, computed on (N, C, H, W) tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # the customary name
from torch import Tensor

from mobilenas.export.tflite_op import TfliteOp
from mobilenas.graph.op import same_padding
from mobilenas.nn.fused import fused

AXES = {0: 0, 1: 2, 2: 3, 3: 1}
"""Where torch has TFLite's axes."""


def run_operator(op: TfliteOp, operands: Sequence[Tensor]) -> Tensor:
    """What an operator gives.

    Args:
        op: One of the operators of an int8 file.
        operands: Its inputs: values (N, C, H, W); weights in torch's layout; constants as `torch_layout` gives them.
    """
    return fused(_OPERATORS[op.code](op, *operands), _activation(op))


def torch_layout(op: TfliteOp, constant: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A constant operand in torch's layout: kernels (1, H, W, O) as (O, 1, H, W), images channels first."""
    if constant.ndim != 4:
        return constant
    return constant.transpose(3, 0, 1, 2) if op.code == "DEPTHWISE_CONV_2D" else constant.transpose(0, 3, 1, 2)


def _activation(op: TfliteOp) -> Any:
    return str(op.options.get("fusedActivationFunction", "NONE")).lower()


def _integer(op: TfliteOp, name: str) -> int:
    return int(str(op.options[name]))


def _around(op: TfliteOp, x: Tensor, kernel: Sequence[int], value: float = 0.0) -> Tensor:
    """`x` with the padding of SAME around it."""
    if op.options["padding"] != "SAME":
        return x
    sides = [
        same_padding(int(size), int(window), _integer(op, f"stride{axis}"), int(str(op.options.get(dilation, 1))))
        for size, window, axis, dilation in zip(
            x.shape[2:], kernel, "HW", ("dilationHFactor", "dilationWFactor"), strict=True
        )
    ]
    (top, bottom), (left, right) = sides
    return F.pad(x, (left, right, top, bottom), value=value) if top or bottom or left or right else x


def _convolution(op: TfliteOp, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    stride = _integer(op, "strideH"), _integer(op, "strideW")
    dilation = _integer(op, "dilationHFactor"), _integer(op, "dilationWFactor")
    groups = int(x.shape[1]) // int(weight.shape[1])
    return F.conv2d(_around(op, x, weight.shape[2:]), weight, bias, stride, 0, dilation, groups)


def _fully_connected(op: TfliteOp, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.linear(x.flatten(1), weight, bias)[:, :, None, None]


def _max_pool(op: TfliteOp, x: Tensor) -> Tensor:
    kernel = _integer(op, "filterHeight"), _integer(op, "filterWidth")
    stride = _integer(op, "strideH"), _integer(op, "strideW")
    return x if kernel == stride == (1, 1) else F.max_pool2d(_around(op, x, kernel, -torch.inf), kernel, stride)


def _pad(op: TfliteOp, x: Tensor, amounts: Tensor) -> Tensor:
    (top, bottom), (left, right) = amounts[1:3].tolist()
    return F.pad(x, (left, right, top, bottom))


def _slice(op: TfliteOp, x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    rows, columns, channels = (slice(int(begin[i]), int(begin[i] + size[i])) for i in (1, 2, 3))
    return x[:, channels, rows, columns]


def _reshape(op: TfliteOp, x: Tensor, shape: Tensor) -> Tensor:
    """An image to its pixels in rows, (N, pixels, A, B), or back: all that `lower` reshapes."""
    rows = [int(size) for size in shape.tolist()]
    if len(rows) == len(AXES):
        return x.reshape(len(x), *rows[1:]).permute(0, 3, 1, 2)
    return x.permute(0, 2, 3, 1).reshape(len(x), *rows)


def _concatenation(op: TfliteOp, *parts: Tensor) -> Tensor:
    """A part that is constant stands there once for all images."""
    count = max(len(part) for part in parts)
    return torch.cat([part.expand(count, -1, -1, -1) for part in parts], AXES[_integer(op, "axis")])


_OPERATORS: dict[str, Callable[..., Tensor]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _fully_connected,
    "MAX_POOL_2D": _max_pool,
    "PAD": _pad,
    "SLICE": _slice,
    "RESHAPE": _reshape,
    "TRANSPOSE": lambda op, x, axes: x.transpose(2, 3),
    "MEAN": lambda op, x, axes: x.mean((2, 3), keepdim=True),
    "ADD": lambda op, a, b: a + b,
    "MUL": lambda op, a, b: a * b,
    "LOGISTIC": lambda op, x: torch.sigmoid(x),
    "QUANTIZE": lambda op, x: x.clone(),
    "DEQUANTIZE": lambda op, x: x.clone(),
    "CONCATENATION": _concatenation,
}
