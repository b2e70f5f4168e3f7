"""OpGraph: a network as operations in execution order. Everything else reads it."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

from mobilenas.errors import InputError
from mobilenas.graph.kind import ACTIVATION_BYTES, WEIGHTED, OpKind, Shape
from mobilenas.graph.op import OpSpec
from mobilenas.settings import Settings


@dataclass(frozen=True, slots=True)
class BatchNorm(Settings):
    """A batch norm that follows a convolution and is folded into it on export."""

    epsilon: float = 1e-3


@dataclass(frozen=True, slots=True)
class OpNode(Settings):
    """One operation of a network, with what belongs to its weights and not to its cost.

    Attributes:
        name: Unique dotted name, such as `stages.2.0.depthwise`.
        spec: What it computes.
        inputs: Values it reads: 0 .. len(input_shapes) - 1 are the graph's inputs, then one value a node.
        bias: Whether it has a bias parameter.
        batch_norm: The batch norm behind it, or None.
        dropout: Share of the input that is dropped while training.
        weight_name: Prefix of its parameters in a state dict; its own name unless weights are shared.
        first_channel: Where a slice begins; where it does costs nothing, so it is no part of the spec.

    Raises:
        InputError: If an op without weights is given a bias or a batch norm, or a slice lies outside its input.
    """

    name: str
    spec: OpSpec
    inputs: tuple[int, ...]
    bias: bool = False
    batch_norm: BatchNorm | None = None
    dropout: float = 0.0
    weight_name: str = ""
    first_channel: int = 0

    def __post_init__(self) -> None:
        if not self.weight_name:
            object.__setattr__(self, "weight_name", self.name)
        if (self.bias or self.batch_norm) and self.spec.kind not in WEIGHTED:
            raise InputError(f"{self.name}: {self.spec.kind} has neither bias nor batch norm")
        last = self.spec.in_shapes[0][2] - self.spec.out_channels if self.spec.kind is OpKind.SLICE else 0
        if not 0 <= self.first_channel <= last:
            raise InputError(
                f"{self.name}: first channel {self.first_channel} is not accepted; give a whole number from 0 to {last}"
            )

    @property
    def params(self) -> int:
        """Trainable parameters: weights, bias, and batch norm's scale and shift."""
        channels = self.spec.out_channels
        return self.spec.weight_count + (channels if self.bias else 0) + (2 * channels if self.batch_norm else 0)


@dataclass(frozen=True, slots=True)
class BlockSpan(Settings):
    """Which nodes one block emitted: `nodes[start:stop]`."""

    name: str
    start: int
    stop: int


@dataclass(frozen=True)
class OpGraph:
    """A network, or a single op with its inputs.

    Attributes:
        input_shapes: Shapes of the inputs, (height, width, channels).
        nodes: Operations in execution order.
        outputs: Values that leave the graph.
        spans: Block spans, in order; a node may belong to none.

    Raises:
        InputError: If a node reads a value that is not there yet or whose shape is not what its spec says, if two nodes
            have one name, or if outputs or spans lie outside.
    """

    input_shapes: tuple[Shape, ...]
    nodes: tuple[OpNode, ...]
    outputs: tuple[int, ...]
    spans: tuple[BlockSpan, ...] = field(default=())

    def __post_init__(self) -> None:
        shapes = list(self.input_shapes)
        names = set()
        for node in self.nodes:
            if any(not 0 <= i < len(shapes) for i in node.inputs):
                raise InputError(f"{node.name}: reads a value that is not there yet")
            read = tuple(shapes[i] for i in node.inputs)
            if read != node.spec.in_shapes:
                raise InputError(f"{node.name}: expects {node.spec.in_shapes}, but reads {read}")
            if node.name in names:
                raise InputError(f"{node.name}: two nodes have this name")
            names.add(node.name)
            shapes.append(node.spec.out_shape)
        if any(not 0 <= i < len(shapes) for i in self.outputs) or not self.outputs:
            raise InputError("a graph needs outputs that exist")
        if any(not 0 <= span.start <= span.stop <= len(self.nodes) for span in self.spans):
            raise InputError("a block span lies outside the graph")

    @cached_property
    def value_shapes(self) -> tuple[Shape, ...]:
        """The shape of every value: inputs first, then one a node."""
        return (*self.input_shapes, *(node.spec.out_shape for node in self.nodes))

    def value_of(self, node: int) -> int:
        """The number of the value that a node gives, by the node's number."""
        return len(self.input_shapes) + node

    def op_counts(self) -> Counter[OpSpec]:
        """How often each distinct op occurs."""
        return Counter(node.spec for node in self.nodes)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one inference."""
        return sum(node.spec.macs for node in self.nodes)

    @cached_property
    def params(self) -> int:
        """Trainable parameters; shared weights count once."""
        return sum({node.weight_name: node.params for node in self.nodes}.values())

    def weight_bytes(self, dtype: str = "float32") -> int:
        """Bytes of weights that one inference streams; what is used twice counts twice."""
        return sum(node.spec.weight_bytes(dtype) for node in self.nodes)

    def footprint_bytes(self, dtype: str = "float32") -> int:
        """What one inference after the other needs at hand: all weights, and the activations alive at the peak."""
        return self.weight_bytes(dtype) + self.peak_memory_bytes(dtype)

    def peak_memory_bytes(self, dtype: str = "float32") -> int:
        """Largest sum of activations that are alive at once in execution order, in bytes.

        A value lives from the node that writes it to the last node that reads it; outputs live to the end. While a node
        runs, its inputs and its output are both alive.
        """
        last_read = {value: -1 for value in range(len(self.value_shapes))}
        for index, node in enumerate(self.nodes):
            last_read.update(dict.fromkeys(node.inputs, index))
        last_read.update(dict.fromkeys(self.outputs, len(self.nodes)))
        sizes = [math.prod(shape) for shape in self.value_shapes]
        offset = len(self.input_shapes)
        dying: dict[int, list[int]] = {}
        for value, index in last_read.items():
            dying.setdefault(max(index, value - offset), []).append(value)
        alive = peak = sum(sizes[:offset])
        alive -= sum(sizes[value] for value in dying.get(-1, []))
        for index in range(len(self.nodes)):
            alive += sizes[offset + index]
            peak = max(peak, alive)
            alive -= sum(sizes[value] for value in dying.get(index, []))
        return peak * ACTIVATION_BYTES[dtype]

    def folded(self) -> "OpGraph":
        """The network as a file holds it: batch norms folded, so that whatever has weights has a bias."""
        nodes = tuple(
            replace(node, bias=True, batch_norm=None) if node.spec.kind in WEIGHTED else node for node in self.nodes
        )
        return replace(self, nodes=nodes)

    def weighted_nodes(self) -> Iterator[OpNode]:
        """The nodes that have weights, each weight name once."""
        seen = set()
        for node in self.nodes:
            if node.spec.kind in WEIGHTED and node.weight_name not in seen:
                seen.add(node.weight_name)
                yield node

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every tensor in this network's state dict, in torch's layout.

        A node `stages.2.0.depthwise` has `stages.2.0.depthwise.weight`, `.bias` where it has one, and
        `.batch_norm.{weight,bias,running_mean,running_var}`.
        """
        shapes: dict[str, tuple[int, ...]] = {}
        for node in self.weighted_nodes():
            channels = (node.spec.out_channels,)
            shapes[f"{node.weight_name}.weight"] = node.spec.weight_shape
            if node.bias:
                shapes[f"{node.weight_name}.bias"] = channels
            if node.batch_norm:
                for tensor in ("weight", "bias", "running_mean", "running_var"):
                    shapes[f"{node.weight_name}.batch_norm.{tensor}"] = channels
        return shapes

    def to_dict(self) -> dict[str, Any]:
        """The graph as JSON values."""
        return {
            "input_shapes": [list(shape) for shape in self.input_shapes],
            "nodes": [
                {**asdict(node), "inputs": list(node.inputs), "spec": node.spec.to_dict()} for node in self.nodes
            ],
            "outputs": list(self.outputs),
            "spans": [asdict(span) for span in self.spans],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "OpGraph":
        """Reads what `to_dict` wrote.

        Raises:
            InputError: If a field is missing, unknown or not accepted.
        """
        try:
            return cls(
                input_shapes=tuple((h, w, c) for h, w, c in data["input_shapes"]),
                nodes=tuple(_read_node(node, f"nodes[{i}]") for i, node in enumerate(data["nodes"])),
                outputs=tuple(data["outputs"]),
                spans=tuple(BlockSpan.from_dict(span, where=f"spans[{i}]") for i, span in enumerate(data["spans"])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not an op graph: {error}") from error


def _read_node(data: dict[str, Any], where: str) -> OpNode:
    norm = data["batch_norm"]
    parts = {
        "spec": OpSpec.from_dict(data["spec"]),
        "batch_norm": None if norm is None else BatchNorm.from_dict(norm, where=f"{where}.batch_norm"),
    }
    return OpNode.from_dict({**data, **parts}, where=where)


def single_op(spec: OpSpec, copies: int = 1) -> OpGraph:
    """The graph of one op: what a micro-model of the look-up table is written from.

    Args:
        spec: The op.
        copies: How often it stands there, side by side, each time with an output of its own.
    """
    inputs = tuple(range(len(spec.in_shapes)))
    names = ["op", *(f"op_{i}" for i in range(1, copies))]
    nodes = tuple(OpNode(name=name, spec=spec, inputs=inputs, bias=spec.kind in WEIGHTED) for name in names)
    outputs = tuple(range(len(inputs), len(inputs) + copies))
    return OpGraph(input_shapes=spec.in_shapes, nodes=nodes, outputs=outputs)
