"""The constant operands of an operator as a file stores them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export.quantization import Quantization, quantized_constant, quantized_kernel
from mobilenas.export.ranges import KEEPS_SCALE
from mobilenas.export.tflite_op import Constant, Parameter, TfliteOp
from mobilenas.export.weights import Weights, folded
from mobilenas.graph import WEIGHTED, OpKind, OpNode

KERNEL_AXES = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
"""Operators that read weights and a bias, and the axis of their weights that counts output channels."""


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A constant tensor: its values, and what they stand for where they are quantized."""

    values: npt.NDArray[np.generic]
    quantization: Quantization | None = None


def parameters(node: OpNode, weights: Weights) -> dict[str, npt.NDArray[Any]]:
    """Folded weight and bias in TFLite's layout: OHWI, depthwise 1HWO, fully connected (O, I) over (H, W, C).

    For a slice, and for a concatenation of one part, which is written as one, where it begins; nothing for other nodes
    without weights.
    """
    if node.spec.kind in (OpKind.SLICE, OpKind.CONCAT):
        return {"begin": np.array([0, 0, 0, node.first_channel], np.int32)}
    if node.spec.kind not in WEIGHTED:
        return {}
    weight, bias = folded(node, weights)
    if node.spec.kind is OpKind.CONV2D:
        weight = weight.transpose(0, 2, 3, 1)
    elif node.spec.kind is OpKind.DEPTHWISE_CONV2D:
        weight = weight.transpose(1, 2, 3, 0)
    else:
        height, width, channels = node.spec.in_shapes[0]
        weight = weight.reshape(-1, channels, height, width).transpose(0, 2, 3, 1).reshape(weight.shape)
    return {"weight": weight, "bias": bias}


def float_constants(op: TfliteOp, values: Mapping[str, npt.NDArray[Any]], where: str) -> dict[int, Stored]:
    """The constants of an operator in a float file, by position; what DEQUANTIZE reads is float16.

    Raises:
        InputError: If a value is too large for float16.
    """
    found = {i: Stored(value) for i, value in _raw(op, values).items()}
    if op.code != "DEQUANTIZE":
        return found
    wide = found[0].values
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float16)
    if np.isinf(narrow).any() and np.isfinite(wide).all():
        largest = float(np.abs(wide).max())
        raise InputError(f"{where} holds {largest:g}, but float16 ends at 65504; export it as float32 or int8")
    return {0: Stored(narrow)}


def int8_constants(
    op: TfliteOp,
    values: Mapping[str, npt.NDArray[Any]],
    operands: Sequence[Quantization | None],
    out: Quantization | None,
) -> dict[int, Stored]:
    """The constants of an operator in an int8 file, by position.

    Args:
        op: The operator.
        values: `parameters` of its node.
        operands: Quantization of each operand that is no constant.
        out: Quantization of its output; None if that is float32.
    """
    raw = _raw(op, values)
    if out is None:
        return {i: Stored(value) for i, value in raw.items()}
    source = operands[0]
    if op.code in KERNEL_AXES and source is not None:
        kernel = quantized_kernel(raw[1], raw[2], KERNEL_AXES[op.code], source, out)
        return {1: Stored(kernel.weight, kernel.weight_quantization), 2: Stored(kernel.bias, kernel.bias_quantization)}
    found = {}
    for i, value in raw.items():
        if value.dtype != np.float32:
            found[i] = Stored(value)
        elif op.code in KEEPS_SCALE:
            found[i] = Stored(out.stored(value), out)
        else:
            found[i] = Stored(*quantized_constant(value))
    return found


def _raw(op: TfliteOp, values: Mapping[str, npt.NDArray[Any]]) -> dict[int, npt.NDArray[Any]]:
    named = ((i, o.of(values)) for i, o in enumerate(op.inputs) if isinstance(o, Parameter))
    return {**dict(named), **{i: o.value for i, o in enumerate(op.inputs) if isinstance(o, Constant)}}
