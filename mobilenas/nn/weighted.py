"""The module that holds one op's parameters, apart from how a node uses them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # the customary name
from torch import Tensor, nn

from mobilenas.graph import Activation, OpKind, OpNode
from mobilenas.nn.fused import fused


@dataclass(frozen=True, slots=True)
class Use:
    """How one node uses weights; nodes that share them may differ in it.

    Attributes:
        compute: From input, weight and bias to output.
        dropout: Share of the input that is dropped while training.
        activation: After batch norm.
    """

    compute: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    dropout: float
    activation: Activation


class WeightedOp(nn.Module):
    """`weight`, `bias` and the child `batch_norm` of a convolution or a fully connected layer.

    Attributes:
        weight: (O, I / groups, kH, kW) or (O, I).
        bias: (O,), or None.
        batch_norm: Follows the op, or None.
        fan_out: Outputs that one input value reaches, in one group.
    """

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        spec = node.spec
        groups = spec.in_shapes[0][2] if spec.kind is OpKind.DEPTHWISE_CONV2D else spec.groups
        self.fan_out = spec.out_channels // groups * math.prod(spec.weight_shape[2:])
        self.weight = nn.Parameter(torch.empty(spec.weight_shape))
        self.bias = nn.Parameter(torch.empty(spec.out_channels)) if node.bias else None
        norm = node.batch_norm
        self.batch_norm = None if norm is None else nn.BatchNorm2d(spec.out_channels, eps=norm.epsilon)

    def forward(self, x: Tensor, use: Use) -> Tensor:
        """(N, C, H, W) to (N, O, H', W')."""
        if use.dropout:
            x = F.dropout(x, use.dropout, self.training)
        x = use.compute(x, self.weight, self.bias)
        if self.batch_norm is not None:
            x = self.batch_norm(x)
        return fused(x, use.activation)

    def extra_repr(self) -> str:
        """The shape of the weights, for `print(module)`."""
        return f"{tuple(self.weight.shape)}, bias={self.bias is not None}"
