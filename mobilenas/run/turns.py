"""Turns: how proposals become trials."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from mobilenas.history import Trial
from mobilenas.searchers import Searcher

Told = tuple[Trial, bool]
"""A trial that answers a proposal, and whether it counts as a new evaluation."""


class Turns(ABC):
    """Asks a searcher and evaluates what it proposes, a turn at a time."""

    @property
    def under_way(self) -> int:
        """Evaluations that have begun and not ended."""
        return 0

    @abstractmethod
    def take(self, searcher: Searcher, left: int) -> Iterator[Told]:
        """One turn; every proposal is answered once, in this turn or in a later one.

        Args:
            searcher: Is asked; whoever takes the turn tells it each trial, before the next is taken from the iterator.
            left: New evaluations that are wanted, those under way included; with 0 only these are waited for.

        Raises:
            TargetError: If no network is predicted to meet the target.
            InputError: If the stored history is not this search's.
            StorageError: If the history cannot be written.
        """
