"""The Pareto front of latency and accuracy, and of a third figure where one is wanted."""

import csv
import io
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Literal

from mobilenas.history.trial import Trial
from mobilenas.storage import write_atomically

COLUMNS = ("index", "latency_ms", "low_ms", "high_ms", "accuracy", "macs", "params", "genotype")
CHUNK = 10_000
Third = Literal["macs", "params"]


def pareto_front(trials: Iterable[Trial], third: Third | None = None) -> list[Trial]:
    """The trials that no other beats: none is as fast, as accurate and as small, and better in one of them.

    Failed trials take no part; of equal ones the earliest stays. O(n log n) as long as the front is small, with few
    trials in memory.

    Args:
        trials: The trials.
        third: A figure that counts besides accuracy and latency, the less of it the better; by default none does.

    Returns:
        By rising latency, and so, where nothing else counts, by rising accuracy.
    """
    rest, front = iter(trials), list[Trial]()
    while part := list(islice(rest, CHUNK)):
        front = _front([*front, *part], third)
    return front


def _front(trials: list[Trial], third: Third | None) -> list[Trial]:
    def rank(trial: Trial) -> tuple[float, float, float, int]:
        return trial.latency_ms, -(trial.accuracy or 0.0), 0.0 if third is None else getattr(trial, third), trial.index

    front: list[Trial] = []
    sizes, accuracies = list[float](), list[float]()  # the steps of what is as fast as the next trial; both rise
    for trial in sorted((trial for trial in trials if trial.accuracy is not None), key=rank):
        _, negative_accuracy, size, _ = rank(trial)
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
        third: As of `pareto_front`.

    Raises:
        InputError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in pareto_front(trials, third):
        row = [getattr(trial, column) for column in COLUMNS[:-1]]
        writer.writerow([*row, " ".join(map(str, trial.genotype))])
    write_atomically(path, text.getvalue())
