"""The block library: one block a file, named as its `type` in an architecture file; heads in their own folder."""

from mobilenas.blocks.block import Block, make_divisible
from mobilenas.blocks.heads import HEADS, Head
from mobilenas.registry import Registry

BLOCKS: Registry[Block] = Registry("mobilenas.blocks", Block, "block type")

__all__ = ["BLOCKS", "HEADS", "Block", "Head", "make_divisible"]
