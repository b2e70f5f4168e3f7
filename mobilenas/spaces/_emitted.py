"""What blocks emit on their own: the pieces that factors add up."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from mobilenas.blocks import Block, Head
from mobilenas.graph import GraphBuilder, OpSpec, Shape


def row_ops(blocks: Iterable[Block], in_shape: Shape) -> Counter[OpSpec]:
    """Op counts of blocks in a row, "same" padding.

    Args:
        blocks: The blocks; each reads the output of the one before.
        in_shape: What the first one reads, (height, width, channels).
    """
    total: Counter[OpSpec] = Counter()
    shape = in_shape
    for block in blocks:
        counts, shape = _block_ops(block, shape)
        total.update(counts)
    return total


def head_ops(head: Head, in_shape: Shape, num_classes: int) -> Counter[OpSpec]:
    """Op counts of a head.

    Args:
        head: The head.
        in_shape: The last feature map, (height, width, channels).
        num_classes: Number of classes.
    """
    builder = GraphBuilder(in_shape)
    return builder.finish(head.emit(builder, builder.inputs[0], num_classes)).op_counts()


@lru_cache(maxsize=10_000)
def _block_ops(block: Block, in_shape: Shape) -> tuple[Counter[OpSpec], Shape]:
    builder = GraphBuilder(in_shape)
    out = block.emit(builder, builder.inputs[0])
    return builder.finish(out).op_counts(), out.shape
