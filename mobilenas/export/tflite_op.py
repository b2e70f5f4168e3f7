"""TfliteOp: one TFLite operator, and what it reads."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError

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
    """The node's "weight" or "bias", folded, or the "begin" of its slice."""

    name: str


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
