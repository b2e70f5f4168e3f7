"""layer_errors: which layer of a network loses what in int8."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mobilenas.export.weights import Array
from mobilenas.graph import WEIGHTED
from mobilenas.nn.inference import image_batches
from mobilenas.nn.ops import OPS
from mobilenas.nn.weighted import Use
from mobilenas.quantization.simulated_int8 import SimulatedInt8

BATCH = 16
"""Every value of every image of a batch is in memory three times."""


@dataclass(frozen=True, slots=True)
class LayerError:
    """How far the output of one node is from float, as a share of what it holds (root mean squares).

    Attributes:
        name: Of the node.
        kind: What it computes.
        own: Of its own rounding: weights, inner results and output, with inputs in float.
        total: In the int8 network, with what the layers before it lost.
    """

    name: str
    kind: str
    own: float
    total: float


def layer_errors(network: SimulatedInt8, images: Array) -> tuple[LayerError, ...]:
    """The errors of every node, in execution order; the last one's `total` is that of the network.

    Args:
        network: The network in int8, with the weights that its float form has.
        images: Normalised inputs, shape (N, height, width, channels), at least one.
    """
    nodes = network.graph.nodes
    signal, own, total = (np.zeros(len(nodes)) for _ in range(3))
    with torch.inference_mode():
        for batch in image_batches(images, BATCH):
            exact, rounded = [batch], [network.input(batch)]
            for index, node in enumerate(nodes):
                inputs = [exact[i] for i in node.inputs]
                exact.append(float_node(network, index, inputs))
                rounded.append(network.node(index, [rounded[i] for i in node.inputs]))
                signal[index] += _power(exact[-1])
                own[index] += _power(network.node(index, inputs) - exact[-1])
                total[index] += _power(rounded[-1] - exact[-1])
    return tuple(
        LayerError(node.name, str(node.spec.kind), _share(own[i], signal[i]), _share(total[i], signal[i]))
        for i, node in enumerate(nodes)
    )


def float_node(network: SimulatedInt8, index: int, inputs: list[Tensor], *, activation: bool = True) -> Tensor:
    """What a node gives in float, with or without its fused activation."""
    node = network.graph.nodes[index]
    compute = OPS[node.spec.kind](node)
    if node.spec.kind not in WEIGHTED:
        return compute(*inputs)
    use = Use(compute, 0.0, node.spec.activation if activation else "none")
    found: Tensor = network.network.get_submodule(node.weight_name)(*inputs, use)
    return found


def _power(x: Tensor) -> float:
    return float(x.double().square().sum())


def _share(noise: float, signal: float) -> float:
    return math.sqrt(noise / signal) if signal > 0 else math.sqrt(noise)
