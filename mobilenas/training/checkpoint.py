"""The state of a training, as a safetensors file."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mobilenas.storage import write_atomically

State = dict[str, Tensor]


def write_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, progress: dict[str, Any]
) -> None:
    """Writes modules, optimizer and progress, atomically.

    Args:
        path: The file.
        modules: By prefix.
        optimizer: Its per-parameter tensors are kept.
        progress: JSON values: what the training was, and how far it got.
    """
    tensors: State = {}
    for prefix, module in modules.items():
        tensors |= {f"{prefix}.{name}": value.detach().cpu().contiguous() for name, value in module.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{name}"] = value.detach().cpu().contiguous()
    distinct = {name: value.clone() for name, value in tensors.items()}
    write_atomically(path, save(distinct, metadata={"progress": json.dumps(progress)}))


def read_checkpoint(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer, what: dict[str, Any]
) -> dict[str, Any] | None:
    """Restores a training.

    Args:
        path: The file.
        modules: By prefix; their tensors are overwritten.
        optimizer: Its state is overwritten.
        what: What is trained and how; a checkpoint that says otherwise is not used.

    Returns:
        The progress; None if there is no checkpoint of this very training, and then nothing is touched.
    """
    try:
        with safe_open(path, "pt") as file:
            progress: dict[str, Any] = json.loads(file.metadata()["progress"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None
    if progress.get("what") != what:
        return None
    for prefix, module in modules.items():
        start = f"{prefix}."
        module.load_state_dict({n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)})
    state = optimizer.state_dict()
    state["state"] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".", 2)
            state["state"].setdefault(int(index), {})[key] = value
    optimizer.load_state_dict(state)
    return progress
