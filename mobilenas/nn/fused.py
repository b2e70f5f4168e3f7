"""Activations that an op applies to its own result."""

import torch.nn.functional as F  # the customary name
from torch import Tensor

from mobilenas.graph import Activation


def fused(x: Tensor, activation: Activation) -> Tensor:
    """Applies a fused activation, in place: `x` is the fresh result of an op whose gradient does not need it."""
    if activation == "none":
        return x
    return F.relu(x, inplace=True) if activation == "relu" else F.relu6(x, inplace=True)
