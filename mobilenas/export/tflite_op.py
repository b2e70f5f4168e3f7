"""TfliteOp: one TFLite operator, and what it reads."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError

Window = tuple[tuple[int, int], tuple[int, int]]
"""Rows and columns of a kernel, each from the first to the one behind the last."""
MAX_VALUES = 2**31 - 1
"""Of one tensor."""


@dataclass(frozen=True, slots=True)
class Input:
    """The op's own input number `index`."""

    index: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """The output of operator number `index` of the same lowering."""

    index: int


@dataclass(frozen=True, slots=True)
class Parameter:
    """The node's "weight" or "bias", folded, or the "begin" of its slice.

    Attributes:
        name: One of these.
        window: Of a weight, the part that counts; None for all of it.
    """

    name: str
    window: Window | None = None

    @property
    def label(self) -> str:
        """What its tensor is called, behind the name of the weights."""
        return self.name if self.window is None else f"{self.name}.{self.window[0][0]}_{self.window[1][0]}"

    def of(self, values: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        """It among a node's parameters in TFLite's layout; a part is one of depthwise weights, (1, H, W, O)."""
        found = values[self.name]
        if self.window is None:
            return found
        (top, bottom), (left, right) = self.window
        return found[:, top:bottom, left:right]


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A constant tensor."""

    value: npt.NDArray[np.generic]


def repeated(value: float, *sizes: int) -> Constant:
    """A float32 tensor of one number; it takes the memory of that number, whatever its sizes.

    Raises:
        InputError: If nothing can have as many values.
    """
    if math.prod(sizes) > MAX_VALUES:
        raise InputError(f"a constant of the shape {list(sizes)} is too large")
    return Constant(np.broadcast_to(np.float32(value), sizes))


Operand = Input | Result | Parameter | Constant


@dataclass(frozen=True, slots=True)
class TfliteOp:
    """One TFLite operator.

    Attributes:
        code: Name in `BuiltinOperator`, such as `CONV_2D`.
        inputs: What it reads.
        out_shape: (height, width, channels) of its output; empty where it has the shape of its input.
        options: Fields of its builtin options table, by name.
        flat: Whether its output is (1, channels) and not (1, height, width, channels).
        batch: Whether the 1 of the batch comes before `out_shape`.
        bounds: In int8, the (low, high) of its output where that follows from what it computes; else its range is that
            of the node.
        real: In int8, whether its output is float32.
    """

    code: str
    inputs: tuple[Operand, ...]
    out_shape: tuple[int, ...]
    options: Mapping[str, object] = field(default_factory=dict)
    flat: bool = False
    batch: bool = True
    bounds: tuple[float, float] | None = None
    real: bool = False
