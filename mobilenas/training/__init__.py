"""Data and training. Needs the extra `train`."""

from mobilenas.extras import require

for library in ("torch", "torchvision", "accelerate", "PIL"):
    require(library, "train")

from mobilenas.training.data import ImageData, Split  # noqa: E402  # the libraries are there from here on
from mobilenas.training.recipe import RECIPES, Recipe, default_recipe  # noqa: E402
from mobilenas.training.sources import load_data  # noqa: E402
from mobilenas.training.trainer import Epoch, TrainingResult, accuracy, train  # noqa: E402

__all__ = [
    "RECIPES",
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
