"""Block: settings that emit operations."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from mobilenas.graph import GraphBuilder, TensorRef
from mobilenas.settings import Settings, check


def make_divisible(value: float, divisor: int = 8) -> int:
    """Rounds channels to a multiple of `divisor`, never below 90 % of `value` nor below `divisor`.

    Source: `_make_divisible` of the MobileNetV2 and V3 references; EfficientNet's `round_filters` does the same.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


class Part(Settings, ABC):
    """What blocks and heads share: settings with a `type`, which is the name of their file."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.type = cls.__module__.rpartition(".")[2]

    type: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """The settings with their `type`; those at their default are left out."""
        return {"type": self.type, **super().to_dict()}


class Block(Part):
    """A frozen dataclass of settings, one file each, that writes its operations into a graph.

    Attributes:
        num_inputs: How many tensors it takes; a cell takes the last two outputs.
    """

    num_inputs: ClassVar[int] = 1

    @abstractmethod
    def emit(self, graph: GraphBuilder, *xs: TensorRef) -> TensorRef:
        """Appends the block's operations and returns its output.

        The caller has opened the block's scope, so names given here are relative (`depthwise`).
        """


def check_window(kernel_size: int, stride: int) -> None:
    """Raises `FieldError` unless the window is one that a block may have."""
    check(1 <= kernel_size <= 63 and kernel_size % 2 == 1, "kernel_size", kernel_size, "an odd number from 1 to 63")
    check(stride in (1, 2), "stride", stride, "1 or 2")


def check_channels(field: str, value: int, *, least: int = 1) -> None:
    """Raises `FieldError` unless a channel count is between `least` and 65,536."""
    check(least <= value <= 65536, field, value, f"a whole number from {least} to 65536")
