"""Weights of a network that starts from scratch."""

import math

import torch
from torch import nn

from mobilenas.nn.weighted import WeightedOp

CLASSIFIER_STD = 0.01


def initialize(module: nn.Module, seed: int) -> None:
    """Initialises every weight, the same for the same seed; torch's own random state is left alone.

    Convolutions: normal with standard deviation sqrt(2 / fan_out); fully connected: normal with 0.01; biases 0; batch
    norm the identity.

    Source: convolutions: `conv_kernel_initializer` of the MnasNet and EfficientNet references, after He et al., arXiv
    1502.01852, with a depthwise convolution's fan-out that of one group; classifier: torchvision's MobileNets.
    Differs from the paper: the references draw the classifier from a uniform distribution within 1 / sqrt(classes),
    which for ten classes starts with scores so large that short trainings are lost on undoing them.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for child in module.modules():
            if isinstance(child, nn.BatchNorm2d):
                child.reset_parameters()
            elif isinstance(child, WeightedOp):
                std = math.sqrt(2 / child.fan_out) if child.weight.dim() == 4 else CLASSIFIER_STD
                # drawn in one place, so that neither the device nor the layout in memory has a say
                child.weight.copy_(torch.empty(child.weight.shape).normal_(0.0, std, generator=generator))
                if child.bias is not None:
                    child.bias.zero_()
