"""Scales and zero points of int8 tensors, and constants stored in them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
STEPS = 255
"""Between the lowest and the highest int8."""
WEIGHT_LIMIT = 127
BIAS_LIMIT = 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Quantization:
    """What stored integers stand for: real = scale * (stored - zero_point).

    Attributes:
        scale: One value, or one for each index of `axis`.
        zero_point: The integer that stands for 0.
        axis: Axis of per-channel scales.
        unsigned: Whether the integers are uint8, as old converters write them, and not int8.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
        arXiv 1712.05877, section 2.1; the TFLite 8-bit quantization specification.
    """

    scale: npt.NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0
    unsigned: bool = False

    def stored(self, values: Floats) -> npt.NDArray[np.int8]:
        """Real values as int8, rounded; what lies outside becomes the nearest that can be stored.

        Args:
            values: Any shape; the scale must be a single one.
        """
        steps = np.rint(values.astype(np.float64) / float(self.scale[0])) + self.zero_point
        return steps.clip(-128, 127).astype(np.int8)


def quantization(low: float, high: float) -> Quantization:
    """The quantization whose 256 values spread over low .. high; low <= 0 <= high and low < high."""
    scale = np.float32((high - low) / STEPS)
    zero_point = int(np.clip(np.rint(-128 - low / float(scale)), -128, 127))
    return Quantization(scale.reshape(1), zero_point)


def quantized_constant(values: Floats) -> tuple[npt.NDArray[np.int8], Quantization]:
    """A constant as int8, in the quantization of its own values and 0."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    found = quantization(low, high if high > low else 1.0)
    return found.stored(values), found


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedKernel:
    """Weights and bias of one operator: weights int8 with a scale a channel, bias int32.

    Attributes:
        weight: Values from -127 to 127; the zero point is 0.
        weight_quantization: One scale for each output channel.
        bias: Of scale input scale * weight scale.
        bias_quantization: Its scales.
    """

    weight: npt.NDArray[np.int8]
    weight_quantization: Quantization
    bias: npt.NDArray[np.int32]
    bias_quantization: Quantization


def quantized_kernel(
    weight: Floats, bias: Floats, axis: int, source: Quantization, out: Quantization
) -> QuantizedKernel:
    """Stores weights and bias of an operator.

    The scale of a channel is its largest weight / 127, but never so small that the bias leaves int32 or that XNNPACK
    refuses the operator (input scale * weight scale / output scale below 2**-32), as happens in channels that are dead.

    Args:
        weight: In TFLite's layout.
        bias: Shape (output channels,).
        axis: Axis of the weights that counts output channels.
        source: Quantization of the input.
        out: Quantization of the output.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    source_scale, out_scale = float(source.scale[0]), float(out.scale[0])
    floor = np.maximum(
        np.abs(bias, dtype=np.float64) / (source_scale * BIAS_LIMIT), out_scale / source_scale * 2.0**-31
    )
    largest = np.abs(weight).max(others).astype(np.float64)
    scale = np.maximum(np.maximum(largest / WEIGHT_LIMIT, floor), np.finfo(np.float32).tiny).astype(np.float32)
    shape = [1] * weight.ndim
    shape[axis] = -1
    stored = np.clip(np.rint(weight / scale.reshape(shape)), -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8)
    bias_scale = (source_scale * scale.astype(np.float64)).astype(np.float32)
    bias_stored = np.rint(bias / bias_scale.astype(np.float64)).astype(np.int32)
    return QuantizedKernel(stored, Quantization(scale, axis=axis), bias_stored, Quantization(bias_scale))
