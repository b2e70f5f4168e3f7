"""The state of a training, as a safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mobilenas.errors import InputError, shorten
from mobilenas.storage import write_atomically

State = dict[str, Tensor]


def write_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, progress: Mapping[str, Any]
) -> None:
    """Writes modules, optimizer and progress, atomically.

    Args:
        path: The file.
        modules: By prefix.
        optimizer: Its per-parameter tensors are kept.
        progress: JSON values: under `what` what the training is, and how far it got.

    Raises:
        InputError: If the file cannot be written.
    """
    tensors: State = {}
    for prefix, module in modules.items():
        tensors |= {f"{prefix}.{name}": _plain(value) for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{k}": _plain(value) for k, value in state.items() if isinstance(value, Tensor)}
    write_atomically(path, save(tensors, metadata={"progress": json.dumps(progress, allow_nan=False)}))


def read_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizer: torch.optim.Optimizer, what: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Restores a training, with every tensor in the memory format it had.

    Args:
        path: The file.
        modules: By prefix; their tensors are overwritten.
        optimizer: Its state is overwritten.
        what: What is trained and how; JSON values.

    Returns:
        The progress; None if there is no file.

    Raises:
        InputError: If the file is another training's, or no checkpoint; nothing is touched then.
    """
    if not path.exists():
        return None
    progress, tensors = _read(path)
    stored = progress.get("what")
    if stored != what:
        known = stored if isinstance(stored, dict) else {}
        differing = next((name for name in what if known.get(name) != what[name]), "what it trains")
        raise InputError(
            f"{path} is the checkpoint of another training ({differing} differs); remove it or give another path"
        )
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    found = {prefix: _under(prefix, tensors) for prefix in modules}
    for prefix, module in modules.items():
        if _shapes(found[prefix]) != _shapes(module.state_dict()):
            raise _no_checkpoint(path, f"{prefix} has other tensors than the network")
    if not {name.partition(".")[0] for name in _under("optimizer", tensors)} <= set(map(str, range(len(parameters)))):
        raise _no_checkpoint(path, "the optimizer has other parameters than the network")
    for prefix, module in modules.items():
        module.load_state_dict(found[prefix])
    state = optimizer.state_dict()
    state["state"] = {}
    for name, value in _under("optimizer", tensors).items():
        index, _, key = name.partition(".")
        like = parameters[int(index)]
        laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        state["state"].setdefault(int(index), {})[key] = laid_out
    optimizer.load_state_dict(state)
    return progress


def _under(prefix: str, tensors: State) -> State:
    """The tensors of one prefix, by the rest of their names."""
    start = f"{prefix}."
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _shapes(tensors: Mapping[str, Any]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}


def _no_checkpoint(path: Path, reason: str) -> InputError:
    return InputError(f"{path} is not a checkpoint of a training ({reason}); remove it or give another path")


def _plain(value: Tensor) -> Tensor:
    """A contiguous copy of its own on the CPU, as safetensors wants it."""
    return value.detach().to("cpu", copy=True).contiguous()


def _read(path: Path) -> tuple[dict[str, Any], State]:
    try:
        with safe_open(path, "pt") as file:
            progress, names = json.loads((file.metadata() or {})["progress"]), file.keys()
            return dict(progress), {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _no_checkpoint(path, shorten(str(error), 200)) from error
