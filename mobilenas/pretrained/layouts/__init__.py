"""Layouts of state dicts: one library a file, named as users name it."""

from mobilenas.pretrained.layouts.layout import Layout, Original, Place
from mobilenas.registry import Registry

LAYOUTS: Registry[Layout] = Registry("mobilenas.pretrained.layouts", Layout, "source of weights")

__all__ = ["LAYOUTS", "Layout", "Original", "Place"]
