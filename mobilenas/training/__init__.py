"""Data and training. Needs the extra `train`."""

# ruff: noqa: E402  # the libraries must be known to be there before anything that imports them
from mobilenas.extras import require

for library in ("torch", "torchvision", "accelerate", "PIL"):
    require(library, "train")

from mobilenas.training.data import ImageData, Split
from mobilenas.training.recipe import RECIPES, Recipe, default_recipe
from mobilenas.training.sources import load_data
from mobilenas.training.trainer import Epoch, TrainingResult, accuracy, train

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
