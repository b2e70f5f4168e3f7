"""Weights of a network that starts from scratch."""

import math

import torch
from torch import nn

from mobilenas.nn.ops import FullyConnected
from mobilenas.nn.windowed import Conv2d


def initialize(module: nn.Module, seed: int) -> None:
    """Initialises every weight, the same for the same seed.

    Convolutions: normal with standard deviation sqrt(2 / fan_out); fully connected: uniform within 1 / sqrt(fan_out);
    biases 0; batch norm the identity.

    Source: the MnasNet and EfficientNet reference implementations (`conv_kernel_initializer`, `dense_kernel_initializer`),
    after He et al., arXiv 1502.01852.
    Differs from the paper: a depthwise convolution's fan-out is that of one group, as in the references.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, Conv2d):
                fan_out = child.out_channels // child.groups * math.prod(child.kernel_size)
                child.weight.normal_(0.0, math.sqrt(2 / fan_out), generator=generator)
            elif isinstance(child, FullyConnected):
                bound = 1 / math.sqrt(child.out_features)
                child.weight.uniform_(-bound, bound, generator=generator)
            elif isinstance(child, nn.BatchNorm2d):
                child.reset_parameters()
                child.reset_running_stats()
            if isinstance(child, Conv2d | FullyConnected) and child.bias is not None:
                child.bias.zero_()
