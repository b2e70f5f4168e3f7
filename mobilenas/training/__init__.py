"""Data and training. Needs the extra `train`."""

from mobilenas.training import _requirements as _requirements
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
