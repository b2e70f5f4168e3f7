"""equalized: the same function with channels that need more alike ranges."""

import numpy as np
import numpy.typing as npt

from mobilenas.export.weights import Array, Weights
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode
from mobilenas.nn.inference import all_values

LARGEST_FACTOR = 16.0
"""How far from the middle one a channel's factor may be: what is all but dead is not blown up."""
KEEPS_CHANNELS = frozenset({OpKind.RELU, OpKind.MAX_POOL2D, OpKind.AVG_POOL2D, OpKind.MEAN, OpKind.PAD})
BOUNDED = frozenset({OpKind.HARD_SIGMOID, OpKind.SIGMOID})


def equalized(graph: OpGraph, weights: Weights, images: Array) -> dict[str, Array]:
    """Weights of a network that computes the same, but whose channels fill the range of their tensor more evenly.

    Where a value passes from one layer to others through nothing but ReLU, pooling, sums and squeeze-and-excitation,
    channel c may be divided by any s_c > 0 in the layers that write it and multiplied in those that read it. With a_c
    the largest value of the channel and r_c its largest weight in the readers (as a share of their rows' largest),
    s_c = sqrt(a_c / r_c) makes both alike; where only depthwise layers read it, which have a scale for every
    channel, s_c = a_c.

    Args:
        graph: The network, without batch norm, as `folded_network` gives it.
        weights: Its state dict.
        images: Normalised inputs, shape (N, height, width, channels), at least one.

    Raises:
        InputError: If the weights or the images do not fit the network.

    Source: Nagel et al., arXiv 1906.04721, section 4.1.
    Differs from the paper: weights have a scale for every output channel here, so that a writer's rows need no
        equalising and the activations take their place; residual sums and squeeze-and-excitation are passed through;
        ReLU6 ends a chain instead of being replaced.
    """
    groups = _Groups(graph)
    peaks = _peaks(graph, weights, images)
    found = {name: value.copy() for name, value in weights.items()}
    factors = {group: _factors(groups, group, peaks, weights) for group in groups.free()}
    for index, node in enumerate(graph.nodes):
        if node.spec.kind not in WEIGHTED:
            continue
        weight, bias = (f"{node.weight_name}.{name}" for name in ("weight", "bias"))
        written, read = factors.get(groups.of(_value(graph, index))), factors.get(groups.of(node.inputs[0]))
        if written is not None:
            found[weight] /= written.reshape(-1, *[1] * (found[weight].ndim - 1))
            found[bias] /= written
        if read is not None:
            _columns(node, found[weight])[:] *= read[None, :, None]
    return found


def _value(graph: OpGraph, index: int) -> int:
    """The number of the value that a node gives."""
    return len(graph.input_shapes) + index


def _columns(node: OpNode, weight: Array) -> Array:
    """A view of weights as (rows, input channels, rest); of depthwise ones (1, channels, rest)."""
    if node.spec.kind is OpKind.DEPTHWISE_CONV2D:
        return weight.reshape(1, len(weight), -1)
    return weight.reshape(len(weight), node.spec.in_shapes[0][2], -1)


def _peaks(graph: OpGraph, weights: Weights, images: Array) -> list[npt.NDArray[np.float64]]:
    """Largest absolute value of every channel of every value."""
    found = [np.zeros(shape[2]) for shape in graph.value_shapes]
    for values in all_values(graph, weights, images):
        for i, value in enumerate(values):
            largest = value.abs().reshape(len(value), value.shape[1], -1).amax((0, 2))
            found[i] = np.maximum(found[i], largest.double().numpy())
    return found


def _factors(
    groups: "_Groups", group: int, peaks: list[npt.NDArray[np.float64]], weights: Weights
) -> npt.NDArray[np.float32]:
    """What a group's channels are divided by."""
    members = [value for value in range(len(peaks)) if groups.of(value) == group]
    largest = np.max([peaks[value] for value in members], axis=0)
    reach = np.zeros_like(largest)
    for node in groups.readers(group):
        if node.spec.kind is not OpKind.DEPTHWISE_CONV2D:
            columns = np.abs(_columns(node, weights[f"{node.weight_name}.weight"])).max(2).astype(np.float64)
            rows = columns.max(1, keepdims=True)
            reach = np.maximum(reach, (columns / np.where(rows > 0, rows, 1)).max(0))
    dense = bool(reach.any())
    alive = (largest > 0) & ((reach > 0) | (not dense))
    if not alive.any():
        return np.ones(len(largest), np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        wanted = np.sqrt(largest / reach) if dense else largest
    wanted = np.where(alive, wanted / np.median(wanted[alive]), 1.0)
    return wanted.clip(1 / LARGEST_FACTOR, LARGEST_FACTOR).astype(np.float32)


class _Groups:
    """Values whose channels must have the same factors, and those that must keep theirs."""

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
            self._add(node, _value(graph, index), shared=uses[node.weight_name] > 1)

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
