"""Torch's own operators on real tensors: what shapes, weights and multiply-adds are checked against."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mobilenas.graph import OpKind, OpSpec


def run_op(spec: OpSpec, *inputs: Tensor) -> Tensor:
    """The op on tensors (1, C, H, W) with weights of one; explicit padding by `F.pad`, batch norm and bias left out."""
    x = inputs[0]
    (top, bottom), (left, right) = spec.explicit_padding
    value = -torch.inf if spec.kind is OpKind.MAX_POOL2D else 0.0
    padded = F.pad(x, (left, right, top, bottom), value=value)
    channels = x.shape[1]
    window = {"stride": spec.stride, "dilation": spec.dilation}
    match spec.kind:
        case OpKind.CONV2D:
            weight = torch.ones(spec.out_channels, channels // spec.groups, *spec.kernel_size)
            return F.conv2d(padded, weight, groups=spec.groups, **window)
        case OpKind.DEPTHWISE_CONV2D:
            weight = torch.ones(spec.out_channels, 1, *spec.kernel_size)
            return F.conv2d(padded, weight, groups=channels, **window)
        case OpKind.FULLY_CONNECTED:
            return F.linear(x.flatten(1), torch.ones(spec.out_channels, x.numel()))[..., None, None]
        case OpKind.MAX_POOL2D:
            return F.max_pool2d(padded, spec.kernel_size, **window)
        case OpKind.AVG_POOL2D:
            return F.avg_pool2d(padded, spec.kernel_size, spec.stride)
        case OpKind.MEAN:
            return x.mean((2, 3), keepdim=True)
        case OpKind.PAD:
            return padded
        case OpKind.ADD:
            return x + inputs[1]
        case OpKind.MUL:
            return x * inputs[1]
        case OpKind.CONCAT:
            return torch.cat(inputs, 1)
        case OpKind.SLICE:
            return x[:, : spec.out_channels]
        case OpKind.CHANNEL_SHUFFLE:
            return F.channel_shuffle(x, spec.groups)
        case OpKind.UPSAMPLE:
            return x.repeat_interleave(spec.stride[0], 2).repeat_interleave(spec.stride[1], 3)
        case _:
            return F.relu(x)


def counted_macs(spec: OpSpec) -> int:
    """Multiply-adds of a convolution or fully connected layer, counted by running it.

    With ones everywhere, padding included, every output is the number of products that were added.
    """
    (height, width, channels) = spec.in_shapes[0]
    (top, bottom), (left, right) = spec.explicit_padding
    if spec.kind is OpKind.FULLY_CONNECTED:
        return int(run_op(spec, torch.ones(1, channels, height, width)).sum())
    ones = torch.ones(1, channels, height + top + bottom, width + left + right)
    grown = OpSpec(
        spec.kind,
        ((ones.shape[2], ones.shape[3], channels),),
        spec.out_channels,
        spec.kernel_size,
        spec.stride,
        spec.dilation,
        spec.groups,
        "valid",
    )
    return int(run_op(grown, ones).sum())
