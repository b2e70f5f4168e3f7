"""Replay: a history that a run goes through again, and then goes on with."""

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from mobilenas.errors import InputError
from mobilenas.history import History, Third, Trial
from mobilenas.run.standing import Standing
from mobilenas.spaces import Genotype


class Replay:
    """The trials that a run has come to: first those that an earlier process wrote down, then its own.

    A resumed run takes the same way again; what the history holds already is taken from there, in its order.

    Args:
        history: The run's history.
        third: What counts in the Pareto front besides accuracy and latency.

    Attributes:
        standing: What the trials so far amount to.
    """

    def __init__(self, history: History, third: Third | None = None) -> None:
        self._history = history
        self.standing = Standing(third)
        self._reached, self._stored = 0, len(history)
        self._rest: Iterator[Trial] = islice(history, self._stored)

    def __len__(self) -> int:
        return self._reached

    def __iter__(self) -> Iterator[Trial]:
        """The trials so far, in order, from the history's file."""
        return islice(self._history, self._reached)

    @property
    def left(self) -> int:
        """Trials of the history that the run has not come to yet."""
        return max(0, self._stored - self._reached)

    def find(self, genotype: Genotype) -> Trial | None:
        """The trial of a genotype, if there was one so far."""
        trial = self._history.find(genotype)
        return trial if trial is not None and trial.index < self._reached else None

    def knows(self, genotype: Genotype) -> bool:
        """Whether there was a trial of a genotype so far."""
        return self.find(genotype) is not None if self.left else genotype in self._history

    def next(self, expected: Collection[Genotype]) -> Trial:
        """The next stored trial.

        Args:
            expected: The genotypes one of which must come now.

        Raises:
            InputError: If another one comes: the history is not this search's.
        """
        trial = next(self._rest)
        if trial.genotype not in expected:
            raise InputError(
                f"trial {trial.index} of the history is not what this search proposes; it was made by another version "
                "or with another table: start a new run with --out"
            )
        self._reached += 1
        self.standing.add(trial)
        if not self.left:
            self._rest = iter(())  # its file is open otherwise, as long as the run lasts
        return trial

    def extend(self, trials: Sequence[Trial]) -> None:
        """Writes new trials down.

        Raises:
            StorageError: If they cannot be written.
        """
        before = len(self._history)
        self._history.extend(trials)
        self._reached += len(self._history) - before
        for trial in trials:
            self.standing.add(trial)
