"""Published networks as data, one family a file; a family's `NETWORKS` are found by themselves. No torch.

All have TF's SAME padding and a batch norm epsilon of 1e-3, as their TF references do; `mobilenas.pretrained` gives
what weights of torchvision and timm want.
"""

import importlib
import pkgutil
from functools import lru_cache

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.models.published import Published
from mobilenas.registry import unknown


def names() -> list[str]:
    """Names of all networks, sorted."""
    return sorted(_networks())


def get(name: str, *, resolution: int | None = None, num_classes: int | None = None) -> Arch:
    """A published network, for another input size or number of classes where given.

    Raises:
        InputError: If there is none of this name.
    """
    return published(name).build().resized(resolution=resolution, num_classes=num_classes)


def published(name: str) -> Published:
    """A network with its published figures.

    Raises:
        InputError: If there is none of this name.
    """
    if name not in _networks():
        raise InputError(f"{unknown('model', name, _networks())} (mobilenas models lists them)")
    return _networks()[name]


@lru_cache(maxsize=1)
def _networks() -> dict[str, Published]:
    found: dict[str, Published] = {}
    for module in pkgutil.iter_modules(__path__):
        family = importlib.import_module(f"{__name__}.{module.name}")
        found |= getattr(family, "NETWORKS", {})
    return found


__all__ = ["Published", "get", "names", "published"]
