"""Standing: what a search needs to know of its trials, kept up while they come."""

from bisect import bisect_right
from heapq import nsmallest

from mobilenas.history import Third, Trial, pareto_front

KEPT = 64
"""The most accurate trials that are at hand without reading the history again."""
CHUNK = 2000
"""Trials that are sorted in at once."""


class Standing:
    """The count, the leaders and the Pareto front of trials, in memory that does not grow with them.

    Args:
        third: What counts in the front besides accuracy and latency.

    Attributes:
        evaluated: Distinct evaluations.
        seconds: What they took.
        third: As given.
    """

    def __init__(self, third: Third | None = None) -> None:
        self.evaluated, self.seconds = 0, 0.0
        self.third = third
        self._leaders, self._front = list[Trial](), list[Trial]()
        self._new: list[Trial] = []
        self._least = 0.0  # accuracy of a leader
        self._latencies_ms, self._accuracies = list[float](), list[float]()  # of the front

    def add(self, trial: Trial) -> None:
        """Takes the next trial."""
        if not trial.cached:
            self.evaluated += 1
            self.seconds += trial.seconds
        if trial.accuracy is not None and self._may_count(trial.accuracy, trial.latency_ms):
            self._new.append(trial)
            if len(self._new) == CHUNK:
                self._sort_in()

    def _may_count(self, accuracy: float, latency_ms: float) -> bool:
        """Whether a trial can be a leader or on the front, by what was sorted in so far: most cannot."""
        if self.third is not None or accuracy >= self._least:
            return True
        faster = bisect_right(self._latencies_ms, latency_ms)
        return not faster or self._accuracies[faster - 1] < accuracy

    @property
    def leaders(self) -> list[Trial]:
        """The most accurate trials, the best first, of equals the faster; all that did not fail, if they are few."""
        self._sort_in()
        return self._leaders

    @property
    def holds_all(self) -> bool:
        """Whether `leaders` are all trials that did not fail."""
        return len(self.leaders) < KEPT

    @property
    def front(self) -> list[Trial]:
        """The trials that no other beats."""
        self._sort_in()
        return self._front

    def _sort_in(self) -> None:
        if self._new:
            self._leaders = nsmallest(KEPT, [*self._leaders, *self._new], key=rank)
            self._front = pareto_front([*self._front, *self._new], self.third)
            self._new = []
            if len(self._leaders) == KEPT:
                self._least = self._leaders[-1].accuracy or 0.0
            self._latencies_ms = [trial.latency_ms for trial in self._front]
            self._accuracies = [trial.accuracy or 0.0 for trial in self._front]


def rank(trial: Trial) -> tuple[float, float, int]:
    """Trials that did not fail, sorted by this, begin with the winner."""
    return -(trial.accuracy or 0.0), trial.latency_ms, trial.index
