"""The same outputs as torchvision's own modules, with the weights copied over by position."""

from dataclasses import replace

import pytest
import torch
import torchvision

from mobilenas import models
from mobilenas.nn import GraphModule


def randomise(module: torch.nn.Module, images: torch.Tensor) -> None:
    """Weights with which the scores depend on the image, as after training.

    Batch norms get random scales and shifts, and the statistics of these images. With made-up statistics the signal
    dies out in the depth of the network, and the scores would be the same whatever is computed.
    """
    for child in module.modules():
        if isinstance(child, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(child.weight, 0.5, 1.5)
            torch.nn.init.normal_(child.bias, std=0.2)
            child.momentum = 1.0
        elif isinstance(child, torch.nn.Linear):
            torch.nn.init.normal_(child.weight, std=child.in_features**-0.5)
    with torch.no_grad():
        module.train()(images)
    module.eval()


@pytest.mark.parametrize(
    ("name", "theirs", "bn_epsilon", "resolution"),
    [
        ("mobilenet_v2", "mobilenet_v2", 1e-5, 224),
        ("mobilenet_v3_large", "mobilenet_v3_large", 1e-3, 224),
        ("mobilenet_v3_small", "mobilenet_v3_small", 1e-3, 96),
        ("efficientnet_b0", "efficientnet_b0", 1e-5, 96),
        ("mnasnet_b1", "mnasnet1_0", 1e-5, 96),
    ],
)
def test_same_outputs(name: str, theirs: str, bn_epsilon: float, resolution: int) -> None:
    torch.manual_seed(0)
    reference = getattr(torchvision.models, theirs)(weights=None)
    images = torch.randn(4, 3, resolution, resolution)
    randomise(reference, images)
    arch = replace(models.get(name, resolution=resolution), padding="symmetric", bn_epsilon=bn_epsilon)
    module = GraphModule(arch.graph())
    pairs = zip(module.state_dict().items(), reference.state_dict().values(), strict=True)
    # MobileNetV3's last linear layer but one is a 1x1 convolution here
    module.load_state_dict({key: theirs.reshape(ours.shape) for (key, ours), theirs in pairs})
    with torch.no_grad():
        expected, found = reference(images), module.eval()(images)
        other = GraphModule(replace(arch, padding="same").graph()).eval()
        other.load_state_dict(module.state_dict())
        padded_otherwise = other(images)
    largest = expected.abs().max()
    assert (found - expected).abs().max() <= 1e-4 * largest
    # what the comparison can see: another image, and another padding
    assert (expected[0] - expected[1]).abs().max() > 0.1 * largest
    assert (padded_otherwise - expected).abs().max() > 0.1 * largest
