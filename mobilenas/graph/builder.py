"""GraphBuilder: how blocks write down their operations."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from mobilenas.errors import InputError
from mobilenas.graph.graph import BatchNorm, BlockSpan, OpGraph, OpNode
from mobilenas.graph.kind import Activation, OpKind, Padding, Pair, Shape
from mobilenas.graph.op import OpSpec

PaddingStyle = Literal["same", "symmetric"]
ActivationName = Literal["none", "relu", "relu6", "hard_swish", "silu", "gelu", "sigmoid", "hard_sigmoid"]
"""Every activation that a block may ask for; what cannot be fused becomes an op of its own."""

FUSED: dict[str, Activation] = {"none": "none", "relu": "relu", "relu6": "relu6"}


@dataclass(frozen=True, slots=True)
class TensorRef:
    """A value of the graph under construction: its number and its shape."""

    index: int
    shape: Shape

    @property
    def channels(self) -> int:
        """Number of channels."""
        return self.shape[2]


class GraphBuilder:
    """Appends operations and gives back references to their outputs.

    Args:
        input_shapes: Shapes of the inputs, (height, width, channels).
        padding: Style of windows that ask for none: "same" (TF) or "symmetric" (torch, dilated k // 2 on every side).
        bn_epsilon: Epsilon of every batch norm.
    """

    def __init__(self, *input_shapes: Shape, padding: PaddingStyle = "same", bn_epsilon: float = 1e-3) -> None:
        self.inputs = tuple(TensorRef(i, shape) for i, shape in enumerate(input_shapes))
        self._padding, self._batch_norm = padding, BatchNorm(bn_epsilon)
        self._nodes: list[OpNode] = []
        self._spans: list[BlockSpan] = []
        self._scope: list[str] = []

    @contextmanager
    def scope(self, name: str, *, block: bool = False) -> Iterator[None]:
        """Prefixes the names of all nodes in the body with `name.`; `block=True` records them as one block's span."""
        self._scope.append(name)
        start = len(self._nodes)
        try:
            yield
        finally:
            if block:
                self._spans.append(BlockSpan(".".join(self._scope), start, len(self._nodes)))
            self._scope.pop()

    def finish(self, *outputs: TensorRef) -> OpGraph:
        """The graph that ends in `outputs`."""
        return OpGraph(
            input_shapes=tuple(ref.shape for ref in self.inputs),
            nodes=tuple(self._nodes),
            outputs=tuple(ref.index for ref in outputs),
            spans=tuple(self._spans),
        )

    def conv2d(
        self,
        x: TensorRef,
        out_channels: int,
        *,
        name: str,
        kernel_size: int | Pair = 1,
        stride: int | Pair = 1,
        dilation: int | Pair = 1,
        groups: int = 1,
        padding: Padding | None = None,
        activation: ActivationName = "none",
        batch_norm: bool = True,
        bias: bool = False,
    ) -> TensorRef:
        """A convolution with batch norm and activation."""
        return self._window(
            OpKind.CONV2D,
            x,
            out_channels,
            name,
            kernel_size,
            stride,
            dilation,
            padding,
            activation,
            batch_norm,
            bias,
            groups,
        )

    def depthwise_conv2d(
        self,
        x: TensorRef,
        *,
        name: str,
        kernel_size: int | Pair = 3,
        stride: int | Pair = 1,
        dilation: int | Pair = 1,
        padding: Padding | None = None,
        activation: ActivationName = "none",
        batch_norm: bool = True,
        bias: bool = False,
    ) -> TensorRef:
        """A depthwise convolution (depth multiplier 1) with batch norm and activation."""
        return self._window(
            OpKind.DEPTHWISE_CONV2D,
            x,
            x.channels,
            name,
            kernel_size,
            stride,
            dilation,
            padding,
            activation,
            batch_norm,
            bias,
        )

    def max_pool2d(
        self,
        x: TensorRef,
        *,
        name: str,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: Padding | None = None,
    ) -> TensorRef:
        """The largest value of each window; padding does not take part."""
        return self._window(OpKind.MAX_POOL2D, x, x.channels, name, kernel_size, stride, 1, padding)

    def avg_pool2d(
        self,
        x: TensorRef,
        *,
        name: str,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: Padding | None = None,
    ) -> TensorRef:
        """The mean of each window; padding does not take part."""
        return self._window(OpKind.AVG_POOL2D, x, x.channels, name, kernel_size, stride, 1, padding)

    def fully_connected(
        self,
        x: TensorRef,
        out_channels: int,
        *,
        name: str,
        activation: ActivationName = "none",
        bias: bool = True,
        dropout: float = 0.0,
    ) -> TensorRef:
        """A fully connected layer on the flattened input; shape (1, 1, out_channels)."""
        spec = OpSpec(OpKind.FULLY_CONNECTED, (x.shape,), out_channels, activation=FUSED.get(activation, "none"))
        out = self._append(name, spec, (x,), bias=bias, dropout=dropout)
        return out if activation in FUSED else self.activation(out, activation, name=f"{name}_activation")

    def mean(self, x: TensorRef, *, name: str) -> TensorRef:
        """Global average pooling to (1, 1, channels)."""
        return self._append(name, OpSpec(OpKind.MEAN, (x.shape,), x.channels), (x,))

    def pad(self, x: TensorRef, padding: tuple[Pair, Pair], *, name: str) -> TensorRef:
        """Zeros around the input."""
        return self._append(name, OpSpec(OpKind.PAD, (x.shape,), x.channels, padding=padding), (x,))

    def add(self, a: TensorRef, b: TensorRef, *, name: str) -> TensorRef:
        """Sum, broadcast."""
        spec = OpSpec(OpKind.ADD, (a.shape, b.shape), max(a.channels, b.channels))
        return self._append(name, spec, (a, b))

    def mul(self, a: TensorRef, b: TensorRef, *, name: str) -> TensorRef:
        """Product, broadcast (squeeze-and-excitation: (h, w, c) times (1, 1, c))."""
        spec = OpSpec(OpKind.MUL, (a.shape, b.shape), max(a.channels, b.channels))
        return self._append(name, spec, (a, b))

    def concat(self, *parts: TensorRef, name: str) -> TensorRef:
        """The channels of all parts, one after the other."""
        spec = OpSpec(OpKind.CONCAT, tuple(part.shape for part in parts), sum(part.channels for part in parts))
        return self._append(name, spec, parts)

    def slice(self, x: TensorRef, out_channels: int, *, name: str, first_channel: int = 0) -> TensorRef:
        """`out_channels` channels in a row, from `first_channel` on."""
        spec = OpSpec(OpKind.SLICE, (x.shape,), out_channels)
        return self._append(name, spec, (x,), first_channel=first_channel)

    def channel_shuffle(self, x: TensorRef, groups: int, *, name: str) -> TensorRef:
        """The first channel of each of `groups` groups, then the second of each, and so on.

        Source: ShuffleNet, arXiv 1707.01083, section 3.1.
        """
        return self._append(name, OpSpec(OpKind.CHANNEL_SHUFFLE, (x.shape,), x.channels, groups=groups), (x,))

    def upsample(self, x: TensorRef, factor: int | Pair, *, name: str) -> TensorRef:
        """Every row and column `factor` times: the nearest pixel of a larger image."""
        return self._append(name, OpSpec(OpKind.UPSAMPLE, (x.shape,), x.channels, stride=_pair(factor)), (x,))

    def activation(self, x: TensorRef, kind: ActivationName, *, name: str) -> TensorRef:
        """An activation as an op of its own; "none" gives `x` back."""
        return x if kind == "none" else self._append(name, OpSpec(OpKind(kind), (x.shape,), x.channels), (x,))

    def _window(
        self,
        kind: OpKind,
        x: TensorRef,
        out_channels: int,
        name: str,
        kernel_size: int | Pair,
        stride: int | Pair,
        dilation: int | Pair,
        padding: Padding | None,
        activation: ActivationName = "none",
        batch_norm: bool = False,
        bias: bool = False,
        groups: int = 1,
    ) -> TensorRef:
        kernel, dilated = _pair(kernel_size), _pair(dilation)
        if padding is None:
            half = tuple(d * (k - 1) // 2 for k, d in zip(kernel, dilated, strict=True))
            padding = "same" if self._padding == "same" else ((half[0], half[0]), (half[1], half[1]))
        spec = OpSpec(
            kind=kind,
            in_shapes=(x.shape,),
            out_channels=out_channels,
            kernel_size=kernel,
            stride=_pair(stride),
            dilation=dilated,
            groups=groups,
            padding=padding,
            activation=FUSED.get(activation, "none"),
        )
        out = self._append(name, spec, (x,), bias=bias, batch_norm=self._batch_norm if batch_norm else None)
        return out if activation in FUSED else self.activation(out, activation, name=f"{name}_activation")

    def _append(
        self,
        name: str,
        spec: OpSpec,
        inputs: tuple[TensorRef, ...],
        *,
        bias: bool = False,
        batch_norm: BatchNorm | None = None,
        dropout: float = 0.0,
        first_channel: int = 0,
    ) -> TensorRef:
        if any(i.index >= len(self.inputs) + len(self._nodes) for i in inputs):
            raise InputError(f"{name}: an input belongs to another graph")
        full = ".".join((*self._scope, name))
        node = OpNode(
            full,
            spec,
            tuple(i.index for i in inputs),
            bias=bias,
            batch_norm=batch_norm,
            dropout=dropout,
            first_channel=first_channel,
        )
        self._nodes.append(node)
        return TensorRef(len(self.inputs) + len(self._nodes) - 1, spec.out_shape)


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else value
