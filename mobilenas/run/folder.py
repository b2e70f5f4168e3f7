"""RunFolder: what a search leaves on disk, and how it goes on from there."""

import datetime
import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mobilenas.errors import InputError, StorageError, TargetError, shorten
from mobilenas.run.settings import SearchSettings
from mobilenas.storage import exclusive, read_json, write_json

OWN_FILES = ("trials.jsonl", "journal.jsonl", "space.json", "latency_table*.csv", "log.txt")
"""What a run begins with, writes before its first trial, and would read again; besides `run.json`."""


class RunFolder:
    """One run's folder, locked while it is open.

    `journal.jsonl` holds what the outside world answered (measurements, final accuracies) under a key: a resumed run
    reads it there instead of asking again, so that it takes the same way.

    Args:
        path: The folder.
        settings: A new run's settings; None resumes the run that is there.

    Raises:
        InputError: If there is nothing to resume, a run or a file that it would take for its own is there already, or
            the folder cannot be written; if another process has the run open.
    """

    def __init__(self, path: Path, settings: SearchSettings | None) -> None:
        self.path = path
        self._stack = ExitStack()
        self._new = settings
        self._answers: dict[str, Any] = {}
        self._made: list[Path] = []

    def __enter__(self) -> Self:
        if self._new is None and not self.run_file.exists():
            raise InputError(f"{self.path} holds no run (run.json is missing); give the folder of a run to --resume")
        if self._new is not None and self.run_file.exists():
            raise InputError(self._is_taken(self._new))
        if self._new is not None and (own := next(self._own_files(), None)):
            raise InputError(f"{self.path} holds {own.name}, which a run would take for its own; give another --out")
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self._stack.enter_context(exclusive(self.path / ".lock", f"run {self.path}"))
        try:
            if self._new is not None:
                write_json(self.run_file, {"settings": self._new.to_dict(), "versions": _versions()})
            self.settings = self._read_settings()
            self._read_journal()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        if isinstance(error, StorageError):  # its text says to resume the run
            return
        if self._new is not None and isinstance(error, InputError | TargetError) and not self._has_trials():
            self._forget()

    def _has_trials(self) -> bool:
        return self.trials_file.exists() and self.trials_file.stat().st_size > 0

    def _forget(self) -> None:
        """A new run that its input ended before the first trial leaves nothing: its folder can be given again."""
        for path in (*self._own_files(), self.path / ".lock", self.run_file):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # the user has other files there
            for folder in self._made or [self.path]:
                folder.rmdir()

    def _own_files(self) -> Iterator[Path]:
        return (path for pattern in OWN_FILES for path in self.path.glob(pattern))

    @property
    def run_file(self) -> Path:
        """Settings and versions."""
        return self.path / "run.json"

    @property
    def trials_file(self) -> Path:
        """The history, one trial a line."""
        return self.path / "trials.jsonl"

    @property
    def table_file(self) -> Path:
        """The latency table as it was when the run began."""
        return self.path / "latency_table.csv"

    def checkpoint(self, name: str) -> Path:
        """A file under `checkpoints/`."""
        return self.path / "checkpoints" / f"{name}.safetensors"

    def once(self, key: str, ask: Callable[[], Any], accepts: Callable[[Any], bool] = lambda answer: True) -> Any:
        """The journalled answer under `key`; asks and writes it down if there is none.

        Args:
            key: Names the question; the same in an undisturbed and a resumed run.
            ask: Gives the answer as JSON values.
            accepts: Whether a journalled answer can be one of the question's.

        Raises:
            InputError: If the journal was damaged.
            StorageError: If it cannot be written.
        """
        if key not in self._answers:
            answer = ask()
            _append(self.path / "journal.jsonl", {"key": key, "answer": answer})
            self._answers[key] = answer
        if not accepts(self._answers[key]):
            raise InputError(
                f"{self.path / 'journal.jsonl'}: {key}: {shorten(self._answers[key])} is not accepted; "
                "start a new run with --out"
            )
        return self._answers[key]

    def has(self, key: str) -> bool:
        """Whether there is a journalled answer under `key`."""
        return key in self._answers

    def log(self, text: str) -> None:
        """A line in `log.txt`, with the time.

        Raises:
            StorageError: If it cannot be written.
        """
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        path = self.path / "log.txt"
        try:
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{now} {text}\n")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}; mend that, then resume the run") from error

    def _read_settings(self) -> SearchSettings:
        document = read_json(self.run_file, "run")
        settings = document.get("settings") if isinstance(document, dict) else document
        return SearchSettings.from_dict(settings, where=f"{self.run_file}: settings")

    def _is_taken(self, new: SearchSettings) -> str:
        """Why a new run cannot begin here. A run keeps its settings: which networks it tries depends on them."""
        try:
            old = self._read_settings()
        except InputError:
            old = new
        names = [field.name for field in fields(new) if getattr(old, field.name) != getattr(new, field.name)]
        if not names:
            return f"{self.path} holds a run already; give --resume {self.path}, or another --out"
        was, now = (", ".join(f"{name} {getattr(each, name)}" for name in names) for each in (old, new))
        return (
            f"{self.path} holds a run with {was}, and its trials were chosen by that; give another --out for {now}, "
            f"or --resume {self.path} for the old run"
        )

    def _read_journal(self) -> None:
        path = self.path / "journal.jsonl"
        if not path.exists():
            return
        data = path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            os.truncate(path, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entry = json.loads(line)
                self._answers[entry["key"]] = entry["answer"]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{path} line {number}: not a journal entry; restore the file") from error


def _append(path: Path, entry: dict[str, Any]) -> None:
    try:
        with path.open("ab") as file:
            file.write(json.dumps(entry, allow_nan=False).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}; free space there, then resume the run") from error


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in ("mobilenas", "ai-edge-litert", "numpy", "torch", "torchvision"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
