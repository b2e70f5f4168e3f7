"""CalibrationNetwork: a network that was measured whole, beside the sum of its ops."""

from collections.abc import Callable
from dataclasses import dataclass

from mobilenas.errors import shorten
from mobilenas.graph import ELEMENTWISE, OpGraph, OpKind, OpSpec
from mobilenas.latency.figures import finite, whole
from mobilenas.latency.footprint import Footprint

FIELDS_SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class CalibrationNetwork:
    """A network that was measured whole.

    Attributes:
        name: Where it comes from, such as `mnasnet@224#17` (space, resolution, seed).
        op_sum_us: Sum of its isolated ops.
        footprint_bytes: Its whole footprint: bytes of its weights and of the activations alive at its peak.
        measured_us: Its latency, the cost of starting an inference taken off.
        depthwise_us: Of the sum, what its depthwise convolutions take.
        activation_us: Of the sum, what its activations take that are ops of their own.
        small_ops_bytes, streamed_bytes: What of its footprint counts by other measures; None where nobody knows.
    """

    name: str
    op_sum_us: float
    footprint_bytes: int
    measured_us: float
    depthwise_us: float = 0.0
    activation_us: float = 0.0
    small_ops_bytes: int | None = None
    streamed_bytes: int | None = None

    @classmethod
    def of(
        cls, name: str, graph: OpGraph, op_us: Callable[[OpSpec], float], *, dtype: str, measured_us: float
    ) -> "CalibrationNetwork":
        """A network whose ops take by themselves what `op_us` says."""
        totals = dict.fromkeys(OpKind, 0.0)
        for op, count in graph.op_counts().items():
            totals[op.kind] += count * op_us(op)
        return cls(
            name,
            sum(totals.values()),
            Footprint.WHOLE.of(graph, dtype),
            measured_us,
            depthwise_us=totals[OpKind.DEPTHWISE_CONV2D],
            activation_us=sum(totals[kind] for kind in sorted(ELEMENTWISE)),
            small_ops_bytes=Footprint.SMALL_OPS.of(graph, dtype),
            streamed_bytes=Footprint.STREAMED.of(graph, dtype),
        )

    def bytes_of(self, footprint: Footprint) -> int | None:
        """Bytes that count; None where nobody knows."""
        return {
            Footprint.WHOLE: self.footprint_bytes,
            Footprint.STREAMED: self.streamed_bytes,
            Footprint.SMALL_OPS: self.small_ops_bytes,
        }[footprint]

    def to_text(self) -> str:
        """One line for the table's preamble; what would end its name early is written otherwise."""
        values: list[float | int] = [self.op_sum_us, self.footprint_bytes, self.measured_us]
        bytes_by_other_measures = [size for size in (self.small_ops_bytes, self.streamed_bytes) if size is not None]
        if self.depthwise_us or self.activation_us or bytes_by_other_measures:
            values += [self.depthwise_us, self.activation_us, *bytes_by_other_measures]
        texts = (f"{value:.2f}" if isinstance(value, float) else str(value) for value in values)
        name = " ".join(self.name.split()).replace("|", "/") or "unnamed"
        return FIELDS_SEPARATOR.join((name, *texts))

    @classmethod
    def from_text(cls, text: str) -> "CalibrationNetwork":
        """Reads what `to_text` wrote.

        Raises:
            ValueError: If it is malformed or a number is not positive and finite.
        """
        name, *texts = text.split(FIELDS_SEPARATOR)
        if len(texts) not in (3, 5, 6, 7):
            raise ValueError(f"calibration network {shorten(name)} has {1 + len(texts)} fields; give 4, 6, 7 or 8")
        op_sum_us, footprint_bytes, measured_us, *more = texts
        depthwise_us, activation_us = more[:2] or ("0", "0")
        other = [whole(text, key) for text, key in zip(more[2:], ("small_ops_bytes", "streamed_bytes"), strict=False)]
        network = cls(
            name,
            finite(op_sum_us, "op_sum_us"),
            whole(footprint_bytes, "footprint_bytes"),
            finite(measured_us, "measured_us"),
            finite(depthwise_us, "depthwise_us"),
            finite(activation_us, "activation_us"),
            *other,
        )
        if 0 in (network.op_sum_us, network.measured_us):
            raise ValueError(f"calibration network {shorten(name)} has a number that is not positive")
        is_too_much = max(other, default=0) > network.footprint_bytes
        if is_too_much or max(network.depthwise_us, network.activation_us) > network.op_sum_us:
            raise ValueError(f"calibration network {shorten(name)} has a part that is more than its sum")
        return network
