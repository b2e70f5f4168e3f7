"""What a network computes, from numpy to numpy."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mobilenas.export.weights import Array, Weights, check_one_output
from mobilenas.graph import OpGraph
from mobilenas.nn.weights import module_of

BATCH = 64
ALL_VALUES_BATCH = 8
"""Of `all_values`: every value of every image of a batch is in memory at once."""


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
        InputError: If the network has several outputs, or the weights or the images do not fit it.
    """
    check_one_output(graph)
    module = module_of(graph, weights)
    precision, size = (torch.float64, BATCH // 2) if exact else (torch.float32, BATCH)  # the same memory
    module.to(precision)
    found = []
    with torch.inference_mode():
        for batch in image_batches(images, size):
            found.append(module(batch.to(precision)).numpy())
    return np.concatenate(found)


def image_batches(images: Array, size: int) -> Iterator[Tensor]:
    """Images (N, height, width, channels) as tensors (`size` or fewer, channels, height, width)."""
    for start in range(0, len(images), size):
        yield torch.from_numpy(np.ascontiguousarray(images[start : start + size])).permute(0, 3, 1, 2)


def all_values(graph: OpGraph, weights: Weights, images: Array) -> Iterator[list[Tensor]]:
    """For each batch of images every value of a network: its input, then what each node gives, (N, C, ...).

    Args:
        graph: A network with one input.
        weights: Its state dict.
        images: Normalised inputs, shape (N, height, width, channels).

    Raises:
        InputError: If the weights or the images do not fit the network.
    """
    module = module_of(replace(graph, outputs=tuple(range(len(graph.value_shapes)))), weights)
    for batch in image_batches(images, ALL_VALUES_BATCH):
        with torch.inference_mode():
            values = module(batch)
        yield list(values)
