"""Device: one `devices/*.toml`."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from mobilenas.errors import FieldError, InputError
from mobilenas.registry import unknown
from mobilenas.settings import Settings, check
from mobilenas.storage import home, read_text, shipped

NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")

RUNTIMES = ("litert",)


@dataclass(frozen=True, kw_only=True)
class Device(Settings):
    """What a model is timed on, and how it is reached.

    Attributes:
        name: The device's name; its tables are `<name>.<dtype>.csv`.
        runner: How it is reached: a module of `mobilenas.runners`, such as `host`.
        description: One line for people.
        runtime: What executes models there.
        threads: Threads of the runtime.
        options: Settings of the runner, by name.

    Raises:
        FieldError: If a value is not accepted.
    """

    name: str
    runner: str
    description: str = ""
    runtime: str = "litert"
    threads: int = 1
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        fits = 0 < len(self.name) <= 64 and self.name[0] not in ".-" and set(self.name) <= NAME_CHARACTERS
        check(fits, "name", self.name, "letters, digits, '.', '_' and '-', at most 64")
        check(self.runtime in RUNTIMES, "runtime", self.runtime, " or ".join(RUNTIMES))
        check(1 <= self.threads <= 64, "threads", self.threads, "a whole number from 1 to 64")

    @classmethod
    def from_dict(cls, data: object, *, where: str = "") -> Self:
        """As `Settings.from_dict`; `options` is a table that the runner reads."""
        options: Mapping[str, Any] = {}
        if isinstance(data, Mapping) and "options" in data:
            options = data["options"]
            if not isinstance(options, Mapping):
                raise FieldError("options", options, "a table", where)
            data = {key: value for key, value in data.items() if key != "options"}
        plain = super().from_dict(data, where=where)
        object.__setattr__(plain, "options", dict(options))
        return plain

    @classmethod
    def load(cls, name_or_path: str) -> Self:
        """Reads a device by name (the user's first, then the shipped ones) or from a `.toml` file.

        Raises:
            InputError: If there is none of this name, or the file is not valid.
        """
        path = Path(name_or_path) if name_or_path.endswith(".toml") else known_devices().get(name_or_path)
        if path is None:
            raise InputError(f"{unknown('device', name_or_path, known_devices())} (mobilenas devices lists them)")
        try:
            return cls.from_dict(tomllib.loads(read_text(path, "device file")))
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"{path}: not valid TOML: {error}") from error
        except InputError as error:
            raise InputError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from error


def known_devices() -> dict[str, Path]:
    """Device files by name; a file of the user's hides a shipped one of the same name."""
    folders = (shipped("devices"), home() / "devices")
    return {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
