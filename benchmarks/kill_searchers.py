"""Searches that SIGKILL ends at random moments, each resumed: twenty for each searcher, and with two workers.

    python benchmarks/kill_searchers.py [--kills 20] [--trials 30] [--searcher NAME ...]

Each search is a process of its own, forked from this one, which has loaded everything: so the moments fall into the
search and not into its start. An evaluation draws its accuracy from its seed and takes 20 ms, so that most moments fall
between trials. Without workers a resumed run must leave the files of an undisturbed one, byte for byte. With two
workers the order in which evaluations end is chance: there the history must be whole (no trial missing, none twice, as
many as were asked for), and no worker may be left.
"""

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from _record import record

from mobilenas.arch import Arch
from mobilenas.evaluators import EVALUATORS, Evaluation, Evaluator
from mobilenas.history import History
from mobilenas.run import SearchSettings, search
from mobilenas.searchers import SEARCHERS

SAME = ("trials.jsonl", "result.json", "best.json", "best.tflite", "pareto.csv", "latency_table.csv", "journal.jsonl")
EVALUATION_S = 0.02
WORKERS, WITH_WORKERS = 2, ("model_based", "regularized_evolution")
"""How many workers, and the searchers that are tried with them: what workers do does not depend on the searcher."""


class Drawn(Evaluator):
    """An accuracy that follows from the seed, after some milliseconds."""

    needs_data = False

    @property
    def settings(self) -> Mapping[str, object]:
        return {"evaluator": "drawn"}

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        time.sleep(EVALUATION_S)
        return Evaluation(accuracy=float(np.random.default_rng(seed).uniform()))


def settings(searcher: str, trials: int, workers: int | None) -> SearchSettings:
    return SearchSettings(
        target_ms=75.0,
        device="pixel1",
        space="mnasnet_proxy",
        searcher=searcher,
        evaluator="drawn",
        reward="strict",
        trials=trials,
        workers=workers,
    )


def run(folder: Path, chosen: SearchSettings) -> None:
    """Begins the search, or goes on with it."""
    search(folder, None if (folder / "run.json").exists() else chosen)


def started(folder: Path, chosen: SearchSettings) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=run, args=(folder, chosen))
    process.start()
    return process


def content(folder: Path) -> list[bytes | None]:
    return [(folder / name).read_bytes() if (folder / name).exists() else None for name in SAME]


def is_whole(folder: Path, trials: int) -> bool:
    """Whether the history has as many evaluations as were asked for, each once, and the run its result."""
    history = list(History.open(folder / "trials.jsonl"))
    fresh = [trial.genotype for trial in history if not trial.cached]
    return (folder / "result.json").exists() and len(fresh) == len(set(fresh)) == trials


def children() -> int:
    """Processes of this program that are alive, this one left out; workers of a killed search too."""
    own = os.getpgrp()
    found = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, group = path.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # it has just ended
        found += int(group) == own and state != "Z"
    return found - 1


def kills(chosen: SearchSettings, count: int, folder: Path, is_right: Callable[[Path], bool]) -> dict[str, Any]:
    """Kills so many searches, resumes each, and says how many ended as they should."""
    begin = time.monotonic()
    whole = started(folder / "whole", chosen)
    whole.join()
    seconds = time.monotonic() - begin
    if whole.exitcode != 0 or not is_right(folder / "whole"):
        raise SystemExit(f"the undisturbed search of {chosen.searcher} failed")
    moments, killed, right, trials_at_death, left = random.Random(0), 0, 0, [], 0
    for number in range(10 * count):
        if killed == count:
            break
        path = folder / str(number)
        process = started(path, chosen)
        process.join(moments.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            continue  # it was over before
        killed += 1
        lines = (path / "trials.jsonl").read_bytes() if (path / "trials.jsonl").exists() else b""
        trials_at_death.append(lines.count(b"\n"))
        resumed = started(path, chosen)
        resumed.join()
        right += resumed.exitcode == 0 and is_right(path)
        time.sleep(0.5 if chosen.workers else 0)
        left += children()
    figures = {
        "kills": killed,
        "ended_as_they_should": right,
        "trials_at_death": sorted(trials_at_death),
        "processes_left": left,
        "undisturbed_s": round(seconds, 1),
    }
    print(chosen.searcher, chosen.workers or "", figures, flush=True)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--searcher", nargs="+", default=sorted(SEARCHERS))
    arguments = parser.parse_args()
    EVALUATORS.add("drawn", Drawn)
    for name in arguments.searcher:
        SEARCHERS[name]  # loads torch, where it needs that
    if os.getpgrp() != os.getpid():
        os.setpgrp()  # all that this starts is one group
    figures: dict[str, Any] = {"trials": arguments.trials}
    for name in arguments.searcher:
        for workers in (None, WORKERS) if name in WITH_WORKERS else (None,):
            with tempfile.TemporaryDirectory() as folder:
                whole = Path(folder) / "whole"

                def is_right(path: Path, workers: int | None = workers, whole: Path = whole) -> bool:
                    return is_whole(path, arguments.trials) if workers else content(path) == content(whole)

                chosen = settings(name, arguments.trials, workers)
                key = name if workers is None else f"{name}, {workers} workers"
                figures[key] = kills(chosen, arguments.kills, Path(folder), is_right)
    record("kill_searchers", figures)


if __name__ == "__main__":
    main()
