"""Translator: writes op nodes and their weights while a traced program is read."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.fx import Node

from mobilenas.export.weights import Array
from mobilenas.graph import OpGraph, OpKind, OpNode, OpSpec, Shape
from mobilenas.graph.graph import BatchNorm
from mobilenas.graph.kind import FUSES_ACTIVATION, WEIGHTED, Activation, Padding, Pair
from mobilenas.nn.tracing.unsupported import UnsupportedError
from mobilenas.nn.tracing.values import Grouped, Padded, Parts, Shifted, Traced, Value

NORM_FIELDS = ("weight", "bias", "running_mean", "running_var")


class Translator:
    """A graph under construction.

    Args:
        inputs: Shapes of the network's inputs.

    Attributes:
        node: The operator that is being translated, for errors.
        weights: The state dict of the graph so far.
    """

    def __init__(self, *inputs: Shape) -> None:
        self.node: Node | None = None
        self.weights: dict[str, Array] = {}
        self._inputs = inputs
        self._nodes: list[OpNode] = []
        self._names: set[str] = set()
        self._owners: dict[str, tuple[str, Tensor, Tensor | None]] = {}

    def __len__(self) -> int:
        """Number of ops so far."""
        return len(self._nodes)

    def input(self, index: int) -> Value:
        """An input of the network."""
        return Value(index, self._inputs[index])

    def finish(self, *outputs: Value) -> OpGraph:
        """The graph that ends in `outputs`."""
        return OpGraph(input_shapes=self._inputs, nodes=tuple(self._nodes), outputs=tuple(o.index for o in outputs))

    def stop(self, why: str = "", node: Node | None = None) -> UnsupportedError:
        """The error for an operator, the one that is being translated unless another is given."""
        node = node or self.node
        assert node is not None
        return UnsupportedError(node, why)

    def channels(self, x: Value) -> int:
        """How many numbers a layer has that has one for each index of the second axis, which must be the channels'.

        Raises:
            UnsupportedError: If the second axis is another.
        """
        if x.layout == "last":
            raise self.stop("over the height of an image")
        if x.layout == "flat" and x.shape[:2] != (1, 1):
            raise self.stop("over the values of a flattened image")
        return x.shape[2]

    def value(self, traced: Traced) -> Value:
        """What was put off is written down now.

        Raises:
            UnsupportedError: If it cannot be.
        """
        match traced:
            case Value():
                return traced
            case Padded(value, padding, fill, _) if fill == 0:
                return self.op(OpKind.PAD, value, padding=padding)
            case Shifted(value, shift, clamped):
                shifted = self.affine(value, None, torch.full((value.shape[2],), shift))
                return self.op(OpKind.RELU6, shifted) if clamped else shifted
            case Padded(_, _, fill, node):
                raise self.stop(f"a border of {fill:g}", node)
            case Grouped(node=node):
                raise self.stop("channels in groups that are not shuffled", node)
            case Parts():
                raise self.stop("parts of a tensor that are not read one by one")
            case _:
                raise self.stop("a constant in place of a tensor")

    def op(
        self,
        kind: OpKind,
        *inputs: Value,
        out_channels: int | None = None,
        groups: int = 1,
        padding: Padding = "same",
        first_channel: int = 0,
        kernel_size: Pair = (1, 1),
        stride: Pair = (1, 1),
    ) -> Value:
        """An op without weights; it keeps the channels and the layout of its first input unless told otherwise."""
        spec = OpSpec(
            kind,
            tuple(value.shape for value in inputs),
            inputs[0].shape[2] if out_channels is None else out_channels,
            kernel_size=kernel_size,
            stride=stride,
            groups=groups,
            padding=padding,
        )
        node = OpNode(self._name(), spec, tuple(value.index for value in inputs), first_channel=first_channel)
        return self._append(node, inputs[0])

    def weighted(self, spec: OpSpec, x: Value, weight: Tensor, bias: Tensor | None, name: str) -> Value:
        """An op with weights; `name` is where they stand in the module."""
        node_name = self._name(name)
        first, *tensors = self._owners.setdefault(name, (node_name, weight, bias))
        normalised = any(node.batch_norm for node in self._nodes if node.weight_name == first)
        shared = tensors[0] is weight and tensors[1] is bias and not normalised  # a batch norm belongs to one use
        weight_name = first if shared else node_name
        self._store(f"{weight_name}.weight", weight.reshape(spec.weight_shape))
        if bias is not None:
            self._store(f"{weight_name}.bias", bias)
        node = OpNode(
            node_name,
            spec,
            (x.index,),
            bias=bias is not None,
            dropout=x.dropout if spec.kind is OpKind.FULLY_CONNECTED else 0.0,
            weight_name=weight_name,
        )
        return self._append(node, x)

    def affine(self, x: Value, scale: Tensor | None, shift: Tensor | None, name: str = "") -> Value:
        """Each channel times a number plus a number, as a depthwise convolution of one pixel."""
        channels = x.shape[2]
        weight = torch.ones(channels) if scale is None else scale
        spec = OpSpec(OpKind.DEPTHWISE_CONV2D, (x.shape,), channels)
        return self.weighted(spec, x, weight, shift, name or self._base())

    def normalise(self, x: Value, parameters: Mapping[str, Tensor], epsilon: float, name: str, *, alone: bool) -> Value:
        """A batch norm: of the convolution before it if that is read by nobody else, else an op of its own."""
        maker = self._maker(x)
        if not (alone and maker is not None and self._takes_norm(maker)):
            x = self.affine(x, None, None, name)
            maker = self._nodes[-1]
        assert maker is not None
        self._nodes[x.index - len(self._inputs)] = replace(maker, batch_norm=BatchNorm(epsilon))
        for field in NORM_FIELDS:
            self._store(f"{maker.weight_name}.batch_norm.{field}", parameters[field])
        return x

    def activate(self, x: Value, activation: Activation, *, alone: bool) -> Value:
        """ReLU or ReLU6: fused into the op before it if that is read by nobody else, else an op of its own."""
        maker = self._maker(x)
        if alone and maker is not None and maker.spec.kind in FUSES_ACTIVATION and maker.spec.activation == "none":
            fused = replace(maker, spec=replace(maker.spec, activation=activation))
            self._nodes[x.index - len(self._inputs)] = fused
            return x
        return self.op(OpKind(activation), x)

    def _takes_norm(self, maker: OpNode) -> bool:
        shared = sum(node.weight_name == maker.weight_name for node in self._nodes) > 1
        plain = maker.spec.activation == "none" and maker.batch_norm is None
        return maker.spec.kind in WEIGHTED and maker.spec.kind is not OpKind.FULLY_CONNECTED and plain and not shared

    def _maker(self, x: Value) -> OpNode | None:
        index = x.index - len(self._inputs)
        return self._nodes[index] if index >= 0 else None

    def _append(self, node: OpNode, like: Value) -> Value:
        self._nodes.append(node)
        index = len(self._inputs) + len(self._nodes) - 1
        return Value(index, node.spec.out_shape, like.layout)

    def _store(self, name: str, tensor: Tensor) -> None:
        self.weights[name] = tensor.detach().cpu().float().contiguous().numpy()

    def _name(self, wanted: str = "") -> str:
        """A name that no node has: that of the operator in the program unless another is wanted."""
        base = wanted or self._base()
        name, number = base, 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    def _base(self) -> str:
        assert self.node is not None
        return self.node.name
