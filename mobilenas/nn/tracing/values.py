"""What a traced tensor stands for while a graph is under construction."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.fx import Node

from mobilenas.graph import Shape
from mobilenas.graph.kind import Pair

Layout = Literal["image", "flat", "row", "last"]
"""How torch sees it: (N, C, H, W), (N, C * H * W), (N, C, 1) of one pixel, or (N, H, W, C)."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of the graph.

    Attributes:
        index: Its number in the graph.
        shape: (height, width, channels).
        layout: How torch sees it.
        dropout: Share that is dropped in training before whoever reads it.
    """

    index: int
    shape: Shape
    layout: Layout = "image"
    dropout: float = 0.0

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes as torch has them, with a batch of 1."""
        height, width, channels = self.shape
        match self.layout:
            case "flat":
                return 1, channels * height * width
            case "row":
                return 1, channels, 1
            case "last":
                return 1, height, width, channels
        return 1, channels, height, width


@dataclass(frozen=True, slots=True)
class Padded:
    """A value with a border that the next op may take over.

    Attributes:
        value: Without the border.
        padding: ((top, bottom), (left, right)).
        fill: What the border holds.
        node: The operator that put it there, for errors.
    """

    value: Value
    padding: tuple[Pair, Pair]
    fill: float
    node: Node | None


@dataclass(frozen=True, slots=True)
class Grouped:
    """An image whose channels `node` sees as (groups, channels of a group), or the other way round once `turned`."""

    value: Value
    groups: int
    node: Node | None
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Shifted:
    """A value plus a number, or that between 0 and 6 once `clamped`: what may become a hard sigmoid."""

    value: Value
    shift: float
    clamped: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """The channels of a value, cut into parts that become slices when they are read."""

    value: Value
    channels: Sequence[int]


Traced = Value | Padded | Grouped | Shifted | Parts | Tensor
"""What an operator of the traced program gives; a Tensor is a constant."""
