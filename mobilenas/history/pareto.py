"""The Pareto front of latency and accuracy."""

import csv
import io
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from mobilenas.history.trial import Trial
from mobilenas.storage import write_atomically

COLUMNS = ("index", "latency_ms", "low_ms", "high_ms", "accuracy", "macs", "params", "genotype")
CHUNK = 10_000


def pareto_front(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that no other beats: none is as fast and more accurate, or as accurate and faster.

    Failed trials take no part; of equal ones the earliest stays. O(n log n), with few trials in memory.

    Returns:
        By rising latency, and so by rising accuracy.
    """
    rest, front = iter(trials), list[Trial]()
    while part := list(islice(rest, CHUNK)):
        front = _front([*front, *part])
    return front


def _front(trials: list[Trial]) -> list[Trial]:
    front: list[Trial] = []
    best = -1.0
    ranked = sorted(
        ((trial.latency_ms, -trial.accuracy, trial.index, trial) for trial in trials if trial.accuracy is not None),
        key=lambda row: row[:3],
    )
    for _, negative_accuracy, _, trial in ranked:
        if -negative_accuracy > best:
            front.append(trial)
            best = -negative_accuracy
    return front


def write_pareto_csv(path: Path, trials: Iterable[Trial]) -> None:
    """Writes the Pareto front of trials, one a row; choices of a genotype stand apart by spaces.

    Raises:
        InputError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in pareto_front(trials):
        row = [getattr(trial, column) for column in COLUMNS[:-1]]
        writer.writerow([*row, " ".join(map(str, trial.genotype))])
    write_atomically(path, text.getvalue())
