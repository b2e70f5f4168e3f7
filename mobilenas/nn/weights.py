"""Weights between torch, numpy and safetensors files."""

from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from torch import nn

from mobilenas.errors import InputError
from mobilenas.export.weights import Array, Weights, read_weights
from mobilenas.graph import OpGraph
from mobilenas.nn.graph_module import GraphModule
from mobilenas.storage import write_atomically

COUNTER = "num_batches_tracked"
"""A batch norm's count of batches: the only entry of a state dict that is no weight."""


def state_arrays(module: nn.Module) -> dict[str, Array]:
    """The state dict as float32 arrays, without `num_batches_tracked`."""
    return {
        name: tensor.detach().cpu().float().contiguous().numpy()
        for name, tensor in module.state_dict().items()
        if not name.endswith(COUNTER)
    }


def set_weights(module: nn.Module, weights: Weights) -> None:
    """Copies arrays into a module.

    Raises:
        InputError: If names or shapes differ; the text names the first tensor that does. The module is then untouched.
    """
    state = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith(COUNTER)}
    for name in (*state, *weights):
        if name not in weights:
            raise InputError(f"the weights do not fit the network: {name} is missing")
        if name not in state:
            raise InputError(f"the weights do not fit the network: {name} is not in it")
        if weights[name].shape != tuple(state[name].shape):
            shapes = f"{weights[name].shape}, the network {tuple(state[name].shape)}"
            raise InputError(f"the weights do not fit the network: {name} has shape {shapes}")
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(weights[name])))


def module_of(graph: OpGraph, weights: Weights) -> GraphModule:
    """A network with these weights, in evaluation mode; none are drawn for it before.

    Raises:
        InputError: If the weights do not fit.
    """
    module = GraphModule(graph, seed=None)
    set_weights(module, weights)
    return module.eval()


def save_weights(module: nn.Module, path: Path) -> None:
    """Writes a safetensors file, atomically.

    Raises:
        InputError: If it cannot be written.
    """
    write_atomically(path, save(state_arrays(module)))


def load_weights(module: GraphModule, path: Path) -> None:
    """Reads a safetensors file into a module, which stays untouched if the file does not fit.

    Raises:
        InputError: If the file cannot be read, is no safetensors file, or does not fit; the text names the first
            tensors that are missing, too many, of another shape or not finite.
    """
    set_weights(module, read_weights(path, module.graph))
