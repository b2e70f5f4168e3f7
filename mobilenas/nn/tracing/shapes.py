"""Rules for what moves values about: reshapes, slices, concatenations."""

import math
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from mobilenas.graph import OpKind
from mobilenas.graph.kind import Pair
from mobilenas.nn.tracing.rules import Call, rule
from mobilenas.nn.tracing.translator import Translator
from mobilenas.nn.tracing.values import Grouped, Parts, Traced, Value


@rule("contiguous", "clone", "alias", "detach", "lift_fresh_copy")
def same(call: Call) -> Traced:
    """What a graph does not tell apart."""
    found: Traced = call["self"]
    return found


@rule("copy")
def copy(call: Call) -> Value:
    """Values in the place of others: what torch makes of an assignment to a part of a tensor."""
    old, new = call.value("self"), call.value("src")
    if old.sizes != new.sizes:
        raise call.to.stop(f"of sizes {new.sizes} to {old.sizes}")
    return new


@rule("to", "_to_copy", "type_as")
def cast(call: Call) -> Traced:
    """Between floating-point types, which a graph does not tell apart."""
    other = call["other"]
    dtype = other.dtype if isinstance(other, Tensor) else call["dtype"]
    if dtype is not None and not dtype.is_floating_point:
        raise call.to.stop(f"to {dtype}")
    return same(call)


@rule("dropout", "feature_dropout", "dropout2d", "alpha_dropout")
def dropout(call: Call) -> Value:
    """Nothing in evaluation; a fully connected layer behind it does it in training."""
    if call["train"]:
        raise call.to.stop("in evaluation too; give it training=self.training")
    return replace(call.value("input" if call["self"] is None else "self"), dropout=float(call["p"]))


@rule("flatten")
def flatten(call: Call) -> Traced:
    """(N, C, H, W) to (N, C * H * W)."""
    x = call.value("self")
    rank = len(x.sizes)
    start, end = call["start_dim"] % rank, call["end_dim"] % rank
    return _reshaped(call, x, (*x.sizes[:start], math.prod(x.sizes[start : end + 1]), *x.sizes[end + 1 :]))


@rule("view", "reshape", "_unsafe_view")
def view(call: Call) -> Traced:
    """Reshapes between images and flat values, and the first and last step of a channel shuffle."""
    found = call["self"]
    sizes = [int(size) for size in (call["size"] or call["shape"])]
    if isinstance(found, Grouped):
        height, width, channels = found.value.shape
        if found.turned and _filled(sizes, height * width * channels) == [1, channels, height, width]:
            return call.to.op(OpKind.CHANNEL_SHUFFLE, found.value, groups=found.groups)
        raise call.to.stop("channels in groups that are not shuffled")
    x = call.value("self")
    return _reshaped(call, x, _filled(sizes, math.prod(x.sizes)))


@rule("squeeze")
def squeeze(call: Call) -> Traced:
    """Axes of size 1 away."""
    x = call.value("self")
    given = call["dim"]
    axes = range(1, len(x.sizes)) if given is None else [given] if isinstance(given, int) else given
    gone = {axis % len(x.sizes) for axis in axes}
    return _reshaped(call, x, [size for axis, size in enumerate(x.sizes) if axis not in gone or size != 1])


@rule("unsqueeze")
def unsqueeze(call: Call) -> Traced:
    """Another axis of size 1."""
    x = call.value("self")
    axis = call["dim"] % (len(x.sizes) + 1)
    return _reshaped(call, x, (*x.sizes[:axis], 1, *x.sizes[axis:]))


@rule("channel_shuffle", "native_channel_shuffle")
def shuffle(call: Call) -> Value:
    """A channel shuffle in one step."""
    return call.to.op(OpKind.CHANNEL_SHUFFLE, call.image("self"), groups=int(call["groups"]))


@rule("transpose")
def transpose(call: Call) -> Traced:
    """The second step of a channel shuffle."""
    found = call["self"]
    if isinstance(found, Grouped) and {call["dim0"], call["dim1"]} == {1, 2}:
        return replace(found, turned=not found.turned)
    raise call.to.stop(f"of the axes {call['dim0']} and {call['dim1']}")


@rule("permute")
def permute(call: Call) -> Traced:
    """Channels last and back."""
    found = call["self"]
    order = [axis % 5 for axis in call["dims"]]
    if isinstance(found, Grouped) and order == [0, 2, 1, 3, 4]:
        return replace(found, turned=not found.turned)
    x = call.value("self")
    order = [axis % 4 for axis in call["dims"]]
    if x.layout == "image" and order == [0, 2, 3, 1]:
        return replace(x, layout="last")
    if x.layout == "last" and order == [0, 3, 1, 2]:
        return replace(x, layout="image")
    raise call.to.stop(f"to the order {call['dims']}")


@rule("cat", "concat")
def concatenate(call: Call) -> Value:
    """Channels one after the other."""
    parts = [call.to.value(part) for part in call["tensors"]]
    layouts = {part.layout for part in parts}
    axis = call["dim"] % len(parts[0].sizes)
    small = all(part.shape[:2] == (1, 1) for part in parts)
    if axis != (3 if layouts == {"last"} else 1) or len(layouts) > 1 or (layouts == {"flat"} and not small):
        raise call.to.stop(f"of {', '.join(str(part.sizes) for part in parts)} along axis {call['dim']}")
    return call.to.op(OpKind.CONCAT, *parts, out_channels=sum(part.shape[2] for part in parts))


@rule("chunk")
def chunk(call: Call) -> Parts:
    """Equal parts of the channels, the last one smaller."""
    channels = call.value("self").shape[2]
    return _parts(call, -(-channels // int(call["chunks"])))


@rule("split", "split_with_sizes", "unsafe_split")
def split(call: Call) -> Parts:
    """Parts of the channels of one size or of given sizes."""
    sizes = call["split_size"] if call["split_sizes"] is None else call["split_sizes"]
    return _parts(call, sizes)


@rule("slice")
def cut(call: Call) -> Value:
    """Some channels in a row."""
    x = call.value("self")
    axis, step = call["dim"] % len(x.sizes), call["step"]
    size = x.sizes[axis]
    start, end = _ends(call, size)
    if step == 1 and (start, end) == (0, size):
        return x
    if axis != _channel_axis(call, x) or step != 1:
        raise call.to.stop(f"of axis {axis} from {start} to {end} in steps of {step}")
    return call.to.op(OpKind.SLICE, x, out_channels=end - start, first_channel=start)


@rule("slice_scatter")
def put(call: Call) -> Value:
    """Some channels in a row replaced: what torch makes of an operator that works in place on a slice."""
    x, between = call.value("self"), call.value("src")
    axis, channels = call["dim"] % len(x.sizes), x.shape[2]
    start, end = _ends(call, channels)
    if axis != _channel_axis(call, x) or call["step"] != 1 or between.layout != x.layout:
        raise call.to.stop(f"into axis {axis} from {start} to {end} in steps of {call['step']}")
    if between.shape == x.shape:
        return between
    ends = [(0, start), (end, channels)]
    before, behind = (
        [call.to.op(OpKind.SLICE, x, out_channels=b - a, first_channel=a)] if a < b else [] for a, b in ends
    )
    return call.to.op(OpKind.CONCAT, *before, between, *behind, out_channels=channels)


def part(to: Translator, parts: Parts, index: int) -> Value:
    """One of several parts, as a slice."""
    first = sum(parts.channels[:index])
    return to.op(OpKind.SLICE, parts.value, out_channels=parts.channels[index], first_channel=first)


def _parts(call: Call, size: int | Sequence[int]) -> Parts:
    x = call.value("self")
    if call["dim"] % len(x.sizes) != _channel_axis(call, x):
        raise call.to.stop(f"along axis {call['dim']}")
    channels = x.shape[2]
    if isinstance(size, int):
        size = [min(size, channels - first) for first in range(0, channels, size)]
    return Parts(x, tuple(map(int, size)))


def _channel_axis(call: Call, x: Value) -> int:
    if x.layout == "last":
        return 3
    call.to.channels(x)
    return 1


def _ends(call: Call, size: int) -> Pair:
    """Where a slice of an axis of some size begins and ends."""
    given = call["start"] or 0, size if call["end"] is None else call["end"]
    start, end = (min(size, max(0, n + size if n < 0 else n)) for n in given)
    return start, end


def _filled(sizes: Sequence[int], count: int) -> list[int]:
    """The sizes with what -1 stands for."""
    known = math.prod(size for size in sizes if size != -1)
    return [count // known if size == -1 else size for size in sizes]


def _reshaped(call: Call, x: Value, sizes: Sequence[int]) -> Traced:
    height, width, channels = x.shape
    wanted = tuple(sizes)
    if wanted == x.sizes:
        return x
    small = (height, width) == (1, 1)
    if x.layout == "flat" and wanted == (1, channels, height, width):
        return replace(x, layout="image")
    if x.layout == "image" or small:
        if wanted == (1, channels * height * width):
            return replace(x, layout="flat")
        if wanted == (1, channels, height, width):
            return replace(x, layout="image")
        if wanted == (1, channels, 1):
            return replace(x, layout="row")
        if x.layout == "image" and len(wanted) == 5 and wanted[1] * wanted[2] == channels:
            return Grouped(x, wanted[1], call.to.node)
    raise call.to.stop(f"from {x.sizes} to {wanted}")
