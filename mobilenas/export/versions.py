"""Versions of TFLite's operators: the oldest runtime that knows an operator in this form."""

from collections.abc import Mapping, Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

INT8_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    **dict.fromkeys(
        ("MAX_POOL_2D", "MEAN", "PAD", "ADD", "MUL", "CONCATENATION", "SLICE", "TRANSPOSE", "LOGISTIC", "DEQUANTIZE"), 2
    ),
}


def operator_version(code: str, options: Mapping[str, object], inputs: Sequence[Any], output: Any) -> int:
    """Version of an operator.

    Args:
        code: Its name.
        options: Fields of its options table.
        inputs: Its input tensors, `TensorT`.
        output: Its output tensor.

    Source: TensorFlow, lite/tools/versioning/op_version.cc.
    """
    if code == "CONV_2D" and inputs[1].shape[3] != inputs[0].shape[3]:
        return 6  # grouped
    if code == "DEQUANTIZE" and inputs[0].type == schema.TensorType.FLOAT16:
        return 3
    if inputs[0].type == schema.TensorType.INT8:
        if code == "MUL" and _scale(inputs[0]) * _scale(inputs[1]) >= _scale(output):
            return 3
        return INT8_VERSIONS.get(code, 1)
    dilated = (options.get("dilationHFactor", 1), options.get("dilationWFactor", 1)) != (1, 1)
    return 2 if code == "DEPTHWISE_CONV_2D" and dilated else 1


def _scale(tensor: Any) -> float:
    return float(tensor.quantization.scale[0])
