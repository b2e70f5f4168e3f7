"""Data and training. Needs the extra `train`."""

from mobilenas.extras import require

require("torchvision", "train")
require("accelerate", "train")

from mobilenas.training.data import ImageData, Split  # noqa: E402  # the libraries are there from here on
from mobilenas.training.recipe import Recipe, default_recipe  # noqa: E402
from mobilenas.training.sources import load_data  # noqa: E402
from mobilenas.training.trainer import Epoch, TrainingResult, accuracy, train  # noqa: E402

__all__ = [
    "Epoch",
    "ImageData",
    "Recipe",
    "Split",
    "TrainingResult",
    "accuracy",
    "default_recipe",
    "load_data",
    "train",
]
