"""ImageData: labelled images in three splits."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mobilenas.errors import InputError

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Channels = tuple[float, float, float]


class Images(Protocol):
    """Images that can be fetched by index, as uint8 at the network's resolution."""

    @property
    def labels(self) -> Integers:
        """Class of every image, shape (N,)."""
        ...

    @property
    def workers(self) -> int:
        """Processes that read ahead of the training; 0 where reading costs nothing."""
        ...

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8.

        Raises:
            InputError: If one cannot be read; the text names its file.
        """
        ...


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
    mean: Channels
    std: Channels

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def labels(self) -> Integers:
        """Class of every image, shape (N,)."""
        return self.images.labels[self.indices]

    def subset(self, places: Integers) -> "Split":
        """The images at some places of this split, in that order."""
        return replace(self, indices=self.indices[places])

    def normalised(self, pixels: Tensor) -> Tensor:
        """uint8 images as the network takes them: ((x / 255) - mean) / std, (N, 3, H, W) float32, channels last."""
        mean, std = (torch.tensor(value, device=pixels.device).view(1, 3, 1, 1) for value in (self.mean, self.std))
        return ((pixels.float() / 255 - mean) / std).contiguous(memory_format=torch.channels_last)

    def batches(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images (N, 3, H, W) and labels (N,), in order, without augmentation.

        Raises:
            InputError: If an image cannot be read.
        """
        for start in range(0, len(self), size):
            chosen = self.indices[start : start + size]
            yield self.normalised(self.images.fetch(chosen.tolist())), torch.from_numpy(self.images.labels[chosen])

    def arrays(self) -> tuple[Floats, Integers]:
        """All images as an exported file takes them, (N, H, W, 3) float32, and their labels.

        Raises:
            InputError: If an image cannot be read.
        """
        parts = [images.permute(0, 2, 3, 1).contiguous().numpy() for images, _ in self.batches(256)]
        return np.concatenate(parts), self.labels


@dataclass(frozen=True)
class ImageData:
    """Labelled images for training and judging networks.

    Attributes:
        name: What the user called them.
        class_names: Names of the classes.
        resolution: Height and width in pixels, as the splits give the images.
        native_resolution: Height and width in which they are stored; None where every image has its own.
        train: For weights.
        validation: For comparing networks in a search.
        test: Held out: for the final figure only.
        flips: Whether a mirrored image keeps its class.
    """

    name: str
    class_names: tuple[str, ...]
    resolution: int
    native_resolution: tuple[int, int] | None
    train: Split
    validation: Split
    test: Split
    flips: bool

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def mean(self) -> Channels:
        """Per channel, in units of [0, 1] pixels."""
        return self.train.mean

    @property
    def std(self) -> Channels:
        """Per channel, in units of [0, 1] pixels."""
        return self.train.std

    @property
    def fingerprint(self) -> str:
        """A text that differs where classes, labels, splits, resolution or pixel statistics do."""
        digest = hashlib.sha256(repr((self.class_names, self.resolution, self.mean, self.std, self.flips)).encode())
        for split in (self.train, self.validation, self.test):
            digest.update(split.indices.tobytes())
            digest.update(split.labels.tobytes())
        return digest.hexdigest()[:16]


def cut(
    name: str, class_names: Sequence[str], images: Images, rank: Integers, share: float
) -> tuple[Integers, Integers]:
    """Takes the same share of every class, at least one image and never all.

    Args:
        name: What the images are called, for the error.
        class_names: Names of the classes.
        images: The source.
        rank: Images that take part, in the order in which they are taken.
        share: How many are taken, in (0, 1).

    Returns:
        Indices that stay and indices that are taken, ascending.

    Raises:
        InputError: If a class has fewer than two images.
    """
    labels = images.labels[rank]
    taken = []
    for label, class_name in enumerate(class_names):
        members = rank[labels == label]
        if len(members) < 2:
            raise InputError(
                f"{name}: class {class_name!r} has {len(members)} images to train and to validate on; give at least 2"
            )
        count = min(max(1, round(share * len(members))), len(members) - 1)
        taken.append(members[:count])
    chosen = np.sort(np.concatenate(taken))
    return np.setdiff1d(rank, chosen), chosen
