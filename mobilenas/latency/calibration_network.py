"""CalibrationNetwork: a network that was measured whole, beside the sum of its ops."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mobilenas.errors import shorten
from mobilenas.graph import ELEMENTWISE, OpKind, OpSpec
from mobilenas.latency.figures import finite, whole

FIELDS_SEPARATOR = " | "


@dataclass(frozen=True, slots=True)
class CalibrationNetwork:
    """A network that was measured whole.

    Attributes:
        name: Where it comes from, such as `mnasnet@224#17` (space, resolution, seed).
        op_sum_us: Sum of its isolated ops.
        footprint_bytes: Bytes of its weights and of the activations alive at its peak.
        measured_us: Its latency, the cost of starting an inference taken off.
        depthwise_us: Of the sum, what its depthwise convolutions take.
        activation_us: Of the sum, what its activations take that are ops of their own.
    """

    name: str
    op_sum_us: float
    footprint_bytes: int
    measured_us: float
    depthwise_us: float = 0.0
    activation_us: float = 0.0

    @classmethod
    def of(
        cls,
        name: str,
        ops: Mapping[OpSpec, int],
        op_us: Callable[[OpSpec], float],
        *,
        footprint_bytes: int,
        measured_us: float,
    ) -> "CalibrationNetwork":
        """A network by its ops, how often it has each, and what each takes by itself."""
        totals = dict.fromkeys(OpKind, 0.0)
        for op, count in ops.items():
            totals[op.kind] += count * op_us(op)
        return cls(
            name,
            sum(totals.values()),
            footprint_bytes,
            measured_us,
            depthwise_us=totals[OpKind.DEPTHWISE_CONV2D],
            activation_us=sum(totals[kind] for kind in sorted(ELEMENTWISE)),
        )

    def to_text(self) -> str:
        """One line for the table's preamble; what would end its name early is written otherwise."""
        parts = (self.depthwise_us, self.activation_us)
        values = (self.op_sum_us, self.footprint_bytes, self.measured_us, *(parts if any(parts) else ()))
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
        if len(texts) not in (3, 5):
            raise ValueError(f"calibration network {shorten(name)} has {1 + len(texts)} fields; give 4 or 6")
        op_sum_us, footprint_bytes, measured_us, *parts = texts
        network = cls(
            name,
            finite(op_sum_us, "op_sum_us"),
            whole(footprint_bytes, "footprint_bytes"),
            finite(measured_us, "measured_us"),
            *(finite(part, field) for part, field in zip(parts, ("depthwise_us", "activation_us"), strict=False)),
        )
        if 0 in (network.op_sum_us, network.measured_us):
            raise ValueError(f"calibration network {shorten(name)} has a number that is not positive")
        if max(network.depthwise_us, network.activation_us) > network.op_sum_us:
            raise ValueError(f"calibration network {shorten(name)} has a part that is more than its sum")
        return network
