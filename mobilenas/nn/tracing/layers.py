"""Rules for layers: convolutions, batch norm, pools."""

import math

from torch import Tensor

from mobilenas.graph import OpKind, OpSpec
from mobilenas.graph.kind import Pair
from mobilenas.nn.tracing.rules import Call, rule
from mobilenas.nn.tracing.translator import NORM_FIELDS
from mobilenas.nn.tracing.values import Padded, Value

NONE = ((0, 0), (0, 0))


@rule("conv2d")
def convolution(call: Call) -> Value:
    """A convolution that takes over a border of zeros."""
    x, border = _bordered(call, "input", 0.0)
    weight, bias = call.constant("weight"), call.optional("bias")
    channels, groups = x.shape[2], call["groups"] or 1
    depthwise = groups == channels and groups > 1
    dilation = call.pair("dilation")
    kernel = int(weight.shape[2]), int(weight.shape[3])
    padding = call["padding"]
    if isinstance(padding, str):
        totals = [d * (k - 1) if padding == "same" else 0 for k, d in zip(kernel, dilation, strict=True)]
        sides = tuple((total // 2, total - total // 2) for total in totals)
    else:
        sides = tuple((amount, amount) for amount in call.pair("padding", (0, 0)))
    spec = OpSpec(
        OpKind.DEPTHWISE_CONV2D if depthwise else OpKind.CONV2D,
        (x.shape,),
        int(weight.shape[0]),
        kernel_size=kernel,
        stride=call.pair("stride"),
        dilation=dilation,
        groups=1 if depthwise else groups,
        padding=_sum(border, (sides[0], sides[1])),
    )
    return call.to.weighted(spec, x, weight, bias, call.owner("weight") or "weight")


@rule("linear")
def linear(call: Call) -> Value:
    """A fully connected layer, or a 1x1 convolution where the channels come last."""
    x = call.value("input")
    weight, bias = call.constant("weight"), call.optional("bias")
    if x.layout in ("image", "row"):
        raise call.to.stop("a linear layer over the width of an image")
    name = call.owner("weight") or "weight"
    kind = OpKind.FULLY_CONNECTED if x.layout == "flat" else OpKind.CONV2D
    return call.to.weighted(OpSpec(kind, (x.shape,), int(weight.shape[0])), x, weight, bias, name)


@rule("batch_norm", "_native_batch_norm_legit_no_training")
def batch_norm(call: Call) -> Value:
    """A batch norm in evaluation."""
    if call["training"]:
        raise call.to.stop("by the statistics of the batch itself; it needs running ones")
    x = call.value("input")
    channels = call.to.channels(x)
    mean = call.constant("running_mean")
    given: list[Tensor | None] = [call.optional("weight"), call.optional("bias"), mean, call.constant("running_var")]
    defaults = (mean.new_ones(channels), mean.new_zeros(channels), mean, mean)
    tensors = [default if tensor is None else tensor for tensor, default in zip(given, defaults, strict=True)]
    parameters = dict(zip(NORM_FIELDS, tensors, strict=True))
    name = call.owner("running_mean") or "batch_norm"
    return call.to.normalise(x, parameters, float(call["eps"]), name, alone=call.alone)


@rule("max_pool2d")
def max_pool(call: Call) -> Value:
    """A max pool that takes over a border of minus infinity."""
    if call.pair("dilation") != (1, 1):
        raise call.to.stop(f"dilation {call.pair('dilation')}")
    x, border = _bordered(call, "self", -math.inf)
    return _pool(call, OpKind.MAX_POOL2D, x, border)


@rule("avg_pool2d")
def avg_pool(call: Call) -> Value:
    """An average pool; where a border of zeros counts, it becomes an op of its own."""
    if call["divisor_override"]:
        raise call.to.stop(f"divisor {call['divisor_override']}")
    x = call.image("self")
    amounts = call.pair("padding", (0, 0))
    if not call["count_include_pad"] or amounts == (0, 0):
        return _pool(call, OpKind.AVG_POOL2D, x, NONE)
    around = ((amounts[0], amounts[0]), (amounts[1], amounts[1]))
    padded = call.to.op(OpKind.PAD, x, padding=around)
    return _pool(call, OpKind.AVG_POOL2D, padded, NONE, amounts=(0, 0))


@rule("adaptive_avg_pool2d")
def adaptive_avg_pool(call: Call) -> Value:
    """The mean of all, or of equal windows."""
    x = call.image("self")
    size = _target(call, x)
    if size == (1, 1):
        return call.to.op(OpKind.MEAN, x)
    return _equal_windows(call, OpKind.AVG_POOL2D, x, size)


@rule("adaptive_max_pool2d")
def adaptive_max_pool(call: Call) -> Value:
    """The largest of all, or of equal windows."""
    x = call.image("self")
    return _equal_windows(call, OpKind.MAX_POOL2D, x, _target(call, x))


@rule("upsample_nearest2d")
def upsample(call: Call) -> Value:
    """Every row and column several times."""
    x = call.image("self" if call["input"] is None else "input")
    size = call["output_size"]
    if size is None:
        size = [int(own * factor) for own, factor in zip(x.shape[:2], call["scale_factors"], strict=True)]
    height, width = int(size[0]), int(size[1])
    if height % x.shape[0] or width % x.shape[1]:
        raise call.to.stop(f"from {x.shape[0]}x{x.shape[1]} to {height}x{width} pixels; only whole factors can be")
    factor = height // x.shape[0], width // x.shape[1]
    return x if factor == (1, 1) else call.to.op(OpKind.UPSAMPLE, x, stride=factor)


@rule("mean")
def mean(call: Call) -> Value:
    """The mean over height and width."""
    x = call.value("self")
    axes = sorted(axis % 4 for axis in (call["dim"] or []))
    wanted = [1, 2] if x.layout == "last" else [2, 3]
    if x.layout == "flat" or axes != wanted:
        raise call.to.stop(f"over the axes {call['dim']}")
    y = call.to.op(OpKind.MEAN, x)
    return y if call["keepdim"] else Value(y.index, y.shape, "flat")


def _target(call: Call, x: Value) -> Pair:
    given = [call["output_size"]] * 2 if isinstance(call["output_size"], int) else call["output_size"]
    height, width = (own if size is None else int(size) for own, size in zip(x.shape[:2], given, strict=True))
    return height, width


def _equal_windows(call: Call, kind: OpKind, x: Value, size: Pair) -> Value:
    if size == x.shape[:2]:
        return x
    if x.shape[0] % size[0] or x.shape[1] % size[1]:
        raise call.to.stop(f"from {x.shape[0]}x{x.shape[1]} to {size[0]}x{size[1]} pixels, which needs unequal windows")
    window = x.shape[0] // size[0], x.shape[1] // size[1]
    return call.to.op(kind, x, padding="valid", kernel_size=window, stride=window)


def _bordered(call: Call, name: str, fill: float) -> tuple[Value, tuple[Pair, Pair]]:
    """A value and the border that the op can take over."""
    found = call[name]
    if isinstance(found, Padded) and found.fill == fill:
        return found.value, found.padding
    return call.image(name), NONE


def _pool(call: Call, kind: OpKind, x: Value, border: tuple[Pair, Pair], amounts: Pair | None = None) -> Value:
    kernel = call.pair("kernel_size")
    stride = call.pair("stride", kernel)
    own = call.pair("padding", (0, 0))
    amounts = own if amounts is None else amounts
    padding = _sum(border, ((amounts[0], amounts[0]), (amounts[1], amounts[1])))
    if call["ceil_mode"]:
        first, second = (_ceiled(*each) for each in zip(x.shape[:2], kernel, stride, padding, own, strict=True))
        padding = first, second
    return call.to.op(kind, x, padding=padding, kernel_size=kernel, stride=stride)


def _ceiled(size: int, kernel: int, stride: int, padding: Pair, own: int) -> Pair:
    """The padding with which a window count that is rounded down is what torch rounds up to.

    `own` is the pool's own padding on the far side, which is part of `size` or of `padding`.
    """
    before, after = padding
    count = math.ceil((size + before + after - kernel) / stride) + 1
    if (count - 1) * stride >= size + before + after - own:
        count -= 1  # no window begins in it
    return before, max(after, (count - 1) * stride + kernel - size - before)


def _sum(a: tuple[Pair, Pair], b: tuple[Pair, Pair]) -> tuple[Pair, Pair]:
    (top, bottom), (left, right) = a
    (above, below), (before, behind) = b
    return (top + above, bottom + below), (left + before, right + behind)
