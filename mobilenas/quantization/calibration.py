"""calibration_images: the real images that ranges come from."""

from dataclasses import dataclass

import numpy as np

from mobilenas.export.weights import Array
from mobilenas.settings import check
from mobilenas.training import ImageData

DEFAULT_IMAGES = 256


@dataclass(frozen=True, slots=True)
class CalibrationSample:
    """Which images a file was quantized with.

    Attributes:
        data: The data set, as the user calls it.
        count: How many of its training images.
        seed: They are drawn at random with it.
        images: Normalised, (N, height, width, 3).
    """

    data: str
    count: int
    seed: int
    images: Array

    def to_dict(self) -> dict[str, object]:
        """What was drawn, without the images."""
        return {"data": self.data, "images": self.count, "split": "train", "seed": self.seed}

    def __str__(self) -> str:
        return f"{self.count} training images of {self.data}, drawn with seed {self.seed}"


def calibration_sample(data: ImageData, count: int = DEFAULT_IMAGES, *, seed: int = 0) -> CalibrationSample:
    """Draws training images at random, as an exported file takes them, without augmentation.

    Args:
        data: The images.
        count: How many; all where there are fewer.
        seed: Of the draw.

    Raises:
        InputError: If the count is not accepted or an image cannot be read.
    """
    check(1 <= count <= 100_000, "calibration_images", count, "a whole number from 1 to 100000")
    order = np.random.default_rng(seed).permutation(len(data.train))[:count]
    images, _ = data.train.subset(order).arrays()
    return CalibrationSample(data.name, len(order), seed, images)
