"""TfliteFile: the tensors and operators of a TFLite file, read with every offset and length checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from mobilenas.errors import InputError
from mobilenas.export.flatbuffer_view import FlatbufferTable

MAX_PARTS, MAX_OPERATORS = 50_000, 5000
"""Tensors or buffers of one file, and operators; the largest published networks have a few thousand."""
MAX_OPERANDS, MAX_DIMENSIONS, MAX_CHANNELS = 1000, 8, 2**20


def _names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if not name.startswith("_")}


_CODES, _TYPES = _names(schema.BuiltinOperator), _names(schema.TensorType)
_PADDINGS, _ACTIVATIONS = _names(schema.Padding), _names(schema.ActivationFunctionType)
CUSTOM = "CUSTOM"

_WINDOW = {"padding": (0, "b", 0), "strideW": (1, "i", 0), "strideH": (2, "i", 0)}
_POOL = _WINDOW | {
    "filterWidth": (3, "i", 0),
    "filterHeight": (4, "i", 0),
    "fusedActivationFunction": (5, "b", 0),
}
_FUSED = {"fusedActivationFunction": (0, "b", 0)}
OPTION_FIELDS: dict[str, dict[str, tuple[int, str, int]]] = {
    "CONV_2D": _WINDOW
    | {
        "fusedActivationFunction": (3, "b", 0),
        "dilationWFactor": (4, "i", 1),
        "dilationHFactor": (5, "i", 1),
    },
    "DEPTHWISE_CONV_2D": _WINDOW
    | {
        "depthMultiplier": (3, "i", 0),
        "fusedActivationFunction": (4, "b", 0),
        "dilationWFactor": (5, "i", 1),
        "dilationHFactor": (6, "i", 1),
    },
    "FULLY_CONNECTED": _FUSED | {"weightsFormat": (1, "b", 0)},
    "MAX_POOL_2D": _POOL,
    "AVERAGE_POOL_2D": _POOL,
    "MEAN": {"keepDims": (0, "?", 0)},
    "SUM": {"keepDims": (0, "?", 0)},
    "CONCATENATION": {"axis": (0, "i", 0), "fusedActivationFunction": (1, "b", 0)},
    **dict.fromkeys(("ADD", "MUL", "SUB", "DIV"), _FUSED),
    "SOFTMAX": {"beta": (0, "f", 0)},
    "STRIDED_SLICE": {
        "beginMask": (0, "i", 0),
        "endMask": (1, "i", 0),
        "ellipsisMask": (2, "i", 0),
        "newAxisMask": (3, "i", 0),
        "shrinkAxisMask": (4, "i", 0),
    },
}
"""Where the options that matter stand in an operator's table: number of the field, its letter in `struct`, default.

Source: TensorFlow, lite/schema/schema.fbs.
"""
_NUMPY: dict[str, np.dtype[np.generic]] = {
    "FLOAT32": np.dtype("<f4"),
    "FLOAT16": np.dtype("<f2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "INT16": np.dtype("<i2"),
    "BOOL": np.dtype("?"),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor.

    Attributes:
        name: Its name, cut where it is very long.
        type: Name in `TensorType`, such as `INT8`.
        shape: Its sizes; what is unknown until the file runs stands there as 1.
        buffer: Number of its buffer.
        scale, zero_point: What quantized values stand for; empty for others.
        axis: Axis of per-channel scales.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    buffer: int
    scale: tuple[float, ...] = ()
    zero_point: tuple[int, ...] = ()
    axis: int = 0


@dataclass(frozen=True, slots=True)
class FileOperator:
    """One operator.

    Attributes:
        code: Name in `BuiltinOperator`; of a custom one its own name.
        inputs: Numbers of its input tensors, -1 for one that is left out.
        outputs: Numbers of its output tensors.
        options: Its options by their name in `TfliteOp.options`, with their defaults where the file says nothing.
    """

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TfliteFile:
    """The first subgraph of a file.

    Attributes:
        data: The file.
        tensors, operators: Its parts.
        inputs, outputs: Numbers of tensors.
        buffers: (first byte, size) of each buffer.
        subgraphs: How many there are.
    """

    data: bytes
    tensors: tuple[Tensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: tuple[tuple[int, int], ...]
    subgraphs: int = 1

    @classmethod
    def parse(cls, data: bytes) -> "TfliteFile":
        """Reads a file.

        Raises:
            InputError: If it is no TFLite file, is damaged, or has more parts than any real one.
        """
        if data[4:8] == b"TFL3" and len(data) < 16:
            raise InputError(f"not a TFLite file: {len(data)} bytes are too short for one; give a whole .tflite file")
        if data[4:8] != b"TFL3":
            raise InputError("not a TFLite file: the identifier TFL3 is missing; give a .tflite file")
        model = FlatbufferTable.root(data)
        codes = [_code(table) for table in model.tables(1, MAX_PARTS)]
        subgraphs = model.tables(2, MAX_PARTS)
        if not subgraphs:
            raise InputError("damaged: the file holds no network")
        subgraph = subgraphs[0]
        found = cls(
            data=data,
            tensors=tuple(_tensor(table) for table in subgraph.tables(0, MAX_PARTS)),
            operators=tuple(_operator(table, codes) for table in subgraph.tables(3, MAX_OPERATORS)),
            inputs=subgraph.numbers(1, "i", MAX_OPERANDS),
            outputs=subgraph.numbers(2, "i", MAX_OPERANDS),
            buffers=tuple(_buffer(table) for table in model.tables(4, MAX_PARTS)),
            subgraphs=len(subgraphs),
        )
        found._check_numbers()
        return found

    def is_constant(self, tensor: int) -> bool:
        """Whether the values of a tensor stand in the file."""
        return self.buffers[self.tensors[tensor].buffer][1] > 0

    def constant(self, tensor: int) -> npt.NDArray[np.generic]:
        """The stored values of a constant tensor, not copied.

        Raises:
            InputError: If there are more or fewer than its shape says, or none of a type that numpy has.
        """
        found = self.tensors[tensor]
        if found.type not in _NUMPY:
            raise InputError(f"constant {found.name!r}: {found.type} is not accepted; give {', '.join(_NUMPY)}")
        dtype, (start, size), count = _NUMPY[found.type], self.buffers[found.buffer], math.prod(found.shape)
        if size != count * dtype.itemsize:
            raise InputError(f"damaged: constant {found.name!r} has {size} bytes for the shape {list(found.shape)}")
        return np.frombuffer(self.data, dtype, count, start).reshape(found.shape)

    @cached_property
    def producers(self) -> dict[int, int]:
        """The operator that writes a tensor, by the tensor's number."""
        return {tensor: i for i, operator in enumerate(self.operators) for tensor in operator.outputs}

    @cached_property
    def first_readers(self) -> dict[tuple[str, int], FileOperator]:
        """The first operator of a code whose first operand is a tensor, by the code and the tensor's number."""
        return {(found.code, found.inputs[0]): found for found in reversed(self.operators) if found.inputs}

    def _check_numbers(self) -> None:
        count = len(self.tensors)
        numbers = [*self.inputs, *self.outputs, *(t for operator in self.operators for t in operator.outputs)]
        optional = (t for operator in self.operators for t in operator.inputs)
        if any(not 0 <= n < count for n in numbers) or any(not -1 <= n < count for n in optional):
            raise InputError(f"damaged: a tensor is named that is not among the {count} of the file")
        if any(not 0 <= tensor.buffer < len(self.buffers) for tensor in self.tensors):
            raise InputError(f"damaged: a buffer is named that is not among the {len(self.buffers)} of the file")


def _code(table: FlatbufferTable) -> str:
    """Files of before 2020 have the code in the first field alone, which ends at 127."""
    number = max(table.number(0, "b"), table.number(3, "i"))
    name = _CODES.get(number, f"operator {number}")
    return table.text(1) or CUSTOM if name == CUSTOM else name


def _tensor(table: FlatbufferTable) -> Tensor:
    sizes, kind = table.numbers(0, "i", MAX_DIMENSIONS), table.number(1, "b")
    name = table.text(3)
    if any(size < -1 for size in sizes):
        raise InputError(f"damaged: tensor {name!r} has the shape {list(sizes)}")
    shape = tuple(1 if size == -1 else size for size in sizes)
    basis = name, _TYPES.get(kind, f"type {kind}"), shape, table.number(2, "I")
    quantization = table.table(4)
    if quantization is None:
        return Tensor(*basis)
    scale = quantization.floats(2, MAX_CHANNELS)
    return Tensor(*basis, scale, quantization.numbers(3, "q", max(len(scale), 1)), quantization.number(6, "i"))


def _operator(table: FlatbufferTable, codes: list[str]) -> FileOperator:
    index = table.number(0, "I")
    if index >= len(codes):
        raise InputError(f"damaged: operator code {index} is not among the {len(codes)} of the file")
    code = codes[index]
    inputs, outputs = table.numbers(1, "i", MAX_OPERANDS), table.numbers(2, "i", MAX_OPERANDS)
    fields, options = OPTION_FIELDS.get(code, {}), table.table(4)
    values = {
        name: options.number(number, kind, default) if options else default
        for name, (number, kind, default) in fields.items()
    }
    return FileOperator(code, inputs, outputs, {name: option(name, value) for name, value in values.items()})


def option(name: str, value: object) -> object:
    """The value of an option as `TfliteOp.options` has it, by the number that stands in a file."""
    if isinstance(value, int) and name == "padding":
        return _PADDINGS.get(value, f"padding {value}")
    if isinstance(value, int) and name == "fusedActivationFunction":
        return _ACTIVATIONS.get(value, f"activation {value}")
    return value


def _buffer(table: FlatbufferTable) -> tuple[int, int]:
    """Buffers of very large files stand behind the flatbuffer: then the table says where."""
    offset, size = table.number(1, "Q"), table.number(2, "Q")
    if offset <= 1:
        return table.span(0)
    if offset + size > len(table.data):
        raise InputError(f"damaged: a buffer of {size} bytes at byte {offset} goes beyond the end of the file")
    return offset, size
