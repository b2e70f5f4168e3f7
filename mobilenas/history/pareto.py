"""The Pareto front of latency and accuracy, and of a third figure where one is wanted."""

import csv
import io
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mobilenas.history.trial import Trial
from mobilenas.storage import write_atomically

COLUMNS = ("index", "latency_ms", "low_ms", "high_ms", "accuracy", "macs", "params", "genotype")
CHUNK = 10_000


@dataclass(frozen=True)
class Third:
    """A figure that counts besides accuracy and latency, the less of it the better.

    Attributes:
        column: What `pareto.csv` calls it.
        of: Its values for trials, in their order.
    """

    column: str
    of: Callable[[Sequence[Trial]], Sequence[float]]


def pareto_front(trials: Iterable[Trial], third: Third | None = None) -> list[Trial]:
    """The trials that no other beats: none is as fast, as accurate and as small, and better in one of them.

    Failed trials take no part; of equal ones the earliest stays. O(n log n) as long as the front is small, with few
    trials in memory.

    Args:
        trials: The trials.
        third: What counts besides accuracy and latency; by default nothing does.

    Returns:
        By rising latency, and so, where nothing else counts, by rising accuracy.
    """
    rest, front = iter(trials), list[Trial]()
    while part := list(islice(rest, CHUNK)):
        front = _front([*front, *part], third)
    return front


def _front(trials: list[Trial], third: Third | None) -> list[Trial]:
    fine = [trial for trial in trials if trial.accuracy is not None]
    figures = third.of(fine) if third is not None and fine else [0.0] * len(fine)

    def rank(row: tuple[Trial, float]) -> tuple[float, float, float, int]:
        trial, figure = row
        return trial.latency_ms, -(trial.accuracy or 0.0), figure, trial.index

    front: list[Trial] = []
    sizes, accuracies = list[float](), list[float]()  # the steps of what is as fast as the next trial; both rise
    for trial, size in sorted(zip(fine, figures, strict=True), key=rank):
        negative_accuracy = -(trial.accuracy or 0.0)
        smaller = bisect_right(sizes, size)
        if smaller and accuracies[smaller - 1] >= -negative_accuracy:
            continue
        front.append(trial)
        start = stop = bisect_left(sizes, size)
        while stop < len(sizes) and accuracies[stop] <= -negative_accuracy:
            stop += 1
        sizes[start:stop], accuracies[start:stop] = [size], [-negative_accuracy]
    return front


def write_pareto_csv(path: Path, trials: Iterable[Trial], third: Third | None = None) -> None:
    """Writes the Pareto front of trials, one a row; choices of a genotype stand apart by spaces.

    Args:
        path: The file.
        trials: The trials.
        third: As of `pareto_front`; where no column has it yet, it has one of its own.

    Raises:
        InputError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    front = pareto_front(trials, third)
    own = third if third is not None and third.column not in COLUMNS else None
    writer.writerow(COLUMNS if own is None else [*COLUMNS, own.column])
    figures = [[]] * len(front) if own is None or not front else [[figure] for figure in own.of(front)]
    for trial, last in zip(front, figures, strict=True):
        row = [getattr(trial, column) for column in COLUMNS[:-1]]
        writer.writerow([*row, " ".join(map(str, trial.genotype)), *last])
    write_atomically(path, text.getvalue())
