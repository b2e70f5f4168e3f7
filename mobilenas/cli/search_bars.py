"""What a search shows on a terminal while it is under way."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from mobilenas.cli.output import progress_bar

if TYPE_CHECKING:
    from mobilenas.run import Progress

    Bars = tuple[Callable[[int, int], None], Callable[[Progress], None]]


@contextmanager
def search_bars(device: str) -> "Iterator[Bars]":
    """Gives two functions, told how far profiling is and how far the trials are; both are quiet without a terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None, lambda progress: None
        return
    with ExitStack() as trials, ExitStack() as profiling:
        profiled = profiling.enter_context(progress_bar(f"profiling {device}"))
        draw: list[Callable[[Progress], None]] = []

        def watch(progress: "Progress") -> None:
            profiling.close()
            if not draw:
                draw.append(trials.enter_context(_trial_bar()))
            draw[0](progress)

        yield profiled, watch


@contextmanager
def _trial_bar() -> "Iterator[Callable[[Progress], None]]":
    from rich import progress as rich
    from rich.console import Console
    from rich.table import Column

    text = rich.TextColumn("{task.description}", markup=False, table_column=Column())  # wraps on a narrow terminal
    columns = (rich.BarColumn(20), text)
    with rich.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("trials", total=None)

        def draw(progress: "Progress") -> None:
            bar.update(task, completed=progress.evaluated, total=progress.planned, description=trials_line(progress))

        yield draw


def trials_line(progress: "Progress") -> str:
    """How far the trials are, in one line."""
    parts = [f"{progress.evaluated:,} of {progress.planned:,} trials"]
    if progress.best is not None:
        parts.append(f"best {100 * (progress.best.accuracy or 0.0):.2f} % at {progress.best.latency_ms:.3g} ms")
    parts.append(progress.feasible)
    if progress.a_second is not None:
        parts.append(f"{progress.a_second:,.3g} evaluations/s")
    if progress.seconds_left is not None:
        parts.append(f"{duration(progress.seconds_left)} left")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """A time, in the units that a reader wants."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
