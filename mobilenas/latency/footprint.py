"""Footprint: what a network reads that its ops, each timed by itself, find in the processor's caches."""

from enum import StrEnum

from mobilenas.graph import OpGraph, OpSpec

SMALL_OP_BYTES = 3_000_000
"""Weights of an op that are said to stay in a core's own cache while it is timed by itself.

Source: of 1, 1.5, 2, 3 and 4 MB what leaves the least error on a processor with 2 MB (`benchmarks/LOG.md`, 2026-11-30).
"""


class Footprint(StrEnum):
    """What of a network counts.

    Where the caches hold several megabytes for one core, every op finds all it reads there while it is timed by itself:
    the whole of what a network needs at hand counts. Where what a core does not hold itself comes from far away, the
    rows of ops with more weights than that have this cost in them, and of networks the weights of other ops count.
    """

    WHOLE = "whole"
    SMALL_OPS = "small_ops"

    @property
    def has_activations(self) -> bool:
        """Whether activations alive at the peak count, too."""
        return self is Footprint.WHOLE

    def weight_bytes(self, op: OpSpec, dtype: str) -> int:
        """Of an op's weights, the bytes that count."""
        size = op.weight_bytes(dtype)
        return size if self is Footprint.WHOLE or size <= SMALL_OP_BYTES else 0

    def of(self, graph: OpGraph, dtype: str) -> int:
        """Bytes of a network that count; what is used twice counts twice."""
        if self is Footprint.WHOLE:
            return graph.footprint_bytes(dtype)
        return sum(count * self.weight_bytes(op, dtype) for op, count in graph.op_counts().items())
