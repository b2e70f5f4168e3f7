"""What an op asks of a processor, in amounts that a device has a price for each of."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from mobilenas.graph import ELEMENTWISE, OpKind, OpSpec

Floats = npt.NDArray[np.float64]
CACHE_MB = 1.0
"""What an op may read and write before it leaves the caches of a phone's core."""
KINDS_OF_WORK = (
    "pointwise MMACs",
    "convolution MMACs",
    "depthwise MMACs",
    "wide depthwise MMACs",
    "convolution MB",
    "convolution weight MB",
    "depthwise MB",
    "vector weight MB",
    "elementwise MB",
    "scalar M elements",
    "activation M elements",
    "MB beyond the cache",
    "ops",
)
"""Multiply-adds by the kernels that do them; bytes that are packed, streamed or merely read and written; elements of
loops without vector instructions (means, products that broadcast); starting an op."""
_INDEX = {name: index for index, name in enumerate(KINDS_OF_WORK)}


def work(op: OpSpec, dtype: str = "float32") -> Floats:
    """The amounts of each kind of work in one op, shape (kinds of work,)."""
    amounts = np.zeros(len(KINDS_OF_WORK))
    moved_mb, weights_mb = op.activation_bytes(dtype) / 1e6, op.weight_bytes(dtype) / 1e6
    elements = max(math.prod(shape) for shape in op.in_shapes) / 1e6
    parts = {"ops": 1.0, "MB beyond the cache": max(0.0, moved_mb - CACHE_MB)}
    is_vector = op.kind is OpKind.CONV2D and op.out_shape[:2] == (1, 1)
    if op.kind is OpKind.FULLY_CONNECTED or is_vector:
        parts["vector weight MB"] = weights_mb
    elif op.kind is OpKind.CONV2D:
        kernels = "pointwise" if op.kernel_size == (1, 1) else "convolution"
        parts |= {f"{kernels} MMACs": op.macs / 1e6, "convolution MB": moved_mb, "convolution weight MB": weights_mb}
    elif op.kind is OpKind.DEPTHWISE_CONV2D:
        kernels = "depthwise" if max(op.kernel_size) <= 3 else "wide depthwise"
        parts |= {f"{kernels} MMACs": op.macs / 1e6, "depthwise MB": moved_mb}
    elif op.kind is OpKind.MEAN or (op.kind is OpKind.MUL and len(set(op.in_shapes)) > 1):
        parts["scalar M elements"] = elements
    elif op.kind in ELEMENTWISE - {OpKind.RELU, OpKind.RELU6}:
        parts["activation M elements"] = elements
    else:
        parts["elementwise MB"] = moved_mb
    for name, amount in parts.items():
        amounts[_INDEX[name]] = amount
    return amounts


def total_work(ops: Mapping[OpSpec, int], dtype: str = "float32") -> Floats:
    """The work of all ops together, shape (kinds of work,).

    Args:
        ops: How often each op occurs.
        dtype: Element type.
    """
    return sum((count * work(op, dtype) for op, count in ops.items()), np.zeros(len(KINDS_OF_WORK)))
