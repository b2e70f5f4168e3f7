"""What blocks emit on their own: the pieces that factors add up."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

from mobilenas.blocks import Block, Head
from mobilenas.graph import ACTIVATION_BYTES, GraphBuilder, OpGraph, OpSpec, Shape

ALIVE_DTYPE = "float32"


@dataclass(frozen=True, slots=True)
class Emitted:
    """A piece of a network that hands on one tensor.

    Attributes:
        ops: How often each distinct op occurs.
        params: Trainable parameters.
        peak_elements: Most elements of activations that are alive at once. Pieces in a row have the largest of theirs.
    """

    ops: Counter[OpSpec] = field(default_factory=Counter)
    params: int = 0
    peak_elements: int = 0

    @classmethod
    def of(cls, graph: OpGraph) -> Self:
        """The piece that a graph of one input and one output is."""
        peak_elements = graph.peak_memory_bytes(ALIVE_DTYPE) // ACTIVATION_BYTES[ALIVE_DTYPE]
        return cls(graph.op_counts(), graph.params, peak_elements)

    def __add__(self, other: "Emitted") -> "Emitted":
        ops = self.ops.copy()
        ops.update(other.ops)
        return Emitted(ops, self.params + other.params, max(self.peak_elements, other.peak_elements))


def row_ops(blocks: Iterable[Block], in_shape: Shape) -> Emitted:
    """What blocks in a row emit, "same" padding.

    Args:
        blocks: The blocks; each reads the output of the one before.
        in_shape: What the first one reads, (height, width, channels).
    """
    total = Emitted()
    shape = in_shape
    for block in blocks:
        piece, shape = _block_piece(block, shape)
        total += piece
    return total


def head_ops(head: Head, in_shape: Shape, num_classes: int) -> Emitted:
    """What a head emits.

    Args:
        head: The head.
        in_shape: The last feature map, (height, width, channels).
        num_classes: Number of classes.
    """
    return Emitted.of(head_graph(head, in_shape, num_classes))


@lru_cache(maxsize=10_000)
def block_graph(block: Block, in_shape: Shape) -> OpGraph:
    """The graph of one block on its own; equal graphs compute the same."""
    builder = GraphBuilder(in_shape)
    return builder.finish(block.emit(builder, builder.inputs[0]))


def head_graph(head: Head, in_shape: Shape, num_classes: int) -> OpGraph:
    """The graph of a head on its own."""
    builder = GraphBuilder(in_shape)
    return builder.finish(head.emit(builder, builder.inputs[0], num_classes))


@lru_cache(maxsize=10_000)
def _block_piece(block: Block, in_shape: Shape) -> tuple[Emitted, Shape]:
    graph = block_graph(block, in_shape)
    return Emitted.of(graph), graph.value_shapes[graph.outputs[0]]
