"""equalized: the same function with channels that need more alike ranges."""

import numpy as np
import numpy.typing as npt

from mobilenas.export.weights import Array, Weights
from mobilenas.graph import WEIGHTED, ChannelGroups, OpGraph, OpKind, OpNode
from mobilenas.nn.inference import all_values

LARGEST_FACTOR = 16.0
"""How far from the middle one a channel's factor may be: what is all but dead is not blown up."""


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
    groups = ChannelGroups(graph)
    peaks = _peaks(graph, weights, images)
    found = {name: value.copy() for name, value in weights.items()}
    factors = {group: _factors(groups, group, peaks, weights) for group in groups.free()}
    for index, node in enumerate(graph.nodes):
        if node.spec.kind not in WEIGHTED:
            continue
        weight, bias = (f"{node.weight_name}.{name}" for name in ("weight", "bias"))
        written, read = factors.get(groups.of(graph.value_of(index))), factors.get(groups.of(node.inputs[0]))
        if written is not None:
            found[weight] /= written.reshape(-1, *[1] * (found[weight].ndim - 1))
            found[bias] /= written
        if read is not None:
            _columns(node, found[weight])[:] *= read[None, :, None]
    return found


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
    groups: ChannelGroups, group: int, peaks: list[npt.NDArray[np.float64]], weights: Weights
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
