"""What a user can do without is an extra; where it is missing, one line says how to get it."""

import importlib
import os
import sys
from types import ModuleType

from mobilenas.errors import InputError


def require(module: str, extra: str) -> ModuleType:
    """Imports an optional library.

    Args:
        module: Import path, such as `torch`.
        extra: The extra of this package that brings it.

    Raises:
        InputError: If it is not installed; the text gives the command.
    """
    if "torch" not in sys.modules:
        # Threads that spin while they wait make training ten times slower as soon as anything else runs on the machine.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise InputError(f'{error.name} is not installed; run: pip install "mobilenas[{extra}]"') from error
