"""What a network computes, from numpy to numpy."""

import numpy as np
import torch

from mobilenas.export.weights import Array, Weights
from mobilenas.graph import OpGraph
from mobilenas.nn.graph_module import GraphModule
from mobilenas.nn.weights import set_weights

BATCH = 64


def outputs(graph: OpGraph, weights: Weights, images: Array) -> Array:
    """Outputs of a network with one input and one output, in evaluation mode.

    Args:
        graph: The network.
        weights: Its state dict.
        images: Normalised inputs as an exported file takes them, shape (N, height, width, channels), at least one.

    Returns:
        Shape (N, channels), or (N, channels, height, width) where the output is an image.

    Raises:
        InputError: If the weights or the images do not fit the network.
    """
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH])).permute(0, 3, 1, 2)
            found.append(module(batch).numpy())
    return np.concatenate(found)
