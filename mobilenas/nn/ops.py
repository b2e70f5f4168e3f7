"""Ops without a window in torch, and the module of each op kind."""

from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812  # the customary name
from torch import Tensor, nn

from mobilenas.graph import OpKind, OpNode
from mobilenas.nn.windowed import Conv2d, Pool2d, fused


class FullyConnected(nn.Linear):
    """Dropout while training, then a linear layer on the flattened input; (N, O, 1, 1)."""

    def __init__(self, node: OpNode) -> None:
        out_channels, in_channels = node.spec.weight_shape
        super().__init__(in_channels, out_channels, bias=node.bias)
        self.dropout, self.activation = node.dropout, node.spec.activation

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, 1, 1)."""
        x = F.dropout(input.flatten(1), self.dropout, self.training)
        return fused(super().forward(x), self.activation)[:, :, None, None]


class Binary(nn.Module):
    """Sum or product, broadcast, with a fused activation."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        self.compute = torch.add if node.spec.kind is OpKind.ADD else torch.mul
        self.activation = node.spec.activation

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two broadcastable (N, C, H, W) to one."""
        return fused(self.compute(a, b), self.activation)


class Concat(nn.Module):
    """Channels one after the other."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()

    def forward(self, *parts: Tensor) -> Tensor:
        """Several (N, C_i, H, W) to (N, sum of C_i, H, W)."""
        return torch.cat(parts, 1)


class Pad(nn.Module):
    """Zeros around the input."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        (top, bottom), (left, right) = node.spec.explicit_padding
        self.amounts = (left, right, top, bottom)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        return F.pad(x, self.amounts)


class Slice(nn.Module):
    """The first channels."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        self.out_channels = node.spec.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, out_channels, H, W)."""
        return x[:, : self.out_channels]


class Pointwise(nn.Module):
    """A function of one tensor."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        self.compute = FUNCTIONS[node.spec.kind]

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape; the mean to (N, C, 1, 1)."""
        return self.compute(x)


FUNCTIONS: dict[OpKind, Callable[[Tensor], Tensor]] = {
    OpKind.MEAN: lambda x: x.mean((2, 3), keepdim=True),
    OpKind.RELU: F.relu,
    OpKind.RELU6: F.relu6,
    OpKind.HARD_SWISH: F.hardswish,
    OpKind.HARD_SIGMOID: F.hardsigmoid,
    OpKind.SIGMOID: torch.sigmoid,
    OpKind.SILU: F.silu,
}

OP_MODULES: dict[OpKind, Callable[[OpNode], nn.Module]] = {
    OpKind.CONV2D: Conv2d,
    OpKind.DEPTHWISE_CONV2D: Conv2d,
    OpKind.FULLY_CONNECTED: FullyConnected,
    OpKind.MAX_POOL2D: Pool2d,
    OpKind.AVG_POOL2D: Pool2d,
    OpKind.ADD: Binary,
    OpKind.MUL: Binary,
    OpKind.CONCAT: Concat,
    OpKind.PAD: Pad,
    OpKind.SLICE: Slice,
    **dict.fromkeys(FUNCTIONS, Pointwise),
}
"""What computes each op kind; a module that has weights is used for every node of the same `weight_name`."""
