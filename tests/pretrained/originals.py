"""Originals of torchvision and timm whose outputs tell whether every weight is where it belongs."""

import torch


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
