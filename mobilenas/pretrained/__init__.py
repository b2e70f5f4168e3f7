"""Weights that others trained, by name: torchvision's, timm's, Once-for-All's. No torch until a file needs it."""

from mobilenas.pretrained.layouts import LAYOUTS
from mobilenas.pretrained.reading import DOWNLOADS, pretrained

__all__ = ["DOWNLOADS", "LAYOUTS", "pretrained"]
