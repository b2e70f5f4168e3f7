"""observed_ranges: between what values each node of a network lies, for static quantization."""

import numpy as np

from mobilenas.export.ranges import Ranges
from mobilenas.export.weights import Array, Weights
from mobilenas.graph import OpGraph
from mobilenas.nn.inference import all_values


def observed_ranges(graph: OpGraph, weights: Weights, images: Array) -> Ranges:
    """Lowest and highest output of every node, and of the input, over some images.

    Args:
        graph: A network with one input.
        weights: Its state dict.
        images: Normalised inputs, shape (N, height, width, channels), at least one; better hundreds to train on.

    Returns:
        What `write_tflite` takes as `ranges`.

    Raises:
        InputError: If the weights or the images do not fit the network.
    """
    names = ["input_0", *(node.name for node in graph.nodes)]
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    for values in all_values(graph, weights, images):
        low = np.minimum(low, [float(value.min()) for value in values])
        high = np.maximum(high, [float(value.max()) for value in values])
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}
