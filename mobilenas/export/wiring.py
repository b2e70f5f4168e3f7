"""Wiring: what each operator of a TFLite file reads, seen through those that only change how values are stored."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.export.tflite_file import FileOperator, TfliteFile
from mobilenas.graph import Shape

KEEPS_VALUES = frozenset({"RESHAPE", "QUANTIZE", "DEQUANTIZE", "SQUEEZE", "EXPAND_DIMS"})
"""Operators whose output holds the values of their input, in another type or shape."""
CHANNELS_LAST = (0, 2, 3, 1)


@dataclass(frozen=True, eq=False)
class Wiring:
    """A file whose operators read what is there.

    Attributes:
        file: The file.
        sources: By tensor, the one in which its values first appear.
        readers: By source, the operators that read it.
    """

    file: TfliteFile
    sources: dict[int, int]
    readers: dict[int, list[int]]

    @classmethod
    def of(cls, file: TfliteFile) -> "Wiring":
        """Follows every tensor to where its values come from.

        Raises:
            InputError: If an operator reads what is not there yet, or writes what is there already.
        """
        sources = {tensor: tensor for tensor in file.inputs}
        readers: dict[int, list[int]] = {}
        for index, operator in enumerate(file.operators):
            for tensor in operator.inputs:
                if tensor >= 0 and tensor not in sources:
                    if not file.is_constant(tensor):
                        raise InputError(f"damaged: operator {index} ({operator.code}) reads what is not there yet")
                    sources[tensor] = tensor
            if any(tensor in sources for tensor in operator.outputs) or not operator.outputs:
                raise InputError(
                    f"damaged: operator {index} ({operator.code}) writes nothing, or what is there already"
                )
            sources.update((tensor, tensor) for tensor in operator.outputs)
            if _keeps_values(file, operator):
                sources[operator.outputs[0]] = sources[operator.inputs[0]]
            elif not computes_sizes(file, operator):
                for tensor in {sources[tensor] for tensor in operator.inputs if tensor >= 0}:
                    readers.setdefault(tensor, []).append(index)
        return cls(file, sources, readers)

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
        found = tensor
        while tensor != self.sources[tensor]:
            tensor = self.file.operators[self.file.producers[tensor]].inputs[0]
            shape = self.file.tensors[tensor].shape
            if len(shape) in (2, 4) and shape[0] == 1:
                found = tensor
        return found

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

    def uniform(self, tensor: int) -> bool:
        """Whether all values of a constant are equal."""
        found = self.file.tensors[self.sources[tensor]]
        if found.buffer not in self._uniform:
            stored = self.file.constant(self.sources[tensor])
            self._uniform[found.buffer] = stored.size > 0 and bool((stored == stored.flat[0]).all())
        return self._uniform[found.buffer] and all(scale == found.scale[0] for scale in found.scale)

    @cached_property
    def _uniform(self) -> dict[int, bool]:
        """By buffer, so that a large one that many tensors share is looked at once."""
        return {}


def computes_sizes(file: TfliteFile, operator: FileOperator) -> bool:
    """Whether an operator gives whole numbers: the shapes that a RESHAPE reads, worked out for any batch."""
    return all(file.tensors[tensor].type in ("INT32", "INT64") for tensor in operator.outputs)


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
    if image not in file.inputs or order < 0 or not file.is_constant(order):
        return False
    return file.constant(order).ravel().tolist() == list(CHANNELS_LAST)
