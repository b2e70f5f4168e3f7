"""What computes each op kind in torch."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # the customary name
from torch import Tensor

from mobilenas.graph import Activation, OpKind, OpNode
from mobilenas.nn.fused import fused
from mobilenas.nn.windowed import AvgPool, Convolution, MaxPool


class FullyConnected:
    """A linear layer on the flattened input."""

    def __init__(self, node: OpNode) -> None:
        """Has no settings."""

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(N, C, H, W) and (O, C * H * W) to (N, O, 1, 1)."""
        return F.linear(x.flatten(1), weight, bias)[:, :, None, None]


class Sum:
    """Sum of two tensors, broadcast."""

    def __init__(self, node: OpNode) -> None:
        self.activation: Activation = node.spec.activation

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Two broadcastable (N, C, H, W) to one."""
        return fused(a + b, self.activation)


class Product:
    """Product of two tensors, broadcast."""

    def __init__(self, node: OpNode) -> None:
        self.activation: Activation = node.spec.activation

    def __call__(self, a: Tensor, b: Tensor) -> Tensor:
        """Two broadcastable (N, C, H, W) to one."""
        return fused(a * b, self.activation)


class Pad:
    """Zeros around the input."""

    def __init__(self, node: OpNode) -> None:
        (top, bottom), (left, right) = node.spec.explicit_padding
        self.amounts = (left, right, top, bottom)

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        return F.pad(x, self.amounts)


class Slice:
    """Some channels in a row."""

    def __init__(self, node: OpNode) -> None:
        self.first, self.stop = node.first_channel, node.first_channel + node.spec.out_channels

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, H, W)."""
        return x[:, self.first : self.stop]


class ChannelShuffle:
    """The channels of groups in turn."""

    def __init__(self, node: OpNode) -> None:
        self.groups = node.spec.groups

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return torch.channel_shuffle(x, self.groups)


class Upsample:
    """Every row and column several times."""

    def __init__(self, node: OpNode) -> None:
        self.rows, self.columns = node.spec.stride

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        return F.interpolate(x, scale_factor=(float(self.rows), float(self.columns)), mode="nearest")


def concat(*parts: Tensor) -> Tensor:
    """Several (N, C_i, H, W) to (N, sum of C_i, H, W)."""
    return torch.cat(parts, 1)


def mean(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 1, 1)."""
    return x.mean((2, 3), keepdim=True)


def _always(function: Callable[..., Tensor]) -> Callable[[OpNode], Callable[..., Tensor]]:
    """For kinds that need nothing of the node but its kind."""
    return lambda node: function


OPS: dict[OpKind, Callable[[OpNode], Callable[..., Tensor]]] = {
    OpKind.CONV2D: Convolution,
    OpKind.DEPTHWISE_CONV2D: Convolution,
    OpKind.FULLY_CONNECTED: FullyConnected,
    OpKind.MAX_POOL2D: MaxPool,
    OpKind.AVG_POOL2D: AvgPool,
    OpKind.MEAN: _always(mean),
    OpKind.PAD: Pad,
    OpKind.ADD: Sum,
    OpKind.MUL: Product,
    OpKind.CONCAT: _always(concat),
    OpKind.SLICE: Slice,
    OpKind.CHANNEL_SHUFFLE: ChannelShuffle,
    OpKind.UPSAMPLE: Upsample,
    OpKind.RELU: _always(F.relu),
    OpKind.RELU6: _always(F.relu6),
    OpKind.HARD_SWISH: _always(F.hardswish),
    OpKind.HARD_SIGMOID: _always(F.hardsigmoid),
    OpKind.SIGMOID: _always(torch.sigmoid),
    OpKind.SILU: _always(F.silu),
    OpKind.GELU: _always(F.gelu),
}
"""From a node to what computes it: of its inputs, or, for kinds with weights, of input, weight and bias."""
