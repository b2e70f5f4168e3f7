"""A TFLite model under construction: tensors, constants, operators, and the file's bytes."""

from collections.abc import Mapping, Sequence

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from mobilenas.export.metadata import BUFFER_NAME, Metadata, metadata_table, with_labels
from mobilenas.export.quantization import Quantization
from mobilenas.export.versions import operator_version

ALIGNMENT = 16
OPTIONS = {
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "ADD": "AddOptions",
    "MUL": "MulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "SLICE": "SliceOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "RESHAPE": "ReshapeOptions",
    "TRANSPOSE": "TransposeOptions",
    "HARD_SWISH": "HardSwishOptions",
    "GELU": "GeluOptions",
    "QUANTIZE": "QuantizeOptions",
    "DEQUANTIZE": "DequantizeOptions",
}
"""Operators that have a builtin options table, and its name."""

ENUMS = {"padding": schema.Padding, "fusedActivationFunction": schema.ActivationFunctionType}


class _AlignedBuffer:
    """A buffer whose data starts at a multiple of 16 bytes, as the schema demands and `BufferT.Pack` forgets."""

    def __init__(self, data: bytes | memoryview = b"") -> None:
        self._data = data

    def pack(self, builder: flatbuffers.Builder) -> int:
        """Writes it; returns where."""
        offset = None
        if size := len(self._data):
            builder.StartVector(1, size, ALIGNMENT)
            builder.head = builder.Head() - size
            builder.Bytes[builder.Head() : builder.Head() + size] = self._data
            offset = builder.EndVector()
        schema.BufferStart(builder)
        if offset is not None:
            schema.BufferAddData(builder, offset)
        return int(schema.BufferEnd(builder))

    Pack = pack  # as `ModelT.Pack` calls it


class FlatbufferModel:
    """Collects the parts of one single-subgraph model."""

    def __init__(self) -> None:
        self._subgraph = schema.SubGraphT()
        self._subgraph.name = "main"
        self._subgraph.tensors, self._subgraph.operators = [], []
        self._subgraph.inputs, self._subgraph.outputs = [], []
        self._buffers = [_AlignedBuffer()]
        self._codes: dict[tuple[str, int], int] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._constant_bytes = 0

    def input(self, shape: Sequence[int], name: str, quantization: Quantization | None = None) -> int:
        """An input of the model: of the integers of its quantization where one is given, else float32."""
        index = self._tensor(shape, _activation_type(quantization), name, quantization=quantization)
        self._subgraph.inputs.append(index)
        return index

    def constant(self, value: npt.NDArray[np.generic], name: str, quantization: Quantization | None = None) -> int:
        """A constant tensor; equal small ones are shared, unless they are quantized."""
        array = np.require(value, requirements="C")
        share = quantization is None and array.nbytes <= 64
        key = (array.dtype.str, array.shape, array.tobytes()) if share else None
        if key in self._constants:
            return self._constants[key]
        data = array.data.cast("B") if array.ndim else array.tobytes()  # not copied; a scalar cannot be cast
        self._buffers.append(_AlignedBuffer(data))
        self._constant_bytes += array.nbytes + ALIGNMENT
        index = self._tensor(array.shape, array.dtype, name, len(self._buffers) - 1, quantization)
        if key:
            self._constants[key] = index
        return index

    def operator(
        self,
        code: str,
        inputs: Sequence[int],
        out_shape: Sequence[int],
        options: Mapping[str, object],
        name: str,
        quantization: Quantization | None = None,
    ) -> int:
        """Appends an operator and returns its output tensor, of a type as an input's."""
        operator = schema.OperatorT()
        operator.inputs = list(inputs)
        operator.outputs = [self._tensor(out_shape, _activation_type(quantization), name, quantization=quantization)]
        tensors = self._subgraph.tensors
        version = operator_version(code, options, [tensors[i] for i in inputs], tensors[operator.outputs[0]])
        operator.opcodeIndex = self._code(code, version)
        if code in OPTIONS:
            table = getattr(schema, OPTIONS[code] + "T")()
            for field, value in options.items():
                setattr(table, field, getattr(ENUMS[field], str(value)) if field in ENUMS else value)
            operator.builtinOptions = table
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, OPTIONS[code])
        self._subgraph.operators.append(operator)
        return int(operator.outputs[0])

    def shape(self, tensor: int) -> list[int]:
        """Shape of a tensor."""
        return list(self._subgraph.tensors[tensor].shape)

    def finish(self, outputs: Sequence[int], description: str, metadata: Metadata | None = None) -> bytes:
        """The file, with the signature `serving_default`: inputs `input_<i>`, outputs `output_<i>`."""
        self._subgraph.outputs = list(outputs)
        model = schema.ModelT()
        model.version = 3
        model.description = description
        model.operatorCodes = []
        for code, version in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode = getattr(schema.BuiltinOperator, code)
            entry.deprecatedBuiltinCode = min(entry.builtinCode, 127)
            entry.version = version
            model.operatorCodes.append(entry)
        model.subgraphs, model.buffers = [self._subgraph], self._buffers
        model.signatureDefs = [self._signature()]
        if metadata is not None:
            model.metadata = [self._metadata(metadata_table(metadata, description))]
        parts = len(self._subgraph.tensors) + len(self._subgraph.operators)
        builder = flatbuffers.Builder(self._constant_bytes + 512 * parts + 4096)
        builder.Finish(model.Pack(builder), b"TFL3")
        data = bytes(memoryview(builder.Bytes)[builder.Head() :])  # Output() would copy once more
        return data if metadata is None else with_labels(data, metadata.labels)

    def _metadata(self, table: bytes) -> object:
        """An entry that names the buffer of a metadata table."""
        self._buffers.append(_AlignedBuffer(table))
        self._constant_bytes += len(table) + ALIGNMENT
        entry = schema.MetadataT()
        entry.name, entry.buffer = BUFFER_NAME, len(self._buffers) - 1
        return entry

    def _signature(self) -> object:
        signature = schema.SignatureDefT()
        signature.signatureKey = "serving_default"
        signature.subgraphIndex = 0
        signature.inputs = [_tensor_map(f"input_{i}", t) for i, t in enumerate(self._subgraph.inputs)]
        signature.outputs = [_tensor_map(f"output_{i}", t) for i, t in enumerate(self._subgraph.outputs)]
        return signature

    def _tensor(
        self,
        shape: Sequence[int],
        dtype: np.dtype[np.generic],
        name: str,
        buffer: int = 0,
        quantization: Quantization | None = None,
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape = [int(size) for size in shape]
        tensor.hasRank = True
        tensor.type = getattr(schema.TensorType, dtype.name.upper())
        tensor.buffer = buffer
        tensor.name = name
        if quantization is not None:
            tensor.quantization = _quantization_table(quantization)
            self._constant_bytes += 12 * len(quantization.scale)
        self._subgraph.tensors.append(tensor)
        return len(self._subgraph.tensors) - 1

    def _code(self, code: str, version: int) -> int:
        return self._codes.setdefault((code, version), len(self._codes))


def _tensor_map(name: str, tensor: int) -> object:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, tensor
    return entry


def _activation_type(quantization: Quantization | None) -> np.dtype[np.generic]:
    if quantization is None:
        return np.dtype(np.float32)
    return np.dtype(np.uint8 if quantization.unsigned else np.int8)


def _quantization_table(quantization: Quantization) -> object:
    table = schema.QuantizationParametersT()
    table.scale = quantization.scale
    table.zeroPoint = np.full(len(quantization.scale), quantization.zero_point, np.int64)
    table.quantizedDimension = quantization.axis
    return table
