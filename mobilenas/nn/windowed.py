"""Ops with a window in torch: convolutions and pools, with TF SAME or explicit padding."""

import torch
import torch.nn.functional as F  # noqa: N812  # the customary name
from torch import Tensor, nn

from mobilenas.graph import OpKind, OpNode, OpSpec


def split_padding(spec: OpSpec) -> tuple[tuple[int, int], tuple[int, int, int, int] | None]:
    """Padding as torch takes it: symmetric for the op itself, or none and amounts for `F.pad`.

    Returns:
        (vertical, horizontal) padding of the op, and (left, right, top, bottom) for a pad before it, None if there is none.
    """
    (top, bottom), (left, right) = spec.explicit_padding
    if top == bottom and left == right:
        return (top, left), None
    return (0, 0), (left, right, top, bottom)


class Conv2d(nn.Conv2d):
    """Convolution, batch norm as the child `batch_norm`, fused activation; regular, grouped and depthwise.

    `weight`, (O, I / groups, kH, kW), and `bias`, (O,), stand directly in it, so that names in a state dict are short.
    """

    def __init__(self, node: OpNode) -> None:
        spec = node.spec
        symmetric, self.explicit = split_padding(spec)
        channels = spec.in_shapes[0][2]
        super().__init__(
            channels,
            spec.out_channels,
            spec.kernel_size,
            stride=spec.stride,
            padding=symmetric,
            dilation=spec.dilation,
            groups=channels if spec.kind is OpKind.DEPTHWISE_CONV2D else spec.groups,
            bias=node.bias,
        )
        self.batch_norm = nn.BatchNorm2d(spec.out_channels, eps=node.batch_norm.epsilon) if node.batch_norm else None
        self.activation = spec.activation

    def forward(self, input: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W')."""
        x = super().forward(F.pad(input, self.explicit) if self.explicit else input)
        if self.batch_norm is not None:
            x = self.batch_norm(x)
        return fused(x, self.activation)


class Pool2d(nn.Module):
    """Maximum or mean of each window; padding takes no part in either."""

    def __init__(self, node: OpNode) -> None:
        super().__init__()
        spec = node.spec
        (vertical, horizontal), self.explicit = split_padding(spec)
        # torch takes at most half a window of padding itself
        if self.explicit is None and (vertical * 2 > spec.kernel_size[0] or horizontal * 2 > spec.kernel_size[1]):
            self.explicit = (horizontal, horizontal, vertical, vertical)
            vertical = horizontal = 0
        self.symmetric = (vertical, horizontal)
        self.kernel_size, self.stride, self.activation = spec.kernel_size, spec.stride, spec.activation
        self.is_max = spec.kind is OpKind.MAX_POOL2D

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H', W')."""
        if self.is_max:
            x = F.pad(x, self.explicit, value=-torch.inf) if self.explicit else x
            return fused(F.max_pool2d(x, self.kernel_size, self.stride, self.symmetric), self.activation)
        if self.explicit is None:
            mean = F.avg_pool2d(x, self.kernel_size, self.stride, self.symmetric, count_include_pad=False)
            return fused(mean, self.activation)
        real = F.pad(torch.ones_like(x[:1, :1]), self.explicit)
        total = F.avg_pool2d(F.pad(x, self.explicit), self.kernel_size, self.stride)
        return fused(total / F.avg_pool2d(real, self.kernel_size, self.stride), self.activation)


def fused(x: Tensor, activation: str) -> Tensor:
    """Applies a fused activation."""
    if activation == "relu":
        return F.relu(x)
    return F.relu6(x) if activation == "relu6" else x
