"""Rates: what each kind of work costs on a device, so that any op has a price."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mobilenas.errors import shorten
from mobilenas.graph import OpSpec
from mobilenas.latency.figures import finite
from mobilenas.latency.work import KINDS_OF_WORK, work

Floats = npt.NDArray[np.float64]
MOST_RATE = 1e9
LEAST_ERA, MOST_ERA = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of work. An op costs the sum of its work times these.

    Attributes:
        us_per_unit: Microseconds by kind of work, in the order of `KINDS_OF_WORK`.
        eras: Factor on every latency by era of the runtime; the first is 1, and the rates speak of it.
        error: Relative standard error of one op, where the table's calibration does not hold it.
    """

    us_per_unit: tuple[float, ...]
    eras: Mapping[str, float] = field(default_factory=dict)
    error: float = 0.0

    def op_us(self, op: OpSpec, dtype: str = "float32") -> float:
        """What one op costs, microseconds."""
        return float(work(op, dtype) @ np.array(self.us_per_unit))

    def to_text(self) -> str:
        """One line for a table's preamble."""
        prices = ", ".join(f"{name} {us!r}" for name, us in zip(KINDS_OF_WORK, self.us_per_unit, strict=True))
        return f"{prices}, error {self.error!r}"

    @classmethod
    def from_text(cls, text: str, eras: Mapping[str, float]) -> "Rates":
        """Reads what `to_text` wrote.

        Raises:
            ValueError: If a kind of work is missing or a number is negative or not finite.
        """
        fields = {name: value for name, _, value in (part.rpartition(" ") for part in text.split(", "))}
        if tuple(fields) != (*KINDS_OF_WORK, "error"):
            raise ValueError(f"the rates must give {', '.join(KINDS_OF_WORK)}, error")
        *prices, error = (finite(text, name, MOST_RATE) for name, text in fields.items())
        return cls(tuple(prices), eras, error)


def era_to_text(name: str, factor: float) -> str:
    """One line for a table's preamble."""
    return f"{name} | {factor!r}"


def era_from_text(text: str) -> tuple[str, float]:
    """Reads what `era_to_text` wrote.

    Raises:
        ValueError: If it is malformed or the factor is out of range.
    """
    name, _, value = text.rpartition(" | ")
    factor = finite(value, "era")
    if not name or not LEAST_ERA <= factor <= MOST_ERA:
        raise ValueError(f"era {shorten(text)} is not accepted; give NAME | FACTOR from {LEAST_ERA:g} to {MOST_ERA:g}")
    return name, factor


PRIOR = Rates((166.7, 333.3, 500.0, 333.3, 200.0, 300.0, 150.0, 125.0, 125.0, 3000.0, 2000.0, 200.0, 5.0))
"""A phone's large core, from its data sheet: four lanes of multiply-adds a cycle at 2.15 GHz are 8.6 GMAC/s.

Of these, 70 % in 1x1 convolutions, 35 % in others and in wide depthwise ones, 23 % in 3x3 depthwise ones. Memory:
8 GB/s for what is streamed (element-wise ops, weights of a vector), 5 GB/s for what is packed for a product of
matrices, 3.3 GB/s for its weights, 5 GB/s more for what leaves the cache. Loops without vector instructions take
6 cycles an element, activations 4, starting an op 5 microseconds.
"""
