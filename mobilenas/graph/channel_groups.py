"""ChannelGroups: where the channels of a network may be scaled without a change of what it computes."""

from mobilenas.graph.graph import OpGraph, OpNode
from mobilenas.graph.kind import WEIGHTED, OpKind

KEEPS_CHANNELS = frozenset({OpKind.RELU, OpKind.MAX_POOL2D, OpKind.AVG_POOL2D, OpKind.MEAN, OpKind.PAD})
BOUNDED = frozenset({OpKind.HARD_SIGMOID, OpKind.SIGMOID})


class ChannelGroups:
    """Values whose channels must have the same factors, and those that must keep theirs.

    Where a value passes from one layer to others through nothing but ReLU, pooling, sums and squeeze-and-excitation,
    channel c may be divided by any s_c > 0 in the layers that write it and multiplied in those that read it: the
    network computes the same. All values between them are one group.
    """

    def __init__(self, graph: OpGraph) -> None:
        self._graph = graph
        self._parents = list(range(len(graph.value_shapes)))
        self._fixed: set[int] = set()
        uses: dict[str, int] = {}
        for node in graph.nodes:
            uses[node.weight_name] = uses.get(node.weight_name, 0) + 1
        for value in (*range(len(graph.input_shapes)), *graph.outputs):
            self._fix(value)
        for index, node in enumerate(graph.nodes):
            self._add(node, graph.value_of(index), shared=uses[node.weight_name] > 1)

    def of(self, value: int) -> int:
        """The group of a value."""
        while self._parents[value] != value:
            self._parents[value] = value = self._parents[self._parents[value]]
        return value

    def free(self) -> list[int]:
        """Groups whose channels may have factors."""
        fixed = {self.of(value) for value in self._fixed}
        return sorted({self.of(value) for value in range(len(self._parents))} - fixed)

    def readers(self, group: int) -> list[OpNode]:
        """The nodes with weights that read a group."""
        return [n for n in self._graph.nodes if n.spec.kind in WEIGHTED and self.of(n.inputs[0]) == group]

    def _fix(self, *values: int) -> None:
        self._fixed.update(values)

    def _join(self, *values: int) -> None:
        for value in values[1:]:
            self._parents[self.of(value)] = self.of(values[0])

    def _add(self, node: OpNode, out: int, *, shared: bool) -> None:
        spec = node.spec
        channels = {shape[2] for shape in spec.in_shapes} | {spec.out_channels}
        if spec.activation == "relu6":
            self._fix(out)
        match spec.kind:
            case OpKind.CONV2D | OpKind.FULLY_CONNECTED if spec.groups == 1 and not shared:
                pass
            case OpKind.DEPTHWISE_CONV2D if len(channels) == 1 and not shared:
                pass
            case OpKind.MUL if len(channels) == 1 and spec.activation != "relu6":
                plain = [value for value in node.inputs if not self._is_bounded(value)]
                self._join(out, *plain) if len(plain) == 1 else self._fix(out, *node.inputs)
            case OpKind.ADD if len(channels) == 1 and spec.activation != "relu6":
                self._join(out, *node.inputs)
            case kind if kind in KEEPS_CHANNELS and spec.activation != "relu6":
                self._join(out, *node.inputs)
            case _:
                self._fix(out, *node.inputs)

    def _is_bounded(self, value: int) -> bool:
        """Whether a value is a gate, which stands as it is."""
        index = value - len(self._graph.input_shapes)
        return index >= 0 and self._graph.nodes[index].spec.kind in BOUNDED
