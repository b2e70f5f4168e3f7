"""delegation_warnings: which operators XNNPACK leaves to slow kernels, and what to use instead."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

from mobilenas.export.constants import KERNEL_AXES
from mobilenas.export.lowering import MAX_CONCATENATED
from mobilenas.export.raising import pair
from mobilenas.export.tflite_file import FileOperator
from mobilenas.export.wiring import WHOLE_NUMBERS, Wiring, computes_sizes

QUANTIZED = frozenset({"INT8", "UINT8"})
POOLS = frozenset({"MAX_POOL_2D", "AVERAGE_POOL_2D"})

Rule = Callable[[Wiring, FileOperator], str]


def delegation_warnings(wiring: Wiring) -> tuple[str, ...]:
    """One line for each kind of operator that is not delegated, and what to do instead, in order of appearance."""
    found: Counter[tuple[str, str]] = Counter()
    for operator in wiring.file.operators:
        if instead := _instead(wiring, operator):
            found[_words(wiring, operator), instead] += 1
    return tuple(f"{count} {words} not delegated; instead: {instead}" for (words, instead), count in found.items())


def is_delegated(wiring: Wiring, operator: FileOperator) -> bool:
    """Whether XNNPACK takes an operator."""
    return not _instead(wiring, operator)


def is_unsigned(wiring: Wiring, operator: FileOperator) -> bool:
    """Whether an operator gives uint8, for which XNNPACK has other kernels: up to twice as slow as those of int8."""
    return any(wiring.file.tensors[tensor].type == "UINT8" for tensor in operator.outputs)


def is_dynamic(wiring: Wiring, operator: FileOperator) -> bool:
    """Whether an operator has weights in int8 and all else in float."""
    if (
        operator.code not in KERNEL_AXES
        or _is_quantized(wiring, operator)
        or not wiring.is_constant(operator.inputs[1])
    ):
        return False
    return wiring.file.tensors[wiring.sources[operator.inputs[1]]].type in QUANTIZED


def _words(wiring: Wiring, operator: FileOperator) -> str:
    image = next(iter(wiring.operands(operator)), operator.outputs[0])
    return f"{operator.code} in {wiring.file.tensors[image].type.lower()}"


def _instead(wiring: Wiring, operator: FileOperator) -> str:
    """What to use instead of an operator; empty if XNNPACK takes it."""
    tables = (_ANYWHERE, _IN_INT8) if _is_quantized(wiring, operator) else (_ANYWHERE,)
    rules = (_computed, *(table.get(operator.code, _fine) for table in tables))
    return next((text for rule in rules if (text := rule(wiring, operator))), "")


def _is_quantized(wiring: Wiring, operator: FileOperator) -> bool:
    return any(wiring.file.tensors[tensor].type in QUANTIZED for tensor in wiring.operands(operator))


def _fine(wiring: Wiring, operator: FileOperator) -> str:
    return ""


def _always(text: str) -> Rule:
    return lambda wiring, operator: text


def _computed(wiring: Wiring, operator: FileOperator) -> str:
    """XNNPACK computes no sizes, and reads none that do not stand in the file themselves."""
    file = wiring.file
    read = (tensor for tensor in operator.inputs if tensor >= 0 and file.tensors[tensor].type in WHOLE_NUMBERS)
    if computes_sizes(file, operator) or not all(map(file.is_constant, read)):
        return "sizes that stand in the file: convert for a batch of one, in Keras with Input(shape, batch_size=1)"
    return ""


def _wide(wiring: Wiring, operator: FileOperator) -> str:
    """TFLite takes int64 of SLICE too, and so does XNNPACK."""
    return "amounts in int32" if wiring.file.tensors[operator.inputs[1]].type == "INT64" else ""


def _rest(wiring: Wiring, operator: FileOperator) -> str:
    open_ended = -1 in wiring.integers(operator.inputs[2])
    return "sizes that are written out, not -1 for all that is left" if open_ended else ""


def _retyped(wiring: Wiring, operator: FileOperator) -> str:
    types = {wiring.file.tensors[tensor].type for tensor in (operator.inputs[0], operator.outputs[0])}
    return "one type throughout: inputs and outputs in int8, or in float32" if types == QUANTIZED else ""


def _rescaled(wiring: Wiring, operator: FileOperator) -> str:
    """XNNPACK moves the stored integers as they are; what is no weight has one scale."""
    tensors = wiring.file.tensors
    moved = (tensors[tensor] for tensor in (*operator.inputs, *operator.outputs) if tensor >= 0)
    scales = {(tensor.scale[:1], tensor.zero_point[:1] or (0,)) for tensor in moved if tensor.type in QUANTIZED}
    return "QUANTIZE to the scale and zero point of its output first" if len(scales) > 1 else ""


def _skipping(wiring: Wiring, operator: FileOperator) -> str:
    """XNNPACK's pools refuse a stride beyond the window."""
    kernel, stride = pair(operator, "filterHeight", "filterWidth"), pair(operator, "strideH", "strideW")
    if all(step <= size for step, size in zip(stride, kernel, strict=True)):
        return ""
    return "a stride within the window, then a depthwise convolution of one pixel with the rest of the stride"


def _parts(wiring: Wiring, operator: FileOperator) -> str:
    if len(operator.inputs) == 1:
        return "the one tensor itself"
    return f"{MAX_CONCATENATED} tensors at a time" if len(operator.inputs) > MAX_CONCATENATED else ""


def _depthwise(wiring: Wiring, operator: FileOperator) -> str:
    """XNNPACK demands a bias, and rounds activations itself for CONV_2D and FULLY_CONNECTED alone."""
    if len(operator.inputs) < 3:
        return "a bias too, of zeros where there is none"
    static = "activations in int8 too, with images for calibration (static quantization)"
    return static if is_dynamic(wiring, operator) else ""


def _sharpened(wiring: Wiring, operator: FileOperator) -> str:
    return "" if operator.options.get("beta") == 1.0 else "MUL by its beta, then a SOFTMAX of beta 1"


def _beyond(low: int, high: int, ratios: Sequence[float]) -> str:
    fits = all(2.0**low <= ratio < 2.0**high for ratio in ratios)
    return "" if fits else "ranges of inputs and output that are nearer to each other: calibrate on more images"


def _scales(wiring: Wiring, operator: FileOperator) -> tuple[list[float], float]:
    """Of the operands that are quantized, and of the output; (none, 1) where one is not, or has several."""
    tensors = [wiring.file.tensors[tensor] for tensor in (*operator.inputs, *operator.outputs) if tensor >= 0]
    if any(tensor.type not in QUANTIZED or len(tensor.scale) != 1 or tensor.scale[0] <= 0 for tensor in tensors):
        return [], 1.0
    return [tensor.scale[0] for tensor in tensors[:-1]], tensors[-1].scale[0]


def _unequal(wiring: Wiring, operator: FileOperator) -> str:
    """XNNPACK adds in fixed point, to which scales far apart do not fit."""
    inputs, output = _scales(wiring, operator)
    return _beyond(-10, 8, [scale / output for scale in inputs])


def _unequal_product(wiring: Wiring, operator: FileOperator) -> str:
    inputs, output = _scales(wiring, operator)
    return _beyond(-16, 8, [math.prod(inputs) / output])


_ANYWHERE: dict[str, Rule] = {
    **dict.fromkeys(POOLS, _skipping),
    "PAD": _wide,
    **dict.fromkeys(("SQUEEZE", "EXPAND_DIMS"), _always("RESHAPE to a shape that stands in the file")),
    "DEPTHWISE_CONV_2D": _depthwise,
    "CONCATENATION": _parts,
    "SLICE": _rest,
    "SOFTMAX": _sharpened,
    "PADV2": _always("CONCATENATION with constants, or PAD where zeros will do"),
}
_IN_INT8: dict[str, Rule] = {
    "HARD_SWISH": _always("x * relu6(x + 3) / 6, as mobilenas export --dtype int8 writes it"),
    "RELU": _always("fuse it into the operator before, or into a MAX_POOL_2D of one pixel"),
    "RELU6": _always("fuse it into the operator before, or into a MAX_POOL_2D of one pixel"),
    "GELU": _always("x * sigmoid of a cubic in x, as mobilenas export --dtype int8 writes it"),
    "AVERAGE_POOL_2D": _always("MEAN over the whole image, or a depthwise convolution with equal weights"),
    "SOFTMAX": _always("end with the scores; the largest is the same, and the app can take the softmax of them"),
    "DIV": _always("MUL with the reciprocal"),
    "QUANTIZE": _retyped,
    **dict.fromkeys(("ADD", "SUB"), _unequal),
    "MUL": _unequal_product,
    **dict.fromkeys(("RESHAPE", "CONCATENATION"), _rescaled),
}
"""By the operator's code; tests hold both tables to what LiteRT does."""
