"""What the interpolation sees of an op."""

import numpy as np
import numpy.typing as npt

from mobilenas.graph import OpSpec

Floats = npt.NDArray[np.float64]
LOGARITHMS = 9
"""So many features come first that are logarithms to the base of two; the others are numbers and flags."""
LEAST_SPREAD = np.array([1.0] * LOGARITHMS + [0.3] * 3 + [0.5, 0.5, 0.3, 0.3])
"""What counts as one unit of a feature where measured ops differ less: a doubling, a third of a flag."""


def op_features(op: OpSpec) -> list[float]:
    """Logarithms of multiply-adds, bytes and sizes, what is not a multiple of four or sixteen, strides and flags."""
    height, width, channels = op.in_shapes[0]
    out_height, out_width, out_channels = op.out_shape
    log2 = [
        op.macs / 1e3 + 1,
        op.activation_bytes() / 1e3,
        op.weight_bytes() / 1e3 + 1,
        height * width,
        out_height * out_width,
        channels,
        out_channels,
        op.kernel_size[0] * op.kernel_size[1],
        op.groups,
    ]
    ragged = [float(channels % 4 != 0), float(out_channels % 4 != 0), float(out_channels % 16 != 0)]
    flags = [float(op.stride[0]), float(op.dilation[0]), float(op.activation != "none"), float(op.padding != "same")]
    return [*np.log2(log2).tolist(), *ragged, *flags]
