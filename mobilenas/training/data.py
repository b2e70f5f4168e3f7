"""ImageData: labelled images in three splits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mobilenas.errors import InputError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Images(Protocol):
    """Images that can be fetched by index, as uint8 at the network's resolution."""

    labels: Integers

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8.

        Raises:
            InputError: If one cannot be read; the text names its file.
        """


@dataclass(frozen=True)
class ArrayImages:
    """Images in memory, (N, 3, H, W) uint8."""

    pixels: Tensor
    labels: Integers

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8."""
        return self.pixels[torch.as_tensor(indices)]


@dataclass(frozen=True)
class Split:
    """Some of the images of one source.

    Attributes:
        images: The source.
        indices: Which of them.
        mean, std: Per channel, in units of [0, 1] pixels.
    """

    images: Images
    indices: Integers
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> Integers:
        """Class of every image, shape (N,)."""
        return self.images.labels[self.indices]

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 images as the network takes them: ((x / 255) - mean) / std, (N, 3, H, W) float32."""
        mean = torch.tensor(self.mean).view(1, 3, 1, 1)
        std = torch.tensor(self.std).view(1, 3, 1, 1)
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images (N, 3, H, W) and labels (N,), in order, without augmentation."""
        for start in range(0, len(self), size):
            chosen = self.indices[start : start + size]
            yield self.normalised(self.images.fetch(chosen.tolist())), torch.from_numpy(self.images.labels[chosen])

    def arrays(self) -> tuple[Floats, Integers]:
        """All images as an exported file takes them, (N, H, W, 3) float32, and their labels."""
        parts = [images.permute(0, 2, 3, 1).contiguous().numpy() for images, _ in self.batches(256)]
        return np.concatenate(parts), self.labels


@dataclass(frozen=True)
class ImageData:
    """Labelled images for training and judging networks.

    Attributes:
        name: What the user called them.
        class_names: Names of the classes.
        resolution: Height and width in pixels.
        train: For weights.
        validation: For comparing networks in a search, cut from the training images.
        test: Held out: for the final figure only.
        flips: Whether a mirrored image keeps its class.
    """

    name: str
    class_names: tuple[str, ...]
    resolution: int
    train: Split
    validation: Split
    test: Split
    flips: bool

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def split_images(
    *,
    name: str,
    class_names: Sequence[str],
    resolution: int,
    training: Images,
    held_out: Images,
    validation_share: float,
    seed: int,
    flips: bool,
    train_indices: Integers | None = None,
    test_indices: Integers | None = None,
) -> ImageData:
    """Cuts validation images from the training images, the same share of every class.

    Mean and standard deviation are those of the remaining training images.

    Raises:
        InputError: If a class has fewer than two training images.
    """
    chosen = np.arange(len(training.labels)) if train_indices is None else train_indices
    rng = np.random.default_rng([seed, 0x7A11])
    validation: list[Integers] = []
    for label, class_name in enumerate(class_names):
        members = chosen[training.labels[chosen] == label]
        if len(members) < 2:
            raise InputError(f"{name}: class {class_name!r} has {len(members)} training images; give at least 2")
        count = max(1, round(validation_share * len(members)))
        validation.append(rng.permutation(members)[:count])
    kept_out = np.sort(np.concatenate(validation))
    rest = np.setdiff1d(chosen, kept_out)
    mean, std = _statistics(training, rest)
    tested = np.arange(len(held_out.labels)) if test_indices is None else test_indices
    return ImageData(
        name=name,
        class_names=tuple(class_names),
        resolution=resolution,
        train=Split(training, rest, mean, std),
        validation=Split(training, kept_out, mean, std),
        test=Split(held_out, tested, mean, std),
        flips=flips,
    )


def _statistics(images: Images, indices: Integers) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and standard deviation per channel over at most 2,000 images."""
    step = -(-len(indices) // 2000)
    pixels = images.fetch(indices[::step].tolist()).double() / 255
    mean, std = pixels.mean((0, 2, 3)).tolist(), pixels.std((0, 2, 3)).clamp(min=1e-3).tolist()
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
