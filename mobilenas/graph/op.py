"""OpSpec: what one operation computes. With a dtype it is the key of the latency look-up table."""

import math
from dataclasses import dataclass
from typing import Any

from mobilenas.errors import InputError, shorten
from mobilenas.graph.kind import (
    ACTIVATION_BYTES,
    BYTES,
    FUSES_ACTIVATION,
    MAX_SIZE,
    WEIGHTED,
    WINDOWED,
    Activation,
    OpKind,
    Padding,
    Pair,
    Shape,
)


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation, without its weights; equal specs take equal time.

    Attributes:
        kind: What it computes.
        in_shapes: Shapes of its inputs.
        out_channels: Channels of its output.
        kernel_size, stride, dilation: (height, width) of the window. The stride of an `upsample` is how many times it
            repeats every row and column.
        groups: Groups of a conv2d or a channel_shuffle; 1 for every other kind (a depthwise convolution says so by its
            kind).
        padding: Explicit padding that equals TF SAME for these shapes is normalised to "same", and what pads nothing to
            "valid" unless it equals "same", so that equal work has one key. For `pad` it is what is added around; every
            other kind leaves it unused. A `slice` keeps `out_channels` channels in a row; its node says from which on.
        activation: Fused into the op.

    Raises:
        InputError: If the shapes do not fit the kind or a number is out of range.

    Source: the key of ProxylessNAS' and Once-for-All's tables is a block; isolated ops add up more closely.
    """

    kind: OpKind
    in_shapes: tuple[Shape, ...]
    out_channels: int
    kernel_size: Pair = (1, 1)
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    groups: int = 1
    padding: Padding = "same"
    activation: Activation = "none"

    def __post_init__(self) -> None:
        problem = _problem(self)
        if problem:
            raise InputError(f"{self.kind}{shorten(list(self.in_shapes))}: {problem}")
        if self.kind in WINDOWED:
            object.__setattr__(self, "padding", self._normal_padding())
            if min(self.out_shape) < 1:
                raise InputError(
                    f"{self.kind}{shorten(list(self.in_shapes))}: the window {shorten(self.kernel_size)} does not fit"
                )

    def _normal_padding(self) -> Padding:
        height, width, _ = self.in_shapes[0]
        same = tuple(
            same_padding(size, kernel, stride, dilation)
            for size, kernel, stride, dilation in zip(
                (height, width), self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        if self.padding == "same":
            return "same"
        explicit = ((0, 0), (0, 0)) if self.padding == "valid" else self.padding
        if explicit == same and self._explicit_out(explicit) == tuple(
            math.ceil(n / s) for n, s in zip((height, width), self.stride, strict=True)
        ):
            return "same"
        return "valid" if explicit == ((0, 0), (0, 0)) else explicit

    def _explicit_out(self, padding: tuple[Pair, Pair]) -> Pair:
        height, width, _ = self.in_shapes[0]
        out = tuple(
            (size + sum(pad) - (kernel - 1) * dilation - 1) // stride + 1
            for size, pad, kernel, stride, dilation in zip(
                (height, width), padding, self.kernel_size, self.stride, self.dilation, strict=True
            )
        )
        return out[0], out[1]

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        height, width, _ = self.in_shapes[0]
        if self.kind in WINDOWED:
            if self.padding == "same":
                height, width = math.ceil(height / self.stride[0]), math.ceil(width / self.stride[1])
            else:
                height, width = self._explicit_out(((0, 0), (0, 0)) if self.padding == "valid" else self.padding)
        elif self.kind in (OpKind.MEAN, OpKind.FULLY_CONNECTED):
            height = width = 1
        elif self.kind is OpKind.PAD:
            (top, bottom), (left, right) = self.explicit_padding
            height, width = height + top + bottom, width + left + right
        elif self.kind is OpKind.UPSAMPLE:
            height, width = height * self.stride[0], width * self.stride[1]
        elif self.kind in (OpKind.ADD, OpKind.MUL):
            height, width = (max(shape[axis] for shape in self.in_shapes) for axis in (0, 1))
        return height, width, self.out_channels

    @property
    def explicit_padding(self) -> tuple[Pair, Pair]:
        """The padding as ((top, bottom), (left, right))."""
        if self.padding == "valid" or self.kind not in WINDOWED | {OpKind.PAD}:
            return (0, 0), (0, 0)
        if self.padding != "same":
            return self.padding
        height, width, _ = self.in_shapes[0]
        return (
            same_padding(height, self.kernel_size[0], self.stride[0], self.dilation[0]),
            same_padding(width, self.kernel_size[1], self.stride[1], self.dilation[1]),
        )

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights as torch has them, (O, I / groups, kH, kW) or (O, I); empty without weights."""
        channels = math.prod(self.in_shapes[0]) if self.kind is OpKind.FULLY_CONNECTED else self.in_shapes[0][2]
        if self.kind is OpKind.CONV2D:
            return self.out_channels, channels // self.groups, *self.kernel_size
        if self.kind is OpKind.DEPTHWISE_CONV2D:
            return self.out_channels, 1, *self.kernel_size
        if self.kind is OpKind.FULLY_CONNECTED:
            return self.out_channels, channels
        return ()

    @property
    def weight_count(self) -> int:
        """Number of weights, without bias."""
        return math.prod(self.weight_shape) if self.kind in WEIGHTED else 0

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and fully connected layers, one multiply-add = 1; every other kind counts 0.

        Source: the convention of the MobileNet papers and of fvcore.
        """
        if self.kind not in WEIGHTED:
            return 0
        height, width, _ = self.out_shape
        return height * width * self.weight_count

    def weight_bytes(self, dtype: str = "float32") -> int:
        """Bytes of weights and bias in the exported file, batch norm folded; an int8 bias takes 4 bytes."""
        if self.kind not in WEIGHTED:
            return 0
        return self.weight_count * BYTES[dtype] + self.out_channels * (2 if dtype == "float16" else 4)

    def activation_bytes(self, dtype: str = "float32") -> int:
        """Bytes read from the inputs and written to the output."""
        elements = sum(math.prod(shape) for shape in self.in_shapes) + math.prod(self.out_shape)
        return elements * ACTIVATION_BYTES[dtype]

    def __str__(self) -> str:
        """A name for people, in which different ops differ: "conv2d 7x7x8 to 7x7x32, kernel_size 3x3"."""
        given = {name: getattr(self, name) for name in ("kernel_size", "stride", "dilation")}
        words = [f"{name} {height}x{width}" for name, (height, width) in given.items() if (height, width) != (1, 1)]
        words += [f"groups {self.groups}"] if self.groups != 1 else []
        if self.padding != "same":
            around = (
                [self.padding] if isinstance(self.padding, str) else [str(n) for pair in self.padding for n in pair]
            )
            words.append(f"padding {' '.join(around)}")
        words += [self.activation] if self.activation != "none" else []
        shapes = " + ".join("x".join(map(str, shape)) for shape in self.in_shapes)
        return ", ".join([f"{self.kind} {shapes} to {'x'.join(map(str, self.out_shape))}", *words])

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "kind": str(self.kind),
            "in_shapes": [list(shape) for shape in self.in_shapes],
            "out_channels": self.out_channels,
            "kernel_size": list(self.kernel_size),
            "stride": list(self.stride),
            "dilation": list(self.dilation),
            "groups": self.groups,
            "padding": self.padding if isinstance(self.padding, str) else [list(pair) for pair in self.padding],
            "activation": self.activation,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "OpSpec":
        """Reads what `to_dict` wrote.

        Raises:
            InputError: If a field is missing, unknown or not accepted.
        """
        try:
            values = dict(data)
            values["kind"] = OpKind(values["kind"])
            values["in_shapes"] = tuple(map(tuple, values["in_shapes"]))
            for name in ("kernel_size", "stride", "dilation"):
                values[name] = tuple(values[name])
            if not isinstance(values["padding"], str):
                values["padding"] = tuple(map(tuple, values["padding"]))
            return cls(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not an operation: {error}") from error


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """(before, after) of TF SAME padding along one axis.

    Source: TensorFlow, `tf.nn` documentation, "Notes on padding".
    """
    total = max((math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _problem(spec: OpSpec) -> str:
    """Why the spec cannot be; empty if it can."""
    pairs = (spec.kernel_size, spec.stride, spec.dilation)
    if not spec.in_shapes or any(len(shape) != 3 for shape in spec.in_shapes):
        return "give the (height, width, channels) of every input"
    if any(len(pair) != 2 for pair in pairs):
        return "kernel_size, stride and dilation are (height, width)"
    numbers = [n for sizes in (*spec.in_shapes, *pairs) for n in sizes] + [spec.out_channels, spec.groups]
    if any(type(n) is not int or not 1 <= n <= MAX_SIZE for n in numbers):
        return f"every size must be a whole number from 1 to {MAX_SIZE}"
    if spec.padding not in ("same", "valid") and (
        isinstance(spec.padding, str)
        or len(spec.padding) != 2
        or any(
            len(pair) != 2 or any(type(n) is not int or not 0 <= n <= MAX_SIZE for n in pair) for pair in spec.padding
        )
    ):
        return f"padding {shorten(spec.padding)}; give 'same', 'valid' or ((top, bottom), (left, right))"
    if spec.activation not in ("none", "relu", "relu6"):
        return f"activation {shorten(spec.activation)} cannot be fused; give 'none', 'relu' or 'relu6'"
    if spec.activation != "none" and spec.kind not in FUSES_ACTIVATION:
        return f"activation {shorten(spec.activation)} cannot be fused into {spec.kind}"
    if spec.groups != 1 and spec.kind not in (OpKind.CONV2D, OpKind.CHANNEL_SHUFFLE):
        return "groups belong to conv2d and channel_shuffle"
    if spec.dilation != (1, 1) and spec.kind not in (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D):
        return "dilation belongs to convolutions"
    if spec.kind not in WINDOWED:
        if spec.kernel_size != (1, 1) or (spec.stride != (1, 1) and spec.kind is not OpKind.UPSAMPLE):
            return "has no window"
        if spec.kind is OpKind.UPSAMPLE and spec.stride == (1, 1):
            return "a stride of (1, 1) repeats nothing"
        if (spec.padding == "same") == (spec.kind is OpKind.PAD) or spec.padding == "valid":
            return "explicit padding belongs to pad and to ops with a window"
    elif spec.kind in (OpKind.MAX_POOL2D, OpKind.AVG_POOL2D):
        pads = ((0, 0), (0, 0)) if isinstance(spec.padding, str) else spec.padding
        if any(max(pad) >= kernel for pad, kernel in zip(pads, spec.kernel_size, strict=True)):
            return f"padding {shorten(spec.padding)} leaves windows without a value"
    return _channel_problem(spec)


def _channel_problem(spec: OpSpec) -> str:
    first, count = spec.in_shapes[0], len(spec.in_shapes)
    if spec.kind in (OpKind.ADD, OpKind.MUL):
        if count != 2:
            return "takes two inputs"
        for axis in range(3):
            sizes = {shape[axis] for shape in spec.in_shapes}
            if len(sizes) > 1 and 1 not in sizes:
                return "the shapes cannot be broadcast"
        wanted = max(shape[2] for shape in spec.in_shapes)
    elif spec.kind is OpKind.CONCAT:
        if len({shape[:2] for shape in spec.in_shapes}) > 1:
            return "the inputs differ in height or width"
        wanted = sum(shape[2] for shape in spec.in_shapes)
    elif count != 1:
        return "takes one input"
    elif spec.kind is OpKind.CONV2D:
        return "channels must divide by groups" if first[2] % spec.groups or spec.out_channels % spec.groups else ""
    elif spec.kind is OpKind.DEPTHWISE_CONV2D:
        return "" if spec.out_channels % first[2] == 0 else "out_channels must be a multiple of the input's"
    elif spec.kind is OpKind.FULLY_CONNECTED:
        return ""
    elif spec.kind is OpKind.CHANNEL_SHUFFLE and first[2] % spec.groups:
        return "channels must divide by groups"
    elif spec.kind is OpKind.SLICE:
        return "" if spec.out_channels <= first[2] else "keeps more channels than the input has"
    else:
        wanted = first[2]
    return "" if spec.out_channels == wanted else f"out_channels must be {wanted}"
