"""mobilenas: a hardware-aware mobile model builder.

Example:
    >>> import mobilenas as mn
    >>> arch = mn.models.get("mobilenet_v3_large")
    >>> mn.load_predictor("host").predict(arch.graph()).ms
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mobilenas import models as models
    from mobilenas.arch import Arch as Arch
    from mobilenas.latency import load_predictor as load_predictor

_LAZY = {
    "models": ("mobilenas.models", ""),
    "Arch": ("mobilenas.arch", "Arch"),
    "load_predictor": ("mobilenas.latency", "load_predictor"),
}

__all__ = ["Arch", "load_predictor", "models"]


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first used, so that importing the package costs nothing."""
    if name not in _LAZY:
        raise AttributeError(f"module 'mobilenas' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    found = importlib.import_module(module)
    return getattr(found, attribute) if attribute else found
