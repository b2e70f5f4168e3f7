"""raise_operator: a single TFLite operator as the op that it computes; `lowering.py` read backwards.

What takes several operators is recognised by `recognition.py`.
"""

import math
from collections.abc import Callable
from typing import get_args

from mobilenas.errors import InputError
from mobilenas.export.tflite_file import FileOperator
from mobilenas.export.wiring import Wiring
from mobilenas.graph import OpKind, OpSpec, Shape
from mobilenas.graph.kind import Activation, Padding, Pair

_ACTIVATIONS: dict[object, Activation] = {name.upper(): name for name in get_args(Activation)}
_PADDINGS: dict[object, Padding] = {"SAME": "same", "VALID": "valid"}


def raise_operator(wiring: Wiring, operator: FileOperator) -> OpSpec:
    """The op of one operator that is among `RAISED`.

    Raises:
        InputError: If it computes what no op does, or its parts do not fit each other.
    """
    spec = RAISED[operator.code](wiring, operator)
    if not is_shape(wiring, operator.outputs[0], spec.out_shape):
        found = list(wiring.file.tensors[operator.outputs[0]].shape)
        raise InputError(f"its output has the shape {found}, not {list(spec.out_shape)}")
    return spec


def is_shape(wiring: Wiring, tensor: int, shape: Shape) -> bool:
    """Whether a tensor holds one image of this shape."""
    return wiring.shape(tensor) == shape


def fused(operator: FileOperator) -> Activation:
    """The activation that is fused into an operator."""
    name = operator.options.get("fusedActivationFunction", "NONE")
    if name not in _ACTIVATIONS:
        raise InputError(f"the fused activation {name} is not accepted; give {', '.join(map(str, _ACTIVATIONS))}")
    return _ACTIVATIONS[name]


def padding(operator: FileOperator) -> Padding:
    """The padding of an operator with a window."""
    name = operator.options["padding"]
    if name not in _PADDINGS:
        raise InputError(f"padding {name} is not accepted; give SAME or VALID")
    return _PADDINGS[name]


def pair(operator: FileOperator, height: str, width: str) -> Pair:
    """Two options as (height, width)."""
    return _whole(operator, height), _whole(operator, width)


def padding_amounts(wiring: Wiring, operator: FileOperator) -> tuple[Pair, Pair]:
    """What a PAD adds: ((top, bottom), (left, right))."""
    match wiring.integers(_input(operator, 1)):
        case [0, 0, top, bottom, left, right, 0, 0]:
            return (top, bottom), (left, right)
    raise InputError("pads more than height and width")


def weight_shape(wiring: Wiring, operator: FileOperator, count: int) -> tuple[int, ...]:
    """The shape of an operator's weights, which must be constants of `count` dimensions that are all in the file."""
    tensor = _input(operator, 1)
    if not wiring.is_constant(tensor):
        raise InputError("its weights are no constants")
    shape = wiring.file.constant(wiring.sources[tensor]).shape
    if len(shape) != count or 0 in shape:
        raise InputError(f"its weights have the shape {list(shape)}; {count} dimensions are accepted")
    return shape


def windowed(wiring: Wiring, operator: FileOperator, around: Padding | None = None, image: int | None = None) -> OpSpec:
    """A convolution, depthwise convolution or pool.

    Args:
        wiring: The file.
        operator: The operator.
        around: Its padding, where operators before it pad.
        image: The tensor that they pad.
    """
    shape = wiring.shape(_input(operator, 0) if image is None else image)
    channels, groups, dilation = shape[2], 1, (1, 1)
    match operator.code:
        case "CONV_2D":
            kind = OpKind.CONV2D
            channels, *kernel, read = weight_shape(wiring, operator, 4)
            if shape[2] % read:
                raise InputError(f"its weights read {read} of {shape[2]} channels")
            groups = shape[2] // read
        case "DEPTHWISE_CONV_2D":
            kind = OpKind.DEPTHWISE_CONV2D
            one, *kernel, channels = weight_shape(wiring, operator, 4)
            if one != 1:
                raise InputError(f"its weights are {one} sets, not one")
        case _:
            kind = OpKind.MAX_POOL2D if operator.code == "MAX_POOL_2D" else OpKind.AVG_POOL2D
            kernel = list(pair(operator, "filterHeight", "filterWidth"))
    if "dilationHFactor" in operator.options:
        dilation = pair(operator, "dilationHFactor", "dilationWFactor")
    return OpSpec(
        kind=kind,
        in_shapes=(shape,),
        out_channels=channels,
        kernel_size=(kernel[0], kernel[1]),
        stride=pair(operator, "strideH", "strideW"),
        dilation=dilation,
        groups=groups,
        padding=padding(operator) if around is None else around,
        activation=fused(operator),
    )


def _fully_connected(wiring: Wiring, operator: FileOperator) -> OpSpec:
    """On the flattened input, or, where the weights read the channels alone, on every pixel."""
    channels, read = weight_shape(wiring, operator, 2)
    image, own = wiring.image(_input(operator, 0)), wiring.file.tensors[operator.inputs[0]].shape
    shape = wiring.shape(image) if math.prod(wiring.file.tensors[image].shape) == math.prod(own) else (1, 1, read)
    if operator.options["weightsFormat"]:
        raise InputError("its weights are shuffled")
    if math.prod(shape) == read:
        return OpSpec(OpKind.FULLY_CONNECTED, (shape,), channels, activation=fused(operator))
    return OpSpec(OpKind.CONV2D, (wiring.shape(operator.inputs[0]),), channels, activation=fused(operator))


def _mean(wiring: Wiring, operator: FileOperator) -> OpSpec:
    image = _input(operator, 0)
    shape = wiring.shape(image)
    axes = sorted(axis % 4 for axis in wiring.integers(_input(operator, 1)))
    if axes != [1, 2] or len(wiring.file.tensors[image].shape) != 4:
        raise InputError(f"the mean over axes {axes} is not accepted; give height and width, [1, 2]")
    return OpSpec(OpKind.MEAN, (shape,), shape[2])


def _pad(wiring: Wiring, operator: FileOperator) -> OpSpec:
    shape = wiring.shape(_input(operator, 0))
    return OpSpec(OpKind.PAD, (shape,), shape[2], padding=padding_amounts(wiring, operator))


def _two(kind: OpKind) -> Callable[[Wiring, FileOperator], OpSpec]:
    def read(wiring: Wiring, operator: FileOperator) -> OpSpec:
        if any(wiring.is_constant(tensor) for tensor in operator.inputs):
            raise InputError("one of its operands is a constant")
        shapes = tuple(wiring.shape(tensor) for tensor in operator.inputs)
        return OpSpec(kind, shapes, max(shape[2] for shape in shapes), activation=fused(operator))

    return read


def _concat(wiring: Wiring, operator: FileOperator) -> OpSpec:
    shapes = tuple(wiring.shape(tensor) for tensor in operator.inputs)
    rank = len(wiring.file.tensors[_input(operator, 0)].shape)
    if operator.options["axis"] not in (-1, rank - 1) or fused(operator) != "none":
        raise InputError("only channels can be concatenated, without a fused activation")
    return OpSpec(OpKind.CONCAT, shapes, sum(shape[2] for shape in shapes))


def first_channel(wiring: Wiring, operator: FileOperator) -> int:
    """Where the channels that a SLICE or a STRIDED_SLICE keeps begin."""
    return _part(wiring, operator)[0][3]


def _slice(wiring: Wiring, operator: FileOperator) -> OpSpec:
    height, width, channels = wiring.shape(_input(operator, 0))
    begin, size = _part(wiring, operator)
    if any(begin[:3]) or size[:3] != [1, height, width]:
        raise InputError(f"the part from {begin} of size {size} is not accepted; give some of the channels")
    if not (size[3] >= 1 and 0 <= begin[3] <= channels - size[3]):
        raise InputError(f"damaged: {size[3]} channels from {begin[3]} of {channels}")
    return OpSpec(OpKind.SLICE, ((height, width, channels),), size[3])


def _part(wiring: Wiring, operator: FileOperator) -> tuple[list[int], list[int]]:
    """Where the part of an image that an operator keeps begins, and its size, along its four axes."""
    shape = (1, *wiring.shape(_input(operator, 0)))
    begin, other = (wiring.integers(_input(operator, i)) for i in (1, 2))
    if len(begin) != 4 or len(other) != 4:
        raise InputError(f"the part from {begin} to {other} is not accepted; give some channels of an image")
    if operator.code == "SLICE":
        return begin, [n - at if size == -1 else size for n, at, size in zip(shape, begin, other, strict=True)]
    strides = wiring.integers(_input(operator, 3))
    if strides != [1] * 4 or any(operator.options[name] for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask")):
        raise InputError(f"strides {strides} or other axes are not accepted; give some channels in a row")
    first = [_place(operator, "beginMask", axis, begin[axis], n, 0) for axis, n in enumerate(shape)]
    last = [_place(operator, "endMask", axis, other[axis], n, n) for axis, n in enumerate(shape)]
    return first, [stop - start for start, stop in zip(first, last, strict=True)]


def _place(operator: FileOperator, mask: str, axis: int, given: int, size: int, default: int) -> int:
    """A bound of a STRIDED_SLICE: left out where the mask says so, counted from the end where it is negative."""
    if _whole(operator, mask) >> axis & 1:
        return default
    return max(0, min(size, given + size if given < 0 else given))


def _transpose(wiring: Wiring, operator: FileOperator) -> OpSpec:
    order = wiring.integers(_input(operator, 1))
    raise InputError(f"axes in the order {order} are not accepted, but for a shuffle of channels")


def _elementwise(kind: OpKind) -> Callable[[Wiring, FileOperator], OpSpec]:
    def read(wiring: Wiring, operator: FileOperator) -> OpSpec:
        shape = wiring.shape(_input(operator, 0))
        return OpSpec(kind, (shape,), shape[2])

    return read


RAISED: dict[str, Callable[[Wiring, FileOperator], OpSpec]] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"), windowed),
    "FULLY_CONNECTED": _fully_connected,
    "MEAN": _mean,
    "PAD": _pad,
    "ADD": _two(OpKind.ADD),
    "MUL": _two(OpKind.MUL),
    "CONCATENATION": _concat,
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), _slice),
    "RELU": _elementwise(OpKind.RELU),
    "RELU6": _elementwise(OpKind.RELU6),
    "HARD_SWISH": _elementwise(OpKind.HARD_SWISH),
    "LOGISTIC": _elementwise(OpKind.SIGMOID),
    "GELU": _elementwise(OpKind.GELU),
    "TRANSPOSE": _transpose,
}
"""Every operator that is an op by itself, or the one of a group that is."""


def _input(operator: FileOperator, index: int) -> int:
    if index >= len(operator.inputs) or operator.inputs[index] < 0:
        raise InputError(f"operand {index} is missing")
    return operator.inputs[index]


def _whole(operator: FileOperator, name: str) -> int:
    value = operator.options[name]
    return value if isinstance(value, int) else 0
