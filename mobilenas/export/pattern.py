"""lowered_group: whether operators of a TFLite file are those that `lower` gives for an op."""

import math
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.export.lowering import lower
from mobilenas.export.tflite_op import Constant, Input, Operand, Parameter, Result, TfliteOp
from mobilenas.export.wiring import Wiring
from mobilenas.graph import OpSpec

COMMUTES = frozenset({"ADD", "MUL"})
MAX_GROUP = 100
"""Operators of one op; a concatenation of 400 tensors has as many."""
LIMITS = {"INT8": (-128, 127), "UINT8": (0, 255)}
VALUES_A_STEP = 1000
"""Values that are compared in about the time in which one operator is lowered and compared."""


@dataclass(frozen=True, slots=True)
class Group:
    """Operators that compute one op.

    Attributes:
        spec: The op.
        inputs: The tensors that it reads.
        operators: Their numbers.
    """

    spec: OpSpec
    inputs: tuple[int, ...]
    operators: frozenset[int]

    @property
    def last(self) -> int:
        """The operator that gives the op's output."""
        return max(self.operators)


@dataclass(slots=True)
class _Match:
    """Compares the operators of one lowering with those of the file, from the last one backwards."""

    wiring: Wiring
    pattern: tuple[TfliteOp, ...]
    inputs: dict[int, int] = field(default_factory=dict)
    operators: set[int] = field(default_factory=set)

    def operator(self, number: int, index: int) -> bool:
        """Whether operator `index` of the file, and what it reads, is operator `number` of the lowering."""
        wanted, found = self.pattern[number], self.wiring.file.operators[index]
        if wanted.code != found.code or len(found.outputs) != 1:
            return False
        if any(found.options.get(name) != value for name, value in wanted.options.items()):
            return False
        if wanted.out_shape and self._shape(wanted, found.outputs[0]) != wanted.out_shape:
            return False
        self.operators.add(index)
        orders = permutations(found.inputs) if wanted.code in COMMUTES else (found.inputs,)
        return any(self._operands(wanted.inputs, order) for order in orders)

    def _shape(self, wanted: TfliteOp, tensor: int) -> tuple[int, ...]:
        return self.wiring.shape(tensor) if wanted.batch else self.wiring.file.tensors[tensor].shape

    def _operands(self, wanted: tuple[Operand, ...], found: tuple[int, ...]) -> bool:
        before = dict(self.inputs), set(self.operators)
        if len(wanted) == len(found) and all(map(self._operand, wanted, found)):
            return True
        self.inputs, self.operators = before
        return False

    def _operand(self, wanted: Operand, tensor: int) -> bool:
        match wanted:
            case Input(index):
                known = self.inputs.setdefault(index, tensor)
                if self.wiring.is_constant(tensor) or self.wiring.sources[known] != self.wiring.sources[tensor]:
                    return False
                return known == tensor or self.wiring.shape(known) == self.wiring.shape(tensor)
            case Result(number) if self.pattern[number].code == "RESHAPE":  # the wiring sees through it
                return self._operand(self.pattern[number].inputs[0], self.wiring.image(tensor))
            case Result(number):
                producer = self.wiring.producer(tensor)
                return producer is not None and self.operator(number, producer)
            case Constant(value):
                return self.wiring.is_constant(tensor) and self._is_equal(tensor, value)
            case Parameter():
                return self.wiring.is_constant(tensor)

    def _is_equal(self, tensor: int, wanted: npt.NDArray[Any]) -> bool:
        """As nearly as the constant can be stored; a number may be written as a tensor of equal ones."""
        if wanted.dtype.kind != "f":
            return self.wiring.integers(tensor) == wanted.ravel().tolist()
        source = self.wiring.file.tensors[self.wiring.sources[tensor]]
        size = math.prod(source.shape)
        if size != wanted.size != 1:
            return False
        low, high = -math.inf, math.inf
        if len(source.scale) == 1 and source.type in LIMITS:
            low, high = (source.scale[0] * (n - next(iter(source.zero_point), 0)) for n in LIMITS[source.type])
        near = 0.51 * max(source.scale, default=0.0) + 1e-7
        if not any(wanted.strides):  # one number, however often
            number = min(max(float(wanted.flat[0]), low), high)
            return self.wiring.uniform(tensor) and abs(self.wiring.number(tensor) - number) <= near + 1e-3 * abs(number)
        self.wiring.spend(size / VALUES_A_STEP)
        values = self.wiring.reals(tensor).ravel()
        return bool(np.allclose(values, np.clip(wanted.ravel(), low, high), rtol=1e-3, atol=near))


def lowered_group(wiring: Wiring, index: int, *specs: OpSpec) -> Group | None:
    """The group that ends in operator `index` and whose operators `lower` gives for one of `specs`.

    Forms of the file's own type come first; others do write one form in the other type.
    """
    quantized = wiring.file.tensors[wiring.file.operators[index].outputs[0]].type in ("INT8", "UINT8")
    for dtype in ("int8", "float32") if quantized else ("float32", "int8"):
        for spec in specs:
            pattern = lower(spec, dtype)
            wiring.spend(len(pattern))
            match = _Match(wiring, pattern)
            last = max(number for number, op in enumerate(pattern) if op.code != "RESHAPE")
            if len(pattern) <= MAX_GROUP and match.operator(last, index):
                inputs = tuple(match.inputs[i] for i in sorted(match.inputs))
                if tuple(wiring.shape(tensor) for tensor in inputs) == spec.in_shapes:
                    return Group(spec, inputs, frozenset(match.operators))
    return None
