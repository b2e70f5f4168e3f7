"""read_state: a state dict that torch saved."""

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mobilenas.errors import InputError

WRAPPERS = ("state_dict_ema", "state_dict", "model_state_dict", "model")
"""Under what names training scripts put a state dict, the preferred one first."""
ACCEPTED = "give a state dict as torch.save(module.state_dict(), file) writes it"


def read_state(path: Path) -> dict[str, Tensor]:
    """Reads a file of torch; nothing but tensors and plain values is unpickled.

    Args:
        path: The file.

    Returns:
        The state dict; `module.` of data-parallel training is taken off the names.

    Raises:
        InputError: If the file cannot be read or holds no state dict.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of pickles that it then refuses
            data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"cannot read weights {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"cannot read weights {path}: it is damaged, or holds more than tensors, which may be code and is not run; "
            f"{ACCEPTED}"
        ) from error
    except Exception as error:  # torch raises whatever a damaged file leads to
        raise InputError(f"cannot read weights {path}: it is no whole file that torch saved; {ACCEPTED}") from error
    for name in WRAPPERS:
        if isinstance(data, Mapping) and isinstance(data.get(name), Mapping):
            data = data[name]
    if not isinstance(data, Mapping) or not data or not all(_is_dense(value) for value in data.values()):
        raise InputError(f"{path} holds no state dict; {ACCEPTED}")
    return {str(name).removeprefix("module."): value for name, value in data.items()}


def _is_dense(value: object) -> bool:
    """Whether it is a tensor with all its values, as parameters are."""
    return isinstance(value, Tensor) and value.layout is torch.strided
