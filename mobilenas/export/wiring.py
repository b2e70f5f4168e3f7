"""Wiring: what each operator of a TFLite file reads, seen through those that only change how values are stored."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export.tflite_file import FileOperator, TfliteFile
from mobilenas.export.tflite_op import MAX_VALUES
from mobilenas.graph import Shape

KEEPS_VALUES = frozenset({"RESHAPE", "QUANTIZE", "DEQUANTIZE", "SQUEEZE", "EXPAND_DIMS"})
"""Operators whose output holds the values of their input, in another type or shape."""
CHANNELS_LAST = (0, 2, 3, 1)
WHOLE_NUMBERS = frozenset({"INT32", "INT64"})
"""Types of sizes."""


@dataclass(frozen=True, eq=False)
class Wiring:
    """A file whose operators read what is there.

    Attributes:
        file: The file.
        sources: By tensor, the one in which its values first appear.
        readers: By source, the operators that read it.
        images: By tensor, the first of those that hold the same values, up to itself, that is one image or vector.
    """

    file: TfliteFile
    sources: dict[int, int]
    readers: dict[int, list[int]]
    images: dict[int, int]

    @classmethod
    def of(cls, file: TfliteFile) -> "Wiring":
        """Follows every tensor to where its values come from.

        Raises:
            InputError: If an operator reads what is not there yet, writes what is there already or has no size, or an
                output of the network is written by none.
        """
        sources = {tensor: tensor for tensor in file.inputs}
        images = {tensor: tensor for tensor in file.inputs if _is_image(file, tensor)}
        for tensor in file.inputs:
            _check_size(file, tensor)
        readers: dict[int, list[int]] = {}
        for index, operator in enumerate(file.operators):
            for tensor in operator.inputs:
                if tensor >= 0 and tensor not in sources:
                    if not file.is_constant(tensor):
                        raise InputError(f"damaged: operator {index} ({operator.code}) reads what is not there yet")
                    sources[tensor] = tensor
                    if _is_image(file, tensor):
                        images[tensor] = tensor
            if any(tensor in sources for tensor in operator.outputs) or not operator.outputs:
                raise InputError(
                    f"damaged: operator {index} ({operator.code}) writes nothing, or what is there already"
                )
            sources.update((tensor, tensor) for tensor in operator.outputs)
            is_size = computes_sizes(file, operator)
            for tensor in () if is_size else operator.outputs:
                _check_size(file, tensor)
            (out, *_), before = operator.outputs, next(iter(operator.inputs), -1)
            if _keeps_values(file, operator):
                sources[out] = sources[before]
                if before in images or _is_image(file, out):
                    images[out] = images.get(before, out)
                continue
            images.update((tensor, tensor) for tensor in operator.outputs if _is_image(file, tensor))
            if not is_size:
                for tensor in {sources[tensor] for tensor in operator.inputs if tensor >= 0}:
                    readers.setdefault(tensor, []).append(index)
        for tensor in file.outputs:
            if tensor not in sources:
                raise InputError(f"damaged: the output {file.tensors[tensor].name!r} is written by no operator")
        return cls(file, sources, readers, images)

    def is_constant(self, tensor: int) -> bool:
        """Whether a tensor's values stand in the file."""
        return tensor >= 0 and self.file.is_constant(self.sources[tensor])

    def producer(self, tensor: int) -> int | None:
        """The operator that computed the values of a tensor; None for inputs and constants."""
        return self.file.producers.get(self.sources[tensor])

    def operands(self, operator: FileOperator) -> tuple[int, ...]:
        """The tensors that an operator reads and that are no constants."""
        return tuple(tensor for tensor in operator.inputs if tensor >= 0 and not self.is_constant(tensor))

    def shape(self, tensor: int) -> Shape:
        """(height, width, channels) of a tensor; a vector without a batch is what converters add to every pixel.

        Raises:
            InputError: If it is no single image and no single vector.
        """
        found = self.file.tensors[tensor]
        match found.shape:
            case (1, height, width, channels):
                return height, width, channels
            case (1, channels) | (channels,):
                return 1, 1, channels
        raise InputError(f"tensor {found.name!r} has the shape {list(found.shape)}; give a network for one image")

    def image(self, tensor: int) -> int:
        """Of the tensors that hold the same values, the first that is one image or vector: what a flattening read."""
        return self.images.get(tensor, tensor)

    def integers(self, tensor: int) -> list[int]:
        """The values of a small constant of whole numbers, flat.

        Raises:
            InputError: If it is none.
        """
        source = self.sources[tensor] if tensor >= 0 else -1
        if not self.is_constant(tensor) or math.prod(self.file.tensors[source].shape) > 64:
            raise InputError("reads sizes that are no constants")
        values = self.file.constant(source)
        if values.dtype.kind != "i":
            raise InputError(f"reads sizes of type {values.dtype}")
        return [int(value) for value in values.ravel()]

    def reals(self, tensor: int) -> npt.NDArray[np.float32]:
        """The values of a constant as real numbers."""
        source = self.sources[tensor]
        stored, found = self.file.constant(source), self.file.tensors[source]
        if stored.dtype.kind == "f" or not found.scale:
            return stored.astype(np.float32)
        shape = [1] * stored.ndim
        if len(found.scale) > 1:
            if not 0 <= found.axis < stored.ndim or stored.shape[found.axis] != len(found.scale):
                raise InputError(f"damaged: {found.name!r} has {len(found.scale)} scales for {list(found.shape)}")
            shape[found.axis] = -1
        zero_point = found.zero_point[0] if found.zero_point else 0  # per-channel ones are all 0
        return (stored.astype(np.float32) - np.float32(zero_point)) * np.array(found.scale, np.float32).reshape(shape)

    def number(self, tensor: int) -> float:
        """The number that all values of a uniform constant are."""
        found, stored = self.file.tensors[self.sources[tensor]], self.file.constant(self.sources[tensor])
        first = np.float32(stored.flat[0])
        if stored.dtype.kind == "f" or not found.scale:
            return float(first)
        return float((first - np.float32(next(iter(found.zero_point), 0))) * np.float32(found.scale[0]))

    def uniform(self, tensor: int) -> bool:
        """Whether all values of a constant are equal."""
        found, stored = self.file.tensors[self.sources[tensor]], self.file.constant(self.sources[tensor])
        key = found.buffer, found.type
        if key not in self._uniform:
            self._uniform[key] = stored.size > 0 and bool((stored == stored.flat[0]).all())
        return self._uniform[key] and all(scale == found.scale[0] for scale in found.scale)

    @cached_property
    def _uniform(self) -> dict[tuple[int, str], bool]:
        """By buffer, so that a large one that many tensors share is looked at once."""
        return {}

    def spend(self, work: float) -> None:
        """Counts the work of recognising ops.

        Raises:
            TooMuchWorkError: If it is far beyond what the number of operators explains, before more is done.
        """
        self._work[0] += work
        if self._work[0] > 10_000 + 50 * len(self.file.operators):
            raise TooMuchWorkError("damaged or too large: its operators say too much of too many forms")

    @cached_property
    def _work(self) -> list[float]:
        """What was spent, the one entry."""
        return [0.0]


class TooMuchWorkError(Exception):
    """A file that asks for more work than its size explains; no `InputError`, which says that one form is not it."""


def _check_size(file: TfliteFile, tensor: int) -> None:
    found = file.tensors[tensor]
    if not 1 <= math.prod(found.shape) <= MAX_VALUES:
        raise InputError(
            f"tensor {found.name!r} has the shape {list(found.shape)}; 1 to {MAX_VALUES} values are accepted"
        )


def _is_image(file: TfliteFile, tensor: int) -> bool:
    """Whether it is one image or one vector."""
    shape = file.tensors[tensor].shape
    return len(shape) in (2, 4) and shape[0] == 1


def computes_sizes(file: TfliteFile, operator: FileOperator) -> bool:
    """Whether an operator gives whole numbers: the shapes that a RESHAPE reads, worked out for any batch."""
    return all(file.tensors[tensor].type in WHOLE_NUMBERS for tensor in operator.outputs)


def _keeps_values(file: TfliteFile, operator: FileOperator) -> bool:
    if operator.code == "TRANSPOSE" and len(operator.inputs) == 2:
        return _is_channels_last(file, operator)
    if operator.code not in KEEPS_VALUES or not operator.inputs or operator.inputs[0] < 0:
        return False
    before, after = (math.prod(file.tensors[t].shape) for t in (operator.inputs[0], operator.outputs[0]))
    return before == after


def _is_channels_last(file: TfliteFile, operator: FileOperator) -> bool:
    """Whether it turns an input of a network from torch into what all that follows reads."""
    image, order = operator.inputs
    if order < 0 or not file.is_constant(order) or file.tensors[order].shape != (4,) or image not in file.inputs:
        return False
    return file.constant(order).ravel().tolist() == list(CHANNELS_LAST)
