"""Recognition: which operators of a TFLite file compute one op together.

`lower` is the only description of these forms: an op that might be there is proposed, and accepted where the operators
that `lower` gives for it are the ones that the file has.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from mobilenas.errors import InputError
from mobilenas.export.large_windows import MOST_PIECES, MOST_TAPS
from mobilenas.export.lowering import MAX_CONCATENATED
from mobilenas.export.pattern import MAX_GROUP, VALUES_A_STEP, Group, lowered_group
from mobilenas.export.raising import fused, padding_amounts, pair, raise_operator, weight_shape, windowed
from mobilenas.export.tflite_file import FileOperator
from mobilenas.export.windows import windows_are_equal
from mobilenas.export.wiring import Wiring
from mobilenas.graph import OpKind, OpSpec, Shape
from mobilenas.graph.kind import Padding, Pair

LOWEST = {"f": -1e30, "i": -128, "u": 0}
"""What padding must be so that it is never the largest, by the kind of its type."""


def recognised(wiring: Wiring, index: int) -> Group:
    """The largest group that ends in an operator whose code is among `RAISED`.

    Raises:
        InputError: If not even the operator alone is an op.
    """
    operator = wiring.file.operators[index]
    for propose in _PROPOSALS.get(operator.code, ()):
        with suppress(InputError):  # what was proposed cannot be, so it is not what the file has
            group = propose(wiring, index)
            if group and _is_closed(wiring, group):
                return group
    spec = raise_operator(wiring, operator)
    return Group(spec, wiring.operands(operator), frozenset((index,)))


def _is_closed(wiring: Wiring, group: Group) -> bool:
    """Whether nothing outside reads what the group's operators pass to each other."""
    outputs = {wiring.sources[tensor] for tensor in wiring.file.outputs}
    for index in group.operators - {group.last}:
        (tensor,) = wiring.file.operators[index].outputs
        if wiring.sources[tensor] in outputs or not group.operators.issuperset(wiring.readers.get(tensor, ())):
            return False
    return True


def _activations(*kinds: OpKind) -> Callable[[Wiring, int], Group | None]:
    """Activations of the output's shape."""

    def propose(wiring: Wiring, index: int) -> Group | None:
        shape = wiring.shape(wiring.file.operators[index].outputs[0])
        return lowered_group(wiring, index, *(OpSpec(kind, (shape,), shape[2]) for kind in kinds))

    return propose


def _padded(wiring: Wiring, index: int) -> Group | None:
    """A convolution behind a PAD; one that pads by itself too is two ops."""
    operator = wiring.file.operators[index]
    before = _pad_before(wiring, operator)
    if before is None or windowed(wiring, operator).explicit_padding != ((0, 0), (0, 0)):
        return None
    spec = windowed(wiring, operator, padding_amounts(wiring, before[1]), before[1].inputs[0])
    return Group(spec, (before[1].inputs[0],), frozenset((before[0], index)))


def _pad_before(wiring: Wiring, operator: FileOperator) -> tuple[int, FileOperator] | None:
    producer = wiring.producer(operator.inputs[0]) if operator.inputs else None
    if producer is None or wiring.file.operators[producer].code != "PAD":
        return None
    return producer, wiring.file.operators[producer]


def _in_pieces(wiring: Wiring, index: int) -> Group | None:
    """A depthwise convolution with a large window: the sum of those with its parts."""
    operators = wiring.file.operators
    parts: list[FileOperator] = []
    at: int | None = index
    while at is not None and operators[at].code == "ADD" and len(parts) < MOST_PIECES:
        last = wiring.producer(operators[at].inputs[1])
        if last is None or operators[last].code != "DEPTHWISE_CONV_2D":
            return None
        parts.append(operators[last])
        at = wiring.producer(operators[at].inputs[0])
    if at is None or operators[at].code != "DEPTHWISE_CONV_2D" or not parts:
        return None
    parts.append(operators[at])
    height, width = 0, 0
    for part in parts:
        top, left, image = _sliced(wiring, part.inputs[0])
        down, across = pair(part, "dilationHFactor", "dilationWFactor")
        _, rows, columns, _ = weight_shape(wiring, part, 4)
        if min(down, across) < 1:
            return None
        height, width = max(height, top // down + rows), max(width, left // across + columns)
    if height * width > MOST_PIECES * MOST_TAPS:
        return None
    producer = wiring.producer(image)
    around: Padding = "valid"
    if producer is not None and operators[producer].code == "PAD":
        around, image = padding_amounts(wiring, operators[producer]), operators[producer].inputs[0]
    first = windowed(wiring, parts[-1], around, image)
    return lowered_group(wiring, index, replace(first, kernel_size=(height, width), activation=fused(operators[index])))


def _sliced(wiring: Wiring, tensor: int) -> tuple[int, int, int]:
    """From which row and column on a SLICE gives an image, and that image; itself where there is none."""
    producer = wiring.producer(tensor)
    if producer is None or wiring.file.operators[producer].code != "SLICE":
        return 0, 0, tensor
    begin = wiring.integers(wiring.file.operators[producer].inputs[1])
    if len(begin) != 4:
        raise InputError("it slices no image")
    return begin[1], begin[2], wiring.file.operators[producer].inputs[0]


def _average(wiring: Wiring, index: int) -> Group | None:
    """Average pools, and pools of one pixel, as a depthwise convolution with equal weights, scaled or not."""
    last = convolution = wiring.file.operators[index]
    if last.code == "MUL":
        producers = [wiring.producer(tensor) for tensor in wiring.operands(last)]
        if len(producers) != 1 or producers[0] is None:
            return None
        convolution = wiring.file.operators[producers[0]]
    if convolution.code != "DEPTHWISE_CONV_2D" or not wiring.is_constant(convolution.inputs[1]):
        return None
    if not wiring.uniform(convolution.inputs[1]):
        return None
    before = _pad_before(wiring, convolution) if convolution.options["padding"] == "VALID" else None
    if before:
        with suppress(InputError):  # as in a window of nothing but padding: then the PAD is an op by itself
            around, image = padding_amounts(wiring, before[1]), before[1].inputs[0]
            if group := _pooled(wiring, index, windowed(wiring, convolution, around, image)):
                return group
    return _pooled(wiring, index, windowed(wiring, convolution))


def _pooled(wiring: Wiring, index: int, read: OpSpec) -> Group | None:
    """The pool that a depthwise convolution with equal weights is, or that it and the MUL behind it are."""
    wiring.spend(sum(read.out_shape[:2]) / VALUES_A_STEP)
    last, scaled = wiring.file.operators[index], not windows_are_equal(read)
    if scaled != (last.code == "MUL") or read.dilation != (1, 1) or read.out_channels != read.in_shapes[0][2]:
        return None
    constants = [tensor for tensor in last.inputs if wiring.is_constant(tensor)]
    if scaled and not any(_values(wiring, tensor) == math.prod(read.out_shape[:2]) for tensor in constants):
        return None  # before `lower` makes the map of as many pixels
    kinds = [OpKind.AVG_POOL2D, OpKind.MAX_POOL2D] if read.kernel_size == (1, 1) else [OpKind.AVG_POOL2D]
    return lowered_group(wiring, index, *(replace(read, kind=kind, activation=fused(last)) for kind in kinds))


def _values(wiring: Wiring, tensor: int) -> int:
    """How many values of a constant stand in the file."""
    return wiring.file.constant(wiring.sources[tensor]).size


def _max_pool(wiring: Wiring, index: int) -> Group | None:
    """A pool with the lowest number around its input, and with a stride beyond its window."""
    last = pool = wiring.file.operators[index]
    picked = (1, 1)
    if last.code == "DEPTHWISE_CONV_2D":
        producer = wiring.producer(last.inputs[0])
        if producer is None or wiring.file.operators[producer].code != "MAX_POOL_2D":
            return None
        pool, picked = wiring.file.operators[producer], pair(last, "strideH", "strideW")
    if last is pool and (group := _behind_padv2(wiring, index)):
        return group
    pads: dict[int, Pair] = {1: (0, 0), 2: (0, 0)}
    image = pool.inputs[0]
    while (joined := _joined(wiring, image)) is not None:
        image, axis, (before, after) = joined
        if axis not in pads or pads[axis] != (0, 0):
            return None
        pads[axis] = before, after
    around: Padding = "valid" if pads[1] == pads[2] == (0, 0) else (pads[1], pads[2])
    read = windowed(wiring, pool, around, image)
    stride = read.stride[0] * picked[0], read.stride[1] * picked[1]
    return lowered_group(wiring, index, replace(read, stride=stride, padding=around, activation=fused(last)))


def _behind_padv2(wiring: Wiring, index: int) -> Group | None:
    """As others write it: PADV2 with the lowest number."""
    pool = wiring.file.operators[index]
    producer = wiring.producer(pool.inputs[0])
    pad = None if producer is None else wiring.file.operators[producer]
    if pad is None or pad.code != "PADV2" or len(pad.inputs) != 3 or not wiring.is_constant(pad.inputs[2]):
        return None
    lowest = wiring.file.constant(wiring.sources[pad.inputs[2]])
    if lowest.size != 1 or float(lowest.flat[0]) > LOWEST.get(lowest.dtype.kind, LOWEST["f"]):
        return None
    spec = windowed(wiring, pool, padding_amounts(wiring, pad), pad.inputs[0])
    return Group(spec, (pad.inputs[0],), frozenset({index}.union(wiring.file.producers[t] for t in pad.outputs)))


def _joined(wiring: Wiring, tensor: int) -> tuple[int, int, Pair] | None:
    """What a concatenation with constants stands around: the tensor, the axis, and their sizes before and after."""
    producer = wiring.producer(tensor)
    operator = None if producer is None else wiring.file.operators[producer]
    if operator is None or operator.code != "CONCATENATION":
        return None
    images, axis = wiring.operands(operator), operator.options["axis"]
    if len(images) != 1 or axis not in (1, 2) or len(operator.inputs) == 1:
        return None
    at, axis = operator.inputs.index(images[0]), 1 if axis == 1 else 2
    shapes = [wiring.shape(tensor) for tensor in operator.inputs]
    if any(_without(shape, axis) != _without(shapes[at], axis) for shape in shapes):
        return None
    sizes = [shape[axis - 1] for shape in shapes]
    return images[0], axis, (sum(sizes[:at]), sum(sizes[at + 1 :]))


def _without(shape: Shape, axis: int) -> tuple[int, ...]:
    """A shape but for its height (axis 1) or its width (2)."""
    return shape[: axis - 1] + shape[axis:]


def _concat(wiring: Wiring, index: int) -> Group | None:
    """Concatenations whose first part is another one, as full as it can be."""
    tensors: list[int] = []
    at: int | None = index
    while at is not None and wiring.file.operators[at].code == "CONCATENATION" and len(tensors) < 4 * MAX_GROUP:
        parts = wiring.file.operators[at].inputs
        tensors[:1] = parts
        at = wiring.producer(parts[0]) if parts else None
        if at is None or len(wiring.file.operators[at].inputs) != MAX_CONCATENATED:
            break
    shapes = tuple(wiring.shape(tensor) for tensor in tensors)
    if len(shapes) <= MAX_CONCATENATED or any(wiring.is_constant(tensor) for tensor in tensors):
        return None
    return lowered_group(wiring, index, OpSpec(OpKind.CONCAT, shapes, sum(shape[2] for shape in shapes)))


def _upsample(wiring: Wiring, index: int) -> Group | None:
    """Pixels, rows or both that stand several times side by side; a RESHAPE behind them makes an image of it."""
    operators, (out,) = wiring.file.operators, wiring.file.operators[index].outputs
    behind = wiring.file.first_readers.get(("RESHAPE", out))
    if not _repeats(wiring, operators[index]) or behind is None or wiring.sources[behind.outputs[0]] != out:
        return None
    height, width, channels = wiring.shape(behind.outputs[0])
    specs: list[OpSpec] = []
    at: int | None = index
    while at is not None and len(specs) < 2 and _repeats(wiring, operators[at]):
        image = wiring.image(operators[at].inputs[0])
        if len(wiring.file.tensors[image].shape) != 3:
            rows, columns, _ = shape = wiring.shape(image)
            stride = height // rows, width // columns
            if sum(stride) > MAX_GROUP * MAX_CONCATENATED:
                break  # before `lower` makes as many operands
            specs.append(OpSpec(OpKind.UPSAMPLE, (shape,), channels, stride=stride))
        at = wiring.producer(image)
    return lowered_group(wiring, index, *reversed(specs))


def _repeats(wiring: Wiring, operator: FileOperator) -> bool:
    """Whether it puts rows of a matrix side by side, as `lower` repeats them."""
    return operator.code == "CONCATENATION" and len(wiring.file.tensors[operator.outputs[0]].shape) == 3


def _shuffle(wiring: Wiring, index: int) -> Group | None:
    """Channels as a matrix that is transposed; the RESHAPEs around it change no values."""
    operator = wiring.file.operators[index]
    before = wiring.file.producers.get(operator.inputs[0])
    rows = wiring.file.tensors[operator.inputs[0]].shape
    if before is None or len(rows) != 3 or wiring.integers(operator.inputs[1]) != [0, 2, 1]:
        return None
    image = wiring.file.operators[before].inputs[0]
    height, width, channels = wiring.shape(image)
    if rows[0] != height * width or rows[1] * rows[2] != channels:
        return None
    spec = OpSpec(OpKind.CHANNEL_SHUFFLE, ((height, width, channels),), channels, groups=rows[1])
    return Group(spec, (image,), frozenset((index,)))


Proposal = Callable[[Wiring, int], Group | None]
_PROPOSALS: dict[str, tuple[Proposal, ...]] = {
    "MUL": (_activations(OpKind.GELU, OpKind.HARD_SWISH, OpKind.SILU, OpKind.HARD_SIGMOID), _average),
    "CONV_2D": (_padded,),
    "DEPTHWISE_CONV_2D": (_max_pool, _average, _padded),
    "MAX_POOL_2D": (_activations(OpKind.RELU, OpKind.RELU6), _max_pool),
    "ADD": (_in_pieces,),
    "CONCATENATION": (_upsample, _concat),
    "TRANSPOSE": (_shuffle,),
}
"""By the code of the last operator, the largest groups first."""
