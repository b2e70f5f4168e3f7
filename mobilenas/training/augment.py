"""Augmentation of uint8 images by torchvision."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.transforms import v2

from mobilenas.training.recipe import Augmentation

SHIFT = 1 / 8
"""Largest shift, as a share of the image."""


def augmentation(kind: Augmentation, resolution: int, flips: bool) -> Callable[[Tensor], Tensor]:
    """A function that changes each image of a batch (N, 3, H, W), uint8, in its own way.

    It draws from torch's global random stream, which the trainer seeds.

    Args:
        kind: "none"; "light": a crop of the padded image, and mirrors; "standard": two operations of RandAugment too.
        resolution: Height and width.
        flips: Whether images may be mirrored.

    Source: crops and mirrors: He et al., arXiv 1512.03385, section 4.2; RandAugment: Cubuk et al., arXiv 1909.13719.
    """
    if kind == "none":
        return lambda images: images
    steps: list[v2.Transform] = [v2.RandomCrop(resolution, padding=max(1, round(SHIFT * resolution)))]
    if flips:
        steps.append(v2.RandomHorizontalFlip())
    if kind == "standard":
        steps.append(v2.RandAugment(num_ops=2, magnitude=7))
    one = v2.Compose(steps)
    return lambda images: torch.stack([one(image) for image in images])
