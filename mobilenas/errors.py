"""What can go wrong, by exit code.

An error's text is one or two lines: what, the value, what is accepted, what to run next.
"""

from typing import ClassVar


class MobilenasError(Exception):
    """An expected failure: the command line prints its text without a traceback and ends with `exit_code`."""

    exit_code: ClassVar[int] = 1


class InputError(MobilenasError):
    """Wrong usage or bad input: a file, a value, a name, a folder that cannot be written."""

    exit_code = 2


class StorageError(InputError):
    """A file could not be written: what asked for it is fine, and goes on when there is room."""


class TargetError(MobilenasError):
    """The target cannot be met; the text names the nearest that can."""

    exit_code = 3


class DeviceError(MobilenasError):
    """The device failed, is busy or is absent."""

    exit_code = 4


class VerificationError(MobilenasError):
    """An exported file is not what was promised."""

    exit_code = 5


class FieldError(InputError):
    """One setting has a value that is not accepted.

    Args:
        field: Name of the setting, as in the file or the constructor.
        value: What was given.
        accepted: What would be accepted, as the end of "give ...".
        where: Path of the object that holds the field, such as `stages[2][0]`; empty at the top.
    """

    def __init__(self, field: str, value: object, accepted: str, where: str = "") -> None:
        self.field, self.value, self.accepted, self.where = field, value, accepted, where
        path = f"{where}.{field}" if where else field
        super().__init__(f"{path}: {shorten(value)} is not accepted; give {accepted}")

    def inside(self, where: str) -> "FieldError":
        """The same error, seen from one object further out."""
        return FieldError(self.field, self.value, self.accepted, f"{where}.{self.where}" if self.where else where)


def shorten(value: object, limit: int = 60) -> str:
    """`repr` of a value from a file, cut so that an error stays one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        text = f"a value of type {type(value).__name__}, too large to print"
    return text if len(text) <= limit else text[: limit - 3] + "..."
