"""Images in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from mobilenas.training.data import Channels, ImageData, Integers, Split, cut

Pixels = npt.NDArray[np.uint8]
SMALLEST = 32
"""Smaller images are enlarged to this by default: networks halve them five times."""


@dataclass(frozen=True, kw_only=True)
class LabelledArrays:
    """What a data set in memory consists of; images (N, H, W) or (N, H, W, 1 or 3) uint8, labels (N,)."""

    x_train: Pixels
    y_train: Integers
    x_test: Pixels
    y_test: Integers
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class ArrayImages:
    """Images in memory, enlarged or shrunk when they are fetched; grey ones become RGB.

    Attributes:
        pixels: (N, 1 or 3, H, W) uint8.
        labels: Shape (N,).
        resolution: Height and width of what is fetched; images that are no squares are stretched.
    """

    pixels: Tensor
    labels: Integers
    resolution: int
    workers: ClassVar[int] = 0

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8."""
        images: Tensor = transforms.resize(self.pixels[torch.as_tensor(indices)], [self.resolution] * 2, antialias=True)
        return images.expand(-1, 3, -1, -1).contiguous()


def array_data(
    name: str, arrays: LabelledArrays, *, resolution: int | None, seed: int, validation_share: float, flips: bool
) -> ImageData:
    """Splits images in memory: validation images are cut from the training images, drawn by `seed`.

    Mean and standard deviation are those of the remaining training images.

    Raises:
        InputError: If a class has fewer than two training images.
    """
    height, width = arrays.x_train.shape[1:3]
    size = resolution or max(SMALLEST, height, width)
    training = ArrayImages(_channels_first(arrays.x_train), arrays.y_train, size)
    held_out = ArrayImages(_channels_first(arrays.x_test), arrays.y_test, size)
    rank = np.random.default_rng([seed, 0x7A11]).permutation(len(arrays.y_train))
    rest, validation = cut(name, arrays.class_names, training, rank, validation_share)
    mean, std = pixel_statistics(training.pixels, rest)
    return ImageData(
        name=name,
        class_names=arrays.class_names,
        resolution=size,
        native_resolution=(height, width),
        train=Split(training, rest, mean, std),
        validation=Split(training, validation, mean, std),
        test=Split(held_out, np.arange(len(arrays.y_test)), mean, std),
        flips=flips,
    )


def pixel_statistics(pixels: Tensor, indices: Integers) -> tuple[Channels, Channels]:
    """Mean and standard deviation per channel of [0, 1] pixels, from exact counts of the 256 values.

    Args:
        pixels: (N, 1 or 3, H, W) uint8; a grey channel counts as all three.
        indices: Which images.
    """
    values = np.arange(256) / 255
    found = []
    for channel in range(3):
        counts = np.bincount(
            pixels[torch.from_numpy(indices), channel % pixels.shape[1]].numpy().ravel(), minlength=256
        )
        mean = float(counts @ values / counts.sum())
        deviation = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
        found.append((mean, max(deviation, 1 / 255)))
    (m0, s0), (m1, s1), (m2, s2) = found
    return (m0, m1, m2), (s0, s1, s2)


def _channels_first(pixels: Pixels) -> Tensor:
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
