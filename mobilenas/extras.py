"""What a user can do without is an extra; where it is missing, one line says how to get it."""

import importlib
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
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise InputError(f'{error.name} is not installed; run: pip install "mobilenas[{extra}]"') from error
