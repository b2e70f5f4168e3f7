"""Sysroot: a folder that `build` made, and how a program is run in it."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mobilenas.errors import DeviceError, InputError
from mobilenas.settings import Settings
from mobilenas.storage import home, read_json, write_atomically

QEMU = "qemu-aarch64"
CPU = "cortex-a76"
SET_UP = "run: python -m mobilenas.runners.sysroot (in a checkout: make sysroot)"
DESCRIPTION = "sysroot.json"
COUNTER_VARIABLE = "MOBILENAS_COUNTER"


@dataclass(frozen=True, kw_only=True)
class Contents(Settings):
    """What a sysroot says of itself.

    Attributes:
        python: Path of its Python, in the folder.
        runtime: Name and version of the TFLite runtime.
        counter: Path of the plugin, in the folder.
        qemu: Version of QEMU that the plugin was compiled for: the number before the first point.
    """

    python: str
    runtime: str
    counter: str
    qemu: int


@dataclass(frozen=True)
class Sysroot:
    """An arm64 Python with LiteRT.

    Attributes:
        folder: Absolute path.
        contents: What is in it.
        qemu: Path of the emulator.
        cpu: The processor that it emulates.
    """

    folder: Path
    contents: Contents
    qemu: str
    cpu: str = CPU

    @staticmethod
    def default_folder() -> Path:
        """Where one is looked for unless a device says otherwise."""
        return home() / "sysroots" / "aarch64"

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Reads what is in a folder and finds the emulator.

        Raises:
            DeviceError: If one of the two is absent, or the folder is damaged.
        """
        where = (folder or cls.default_folder()).absolute()
        qemu = shutil.which(QEMU)
        if qemu is None:
            raise DeviceError(f"{QEMU} is not on PATH; install it (Debian: apt-get install qemu-user)")
        try:
            (where / DESCRIPTION).stat()
        except OSError as error:
            raise DeviceError(f"no aarch64 sysroot in {where}; {SET_UP}") from error
        try:
            contents = Contents.from_dict(read_json(where / DESCRIPTION), where=DESCRIPTION)
        except InputError as error:
            raise DeviceError(f"the aarch64 sysroot in {where} is damaged: {error}; {SET_UP}") from error
        return cls(where, contents, qemu)

    def save(self) -> None:
        """Writes down what is in the folder."""
        write_atomically(self.folder / DESCRIPTION, json.dumps(self.contents.to_dict(), indent=2) + "\n")

    def command(self) -> list[str]:
        """How Python is started under the emulator, its instructions counted."""
        plugin = str(self.folder / self.contents.counter).replace(",", ",,")  # as QEMU reads a comma
        emulator = [self.qemu, "-L", str(self.folder), "-cpu", self.cpu, "-seed", "0", "-plugin", plugin]
        return [*emulator, str(self.folder / self.contents.python)]

    def environment(self, counter: Path) -> Mapping[str, str]:
        """Its variables: nothing of this machine's, and the same in every run.

        Args:
            counter: File of eight bytes at least; the number of instructions so far is in its first eight.
        """
        return {
            COUNTER_VARIABLE: str(counter),
            "LC_ALL": "C.UTF-8",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
        }
