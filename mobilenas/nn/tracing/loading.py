"""foreign: what `module:function` names, as a network and its weights."""

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mobilenas.errors import InputError, shorten
from mobilenas.export.weights import Array, fitted, read_tensors, require_fit
from mobilenas.graph import Network, Shape
from mobilenas.nn.state_files import read_state
from mobilenas.nn.tracing.program import said
from mobilenas.nn.tracing.tracing import trace

DEFAULT_RESOLUTION = 224
ACCEPTED = "give MODULE:FUNCTION or MODULE:FUNCTION@PIXELS, such as torchvision.models:resnet18"


@dataclass(frozen=True, eq=False)
class ForeignModule:
    """A module that a function gave, with its weights.

    Attributes:
        name: Of the function.
        module: The module, in evaluation.
        shape: (height, width, channels) of its image.
    """

    name: str
    module: nn.Module
    shape: Shape


@dataclass(frozen=True, eq=False)
class Foreign:
    """A traced module.

    Attributes:
        network: Its graph.
        weights: Its weights.
    """

    network: Network
    weights: Mapping[str, Array]


def foreign(name: str, weights: str | None = None) -> Foreign:
    """Traces the module that a function gives.

    The function is called without arguments; what it draws at random is the same every time.

    Args:
        name: `module:function`, or `module:function@pixels`; without pixels the module's own `default_cfg` (timm) says
            the input's size, or it is 224.
        weights: A state dict of the module that torch saved, or a safetensors file with our names for its graph; None
            for the weights that the function gives.

    Raises:
        UnsupportedError: If the graph cannot express an operator.
        InputError: If the function cannot be found or called, gives no module, or the weights do not fit.
    """
    own = weights is not None and weights.endswith(".safetensors")
    found = _traced(name, None if own else weights)
    if own and weights is not None:
        return Foreign(found.network, fitted(read_tensors(Path(weights)), found.network.graph(), weights))
    return found


@lru_cache(maxsize=2)
def _traced(name: str, weights: str | None) -> Foreign:
    found = foreign_module(name, weights)
    graph, arrays = trace(found.module, found.shape)
    return Foreign(Network(name=found.name, op_graph=graph), arrays)


def foreign_module(name: str, weights: str | None = None) -> ForeignModule:
    """Calls the function, which is not traced.

    Args:
        name: As `foreign` takes it.
        weights: A state dict of the module that torch saved; None for the weights that the function gives.

    Raises:
        InputError: If the function cannot be found or called, gives no module, or the weights do not fit.
    """
    path, _, pixels = name.partition("@")
    if pixels and not (pixels.isdecimal() and 1 <= int(pixels) <= 4096):
        raise InputError(f"{name}: {shorten(pixels)} pixels are not accepted; give a whole number from 1 to 4096")
    module = _made(path)
    if weights is not None:
        _load(module, Path(weights))
    size = int(pixels) if pixels else _own_size(module)
    return ForeignModule(path.rpartition(":")[2], module, (size, size, 3))


def _made(path: str) -> nn.Module:
    where, _, function = path.partition(":")
    if not where or not function:
        raise InputError(f"{shorten(path)} is not accepted; {ACCEPTED}")
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules in the current folder, as python -m finds them
    if where.startswith("."):
        raise InputError(f"cannot find {path}: {where} is relative; {ACCEPTED}")
    try:
        found: Any = importlib.import_module(where)
        for attribute in function.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"cannot find {path}: {error}; {ACCEPTED}") from error
    except (Exception, SystemExit) as error:  # anybody's code
        raise InputError(f"importing {where} failed: {said(error)}") from error
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            module = found()
    except (Exception, SystemExit) as error:
        raise InputError(f"{path}() failed: {said(error)}") from error
    if not isinstance(module, nn.Module):
        raise InputError(f"{path}() gives {shorten(module)}, which is no torch.nn.Module")
    return module.eval()


def _own_size(module: nn.Module) -> int:
    config = getattr(module, "default_cfg", None)
    size = config.get("input_size") if isinstance(config, Mapping) else None
    return int(size[-1]) if size else DEFAULT_RESOLUTION


def _load(module: nn.Module, path: Path) -> None:
    state = read_state(path)
    own = module.state_dict()
    problems = [f"{name} is missing" for name in own if name not in state]
    problems += [f"{name} is not in the network" for name in state if name not in own]
    for name, tensor in own.items():
        if name in state and state[name].shape != tensor.shape:
            problems.append(f"{name} has shape {tuple(state[name].shape)}, the network {tuple(tensor.shape)}")
    require_fit(str(path), problems)
    module.load_state_dict(state)
