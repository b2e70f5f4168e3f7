"""observed_ranges: between what values each node of a network lies, for static quantization."""

from dataclasses import replace

import numpy as np
import torch

from mobilenas.export.ranges import Ranges
from mobilenas.export.weights import Array, Weights
from mobilenas.graph import OpGraph
from mobilenas.nn.graph_module import GraphModule
from mobilenas.nn.weights import set_weights

BATCH = 8
"""Every value of every image of a batch is in memory at once."""


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
    module = GraphModule(replace(graph, outputs=tuple(range(len(names))))).eval()
    set_weights(module, weights)
    low, high = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            values = module(torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH])).permute(0, 3, 1, 2))
            low = np.minimum(low, [float(value.min()) for value in values])
            high = np.maximum(high, [float(value.max()) for value in values])
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}
