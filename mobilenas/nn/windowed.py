"""Ops with a window in torch: convolutions and pools, with TF SAME or explicit padding."""

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F  # the customary name
from torch import Tensor

from mobilenas.graph import Activation, OpKind, OpNode, OpSpec
from mobilenas.graph.kind import Pair
from mobilenas.nn.fused import fused


@dataclass(frozen=True, slots=True)
class Border:
    """Padding as torch takes it: what is equal on opposite sides is left to the op itself, which copies nothing.

    Attributes:
        symmetric: (vertical, horizontal) for the op itself; (0, 0) where `explicit` stands.
        explicit: (left, right, top, bottom) for a pad before the op, or None.
    """

    symmetric: Pair
    explicit: tuple[int, int, int, int] | None

    @classmethod
    def of(cls, spec: OpSpec) -> Self:
        """The border of a spec; torch's pools take at most half a window themselves."""
        (top, bottom), (left, right) = spec.explicit_padding
        pools = spec.kind in (OpKind.MAX_POOL2D, OpKind.AVG_POOL2D)
        wide = pools and (2 * top > spec.kernel_size[0] or 2 * left > spec.kernel_size[1])
        if top == bottom and left == right and not wide:
            return cls((top, left), None)
        return cls((0, 0), (left, right, top, bottom))

    def around(self, x: Tensor, value: float = 0.0) -> Tensor:
        """`x` with the explicit part around it."""
        return x if self.explicit is None else F.pad(x, self.explicit, value=value)


class Convolution:
    """Regular, grouped or depthwise convolution."""

    def __init__(self, node: OpNode) -> None:
        spec = node.spec
        self.stride, self.dilation, self.border = spec.stride, spec.dilation, Border.of(spec)
        self.groups = spec.in_shapes[0][2] if spec.kind is OpKind.DEPTHWISE_CONV2D else spec.groups

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(N, C, H, W) and (O, C / groups, kH, kW) to (N, O, H', W')."""
        x = self.border.around(x)
        return F.conv2d(x, weight, bias, self.stride, self.border.symmetric, self.dilation, self.groups)


class MaxPool:
    """The largest value of each window; padding takes no part."""

    def __init__(self, node: OpNode) -> None:
        self.kernel_size, self.stride, self.border = node.spec.kernel_size, node.spec.stride, Border.of(node.spec)
        self.activation: Activation = node.spec.activation

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        x = self.border.around(x, -torch.inf)
        return fused(F.max_pool2d(x, self.kernel_size, self.stride, self.border.symmetric), self.activation)


class AvgPool:
    """The mean of each window's real pixels; padding takes no part."""

    def __init__(self, node: OpNode) -> None:
        self.kernel_size, self.stride, self.border = node.spec.kernel_size, node.spec.stride, Border.of(node.spec)
        self.activation: Activation = node.spec.activation

    def __call__(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if self.border.explicit is None:
            y = F.avg_pool2d(x, self.kernel_size, self.stride, self.border.symmetric, count_include_pad=False)
        else:
            y = self._sums(x) / self._sums(torch.ones_like(x[:1, :1]))
        return fused(y, self.activation)

    def _sums(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.border.around(x), self.kernel_size, self.stride, divisor_override=1)
