"""Weights between torch, numpy and safetensors files."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import save
from torch import nn

from mobilenas.errors import InputError
from mobilenas.export.weights import Weights, read_weights
from mobilenas.graph import OpGraph
from mobilenas.nn.graph_module import GraphModule
from mobilenas.storage import write_atomically

Images = npt.NDArray[np.float32]
BATCH = 64


def state_arrays(module: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    """The state dict as float32 arrays, without `num_batches_tracked`."""
    return {
        name: tensor.detach().cpu().float().contiguous().numpy()
        for name, tensor in module.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def set_weights(module: nn.Module, weights: Weights) -> None:
    """Copies arrays into a module.

    Raises:
        InputError: If names or shapes differ; the text names the first that does.
    """
    state = module.state_dict()
    for name, tensor in state.items():
        if name in weights and weights[name].shape == tuple(tensor.shape):
            state[name] = torch.from_numpy(np.ascontiguousarray(weights[name]))
        elif not name.endswith("num_batches_tracked"):
            raise InputError(f"the weights do not fit the network: {name} is missing or has another shape")
    module.load_state_dict(state)


def save_weights(module: nn.Module, path: Path) -> None:
    """Writes a safetensors file, atomically."""
    write_atomically(path, save(state_arrays(module)))


def load_weights(module: GraphModule, path: Path) -> None:
    """Reads a safetensors file into a module.

    Raises:
        InputError: As `read_weights`.
    """
    set_weights(module, read_weights(path, module.graph))


def outputs(graph: OpGraph, weights: Weights, images: Images) -> Images:
    """Outputs of a network with one input and one output, in evaluation mode.

    Args:
        graph: The network.
        weights: Its state dict.
        images: Normalised inputs as an exported file takes them, shape (N, height, width, channels).

    Returns:
        Shape (N, channels), or (N, channels, height, width) where the output is an image.
    """
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    found = []
    with torch.inference_mode():
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + BATCH])).permute(0, 3, 1, 2)
            found.append(module(batch).numpy())
    return np.concatenate(found)
