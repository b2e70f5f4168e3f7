"""Small real data and a small network with everything that training touches: batch norm, dropout, an integer buffer."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from mobilenas.training import ImageData, load_data


def small_network(classes: int = 10, dropout: float = 0.2) -> nn.Module:
    """About 5,000 parameters; 32 x 32 pixels become 4 x 4."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=4, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(32, classes),
    )


@pytest.fixture(scope="session")
def digits() -> ImageData:
    return load_data("digits")


@pytest.fixture
def network() -> Callable[..., nn.Module]:
    """Makes the same small network every time."""

    def make(classes: int = 10, *, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return small_network(classes)

    return make
