"""History: the trials of a run, in a file that only grows."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from mobilenas.errors import InputError, StorageError
from mobilenas.history.trial import Trial
from mobilenas.spaces import Genotype

CHUNK = 200
"""Trials that are written at once: some file systems take all of a write or nothing."""


class History:
    """The trials of `trials.jsonl`, in order.

    Trials stay in the file: memory holds a hash of each one's genotype and where its line begins, about 110 bytes. One
    process writes at a time; the run's lock sees to that. Open it with `History.open`.

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._length, self._end = 0, 0
        self._offsets: dict[int, int] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Reads the history in `path`; a file that is not there is an empty one.

        A last line that a killed process left torn (no newline, or no JSON) is dropped, and cut off the file.

        Raises:
            InputError: If another line is no trial, with its number; or if the file cannot be read or mended.
        """
        history = cls(path)
        try:
            size = path.stat().st_size if path.exists() else 0
            for trial, offset, end in history._read():
                history._note(trial, offset, end)
            if history._end < size:
                os.truncate(path, history._end)
        except OSError as error:
            raise InputError(
                f"cannot read history {path}: {error.strerror or error}; give the folder of a run"
            ) from error
        return history

    def append(self, trial: Trial) -> None:
        """Writes one trial.

        Raises:
            StorageError: If it cannot be written; the file then is as it was.
            ValueError: If its index is not the next.
        """
        self.extend((trial,))

    def extend(self, trials: Iterable[Trial]) -> None:
        """Writes trials.

        Raises:
            StorageError: If they cannot all be written; those that were are in the history.
            ValueError: If an index is not the next; nothing was written then.
        """
        added = list(trials)
        for index, trial in enumerate(added, self._length):
            if trial.index != index:
                raise ValueError(f"the history's next trial is {index}, not {trial.index}")
        for start in range(0, len(added), CHUNK):
            self._write(added[start : start + CHUNK])

    def find(self, genotype: Genotype) -> Trial | None:
        """The first trial of a genotype."""
        offset = self._offsets.get(hash(bytes(genotype)))
        if offset is None:
            return None
        with self.path.open("rb") as file:
            file.seek(offset)
            trial = Trial.from_dict(json.loads(file.readline()))
        return trial if trial.genotype == genotype else None  # else two genotypes of one hash

    def __contains__(self, genotype: object) -> bool:
        """Whether there is a trial of a genotype; two that share a hash of 64 bits are taken for one."""
        return isinstance(genotype, tuple) and hash(bytes(genotype)) in self._offsets

    def best(self, key: Callable[[Trial], float]) -> Trial | None:
        """The trial of the highest `key` among those that did not fail, the earliest of equals; None without any."""
        return max((trial for trial in self if trial.status == "ok"), key=key, default=None)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Trial]:
        return (trial for trial, _, _ in self._read())

    def _note(self, trial: Trial, offset: int, end: int) -> None:
        self._offsets.setdefault(hash(bytes(trial.genotype)), offset)
        self._length += 1
        self._end = end

    def _read(self) -> Iterator[tuple[Trial, int, int]]:
        """Every trial, with where its line begins and ends."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            offset, index, torn = 0, 0, None
            for line in file:
                if torn is not None:
                    raise torn
                data = _parse(line)
                where = f"{self.path} line {index + 1}"
                if data is None:
                    torn = InputError(f"{where}: not valid JSON; restore the file or start a new run")
                    continue
                trial = Trial.from_dict(data, where=where)
                if trial.index != index:
                    raise InputError(f"{where}: index {trial.index} is not accepted; give {index}")
                yield trial, offset, offset + len(line)
                offset, index = offset + len(line), index + 1

    def _write(self, trials: Sequence[Trial]) -> None:
        """Appends trials at once; where not all of them fit, the first ones that do."""
        lines = [trial.to_line() for trial in trials]
        try:
            with self.path.open("ab", buffering=0) as file:
                whole = self._end + file.write(b"".join(lines))
                for trial, line in zip(trials, lines, strict=True):
                    if self._end + len(line) > whole:
                        file.truncate(self._end)
                        raise OSError("the disk is full")
                    self._note(trial, self._end, self._end + len(line))
        except OSError as error:
            raise StorageError(
                f"cannot write {self.path}: {error.strerror or error}; free space there, then resume the run"
            ) from error


def _parse(line: bytes) -> Any | None:
    """The JSON value of a whole line; None if it is torn. NaN and infinities are no JSON."""
    if not line.endswith(b"\n"):
        return None
    try:
        return json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(constant)
