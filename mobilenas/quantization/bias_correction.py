"""bias_corrected: biases that take back the mean of what rounding added."""

import torch

from mobilenas.export.weights import Array
from mobilenas.graph import WEIGHTED
from mobilenas.nn import state_arrays
from mobilenas.nn.inference import image_batches
from mobilenas.quantization.layer_error import float_node
from mobilenas.quantization.simulated_int8 import SimulatedInt8

MEMORY_BYTES = 1_000_000_000


def bias_corrected(network: SimulatedInt8, images: Array) -> dict[str, Array]:
    """Weights whose biases bring the mean of every channel, before its activation, to what it is in float.

    Layer after layer: each sees what the corrected layers before it give.

    Args:
        network: The network in int8, with the weights that its float form has; it is as before afterwards.
        images: Normalised inputs, shape (N, height, width, channels), at least one; of a large network only as many
            are used as have their values in about a gigabyte.

    Source: Nagel et al., arXiv 1906.04721, section 4.2, the empirical form.
    Differs from the paper: nothing.
    """
    graph = network.graph
    values = 2 * 4 * sum(height * width * channels for height, width, channels in graph.value_shapes)
    count = max(1, min(len(images), MEMORY_BYTES // values))
    (batch,) = image_batches(images[:count], count)
    before = {name: value.clone() for name, value in network.network.state_dict().items()}
    with torch.no_grad():
        exact, rounded = [batch], [network.input(batch)]
        corrections: dict[int, torch.Tensor] = {}
        for index, node in enumerate(graph.nodes):
            exact.append(float_node(network, index, [exact[i] for i in node.inputs]))
        for index, node in enumerate(graph.nodes):
            inputs = [rounded[i] for i in node.inputs]
            if node.spec.kind in WEIGHTED:
                wanted = float_node(network, index, [exact[i] for i in node.inputs], activation=False)
                found = network.before_activation(index, inputs)
                corrections[index] = (wanted - found).double().mean((0, 2, 3)).float()
                network.parameter(index, "bias").add_(corrections[index])
            rounded.append(network.node(index, inputs))
        weights = {name: value.copy() for name, value in state_arrays(network.network).items()}
        network.network.load_state_dict(before)
    return weights
