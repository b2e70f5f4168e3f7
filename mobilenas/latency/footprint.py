"""Footprint: what a network reads that its ops, each timed by itself, find in the processor's caches."""

from enum import StrEnum

from mobilenas.graph import OpGraph, OpKind, OpSpec

SMALL_OP_BYTES = 3_000_000
"""Weights of an op that are said to stay in a core's own cache while it is timed by itself.

Source: of 1, 1.5, 2, 3 and 4 MB what leaves the least error on a processor with 2 MB (`benchmarks/LOG.md`, 2026-11-30).
"""


STREAMED_SHARE = 0.75
"""What weights count that are used once an inference.

Source: sixty strangers' networks that took no part in the choice were predicted within 1.9 % so (root mean square),
within 2.3 and 2.4 % with a share of 1 and 0.5. Recorded networks of another week do not differ much, and lean to 1
(`benchmarks/predictor_error.py footprint`, `benchmarks/LOG.md`, 2026-12-01).
"""


class Footprint(StrEnum):
    """What of a network counts.

    Where the caches hold several megabytes for one core, an op finds what it reads there while it is timed by itself:
    all that a network needs at hand counts (`WHOLE`). What does little but read weights, each once, pays for part of
    that by itself already, and three quarters of these count (`STREAMED`). Where what a core does not hold itself comes
    from far away, the rows of ops with more weights than that have this cost in them, and of networks the weights of
    other ops count (`SMALL_OPS`). Calibrations are fitted with one of the latter two; tables made before have `WHOLE`.
    """

    WHOLE = "whole"
    STREAMED = "streamed"
    SMALL_OPS = "small_ops"

    @property
    def has_activations(self) -> bool:
        """Whether activations alive at the peak count, too."""
        return self is not Footprint.SMALL_OPS

    def weight_bytes(self, op: OpSpec, dtype: str) -> int:
        """Of an op's weights, the bytes that count."""
        size = op.weight_bytes(dtype)
        if self is Footprint.SMALL_OPS:
            return size if size <= SMALL_OP_BYTES else 0
        return int(STREAMED_SHARE * size) if self is Footprint.STREAMED and _uses_weights_once(op) else size

    def of(self, graph: OpGraph, dtype: str) -> int:
        """Bytes of a network that count; what is used twice counts twice."""
        weights = sum(count * self.weight_bytes(op, dtype) for op, count in graph.op_counts().items())
        return weights + (graph.peak_memory_bytes(dtype) if self.has_activations else 0)


def _uses_weights_once(op: OpSpec) -> bool:
    """Whether each weight meets one value only: fully connected, or a convolution with one position."""
    return op.kind is OpKind.FULLY_CONNECTED or (op.kind is OpKind.CONV2D and op.out_shape[:2] == (1, 1))
