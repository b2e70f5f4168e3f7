"""The closed set of operations, and the types of their fields."""

from enum import StrEnum
from typing import Literal

Shape = tuple[int, int, int]
"""(height, width, channels) of one tensor; the batch is always 1."""

Pair = tuple[int, int]
Padding = Literal["same", "valid"] | tuple[Pair, Pair]
"""TF "same", "valid", or explicit ((top, bottom), (left, right))."""

Activation = Literal["none", "relu", "relu6"]
"""What every runtime fuses into the op before it; other activations are ops of their own."""

MAX_SIZE = 2**31 - 1
"""The largest size of anything: TFLite counts in int32."""

BYTES = {"float32": 4, "float16": 2, "int8": 1}
"""Bytes of one element of the weights by dtype."""

ACTIVATION_BYTES = {"float32": 4, "float16": 4, "int8": 1}
"""Bytes of one element of the activations by dtype of the weights."""


class OpKind(StrEnum):
    """The closed set of operations that a graph is made of."""

    CONV2D = "conv2d"
    DEPTHWISE_CONV2D = "depthwise_conv2d"
    FULLY_CONNECTED = "fully_connected"
    MAX_POOL2D = "max_pool2d"
    AVG_POOL2D = "avg_pool2d"
    MEAN = "mean"
    PAD = "pad"
    ADD = "add"
    MUL = "mul"
    CONCAT = "concat"
    SLICE = "slice"
    CHANNEL_SHUFFLE = "channel_shuffle"
    UPSAMPLE = "upsample"
    RELU = "relu"
    RELU6 = "relu6"
    HARD_SWISH = "hard_swish"
    HARD_SIGMOID = "hard_sigmoid"
    SIGMOID = "sigmoid"
    SILU = "silu"
    GELU = "gelu"


WEIGHTED = frozenset({OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.FULLY_CONNECTED})
WINDOWED = frozenset({OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.MAX_POOL2D, OpKind.AVG_POOL2D})
ELEMENTWISE = frozenset(
    {OpKind.RELU, OpKind.RELU6, OpKind.HARD_SWISH, OpKind.HARD_SIGMOID, OpKind.SIGMOID, OpKind.SILU, OpKind.GELU}
)
FUSES_ACTIVATION = WEIGHTED | {OpKind.ADD, OpKind.MUL, OpKind.MAX_POOL2D, OpKind.AVG_POOL2D}
