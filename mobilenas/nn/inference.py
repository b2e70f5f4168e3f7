"""What a network computes, from numpy to numpy."""

import numpy as np
import numpy.typing as npt
import torch

from mobilenas.export.weights import Array, Weights
from mobilenas.graph import OpGraph
from mobilenas.nn.graph_module import GraphModule
from mobilenas.nn.weights import set_weights

BATCH = 64


def outputs(graph: OpGraph, weights: Weights, images: Array, *, exact: bool = False) -> npt.NDArray[np.floating]:
    """Outputs of a network with one input and one output, in evaluation mode.

    Args:
        graph: The network.
        weights: Its state dict.
        images: Normalised inputs as an exported file takes them, shape (N, height, width, channels), at least one.
        exact: Compute in float64, some ten times slower: what rounding remains is far below float32's.

    Returns:
        Shape (N, channels), or (N, channels, height, width) where the output is an image; float32, float64 if exact.

    Raises:
        InputError: If the weights or the images do not fit the network.
    """
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    precision, size = (torch.float64, BATCH // 2) if exact else (torch.float32, BATCH)  # the same memory
    module.to(precision)
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), size):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + size])).permute(0, 3, 1, 2)
            found.append(module(batch.to(precision)).numpy())
    return np.concatenate(found)
