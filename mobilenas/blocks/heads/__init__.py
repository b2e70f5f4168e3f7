"""The ends of networks: one head a file, named as its `type` in an architecture file."""

from mobilenas.blocks.heads.head import Head
from mobilenas.registry import Registry

HEADS: Registry[Head] = Registry("mobilenas.blocks.heads", Head, "head type")

__all__ = ["HEADS", "Head"]
