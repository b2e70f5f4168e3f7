"""Weights of a network that starts from scratch."""

import math

import torch
from torch import nn

from mobilenas.nn.ops import FullyConnected
from mobilenas.nn.windowed import Conv2d


def initialize(module: nn.Module, seed: int) -> None:
    """Initialises every weight, the same for the same seed.

    Convolutions: normal with standard deviation sqrt(2 / fan_out), fully connected: normal with 0.01; biases 0; batch norm
    the identity.

    Source: convolutions: `conv_kernel_initializer` of the MnasNet and EfficientNet references, after He et al., arXiv
    1502.01852, with a depthwise convolution's fan-out that of one group; classifier: torchvision's MobileNets.
    Differs from the paper: the references draw the classifier from a uniform distribution within 1 / sqrt(classes), which
    for ten classes starts with scores so large that short trainings are lost on undoing them.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, Conv2d):
                fan_out = child.out_channels // child.groups * math.prod(child.kernel_size)
                child.weight.normal_(0.0, math.sqrt(2 / fan_out), generator=generator)
            elif isinstance(child, FullyConnected):
                child.weight.normal_(0.0, 0.01, generator=generator)
            elif isinstance(child, nn.BatchNorm2d):
                child.reset_parameters()
                child.reset_running_stats()
            if isinstance(child, Conv2d | FullyConnected) and child.bias is not None:
                child.bias.zero_()
