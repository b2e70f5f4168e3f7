"""Seconds of searcher a proposal, and trials a second through the history.

    python benchmarks/search_speed.py [--trials 1000000]

Searchers: CPU seconds of `ask` and `tell` an evaluation, over 400 evaluations and over the last 40 of them, on the
MnasNet space and on that of the ImageNet surrogate. Trials: the whole search loop with the ImageNet surrogate and
random search, every trial a line of the history; latencies come from a made-up table.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import record

from mobilenas.evaluators.imagenet_surrogate import ImageNetSurrogate
from mobilenas.history import History
from mobilenas.latency import Calibration, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.objectives import FeasibleSet
from mobilenas.run import SearchSettings
from mobilenas.run.trials import TrialLoop
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import SearchSpace
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace
from mobilenas.testing.trials import make_trial

EVALUATIONS, LAST = 400, 40
BLOCK = 100_000


def overhead(name: str, space: SearchSpace) -> dict[str, float]:
    """CPU seconds an evaluation; the accuracy is a sum over decisions and pairs of them."""
    rng = np.random.default_rng(0)
    own = [rng.normal(size=size) for size in space.sizes]
    pairs = [0.5 * rng.normal(size=(a, b)) for a, b in zip(space.sizes, space.sizes[1:], strict=False)]
    searcher = SEARCHERS[name](FeasibleSet.all(space), seed=0, budget=EVALUATIONS)
    seconds = []
    for index in range(EVALUATIONS):
        start = time.process_time()
        genotype = searcher.ask()
        asked = time.process_time() - start
        total = sum(values[choice] for values, choice in zip(own, genotype, strict=True))
        total += sum(pair[a, b] for pair, a, b in zip(pairs, genotype, genotype[1:], strict=False))
        trial = make_trial(index, genotype=genotype, accuracy=float(1 / (1 + np.exp(-0.1 * total))))
        start = time.process_time()
        searcher.tell(trial)
        seconds.append(asked + time.process_time() - start)
    return {"mean_s": round(float(np.mean(seconds)), 4), "last_40_s": round(float(np.mean(seconds[-LAST:])), 4)}


def made_up_predictor(space: SearchSpace) -> LatencyPredictor:
    """A microsecond an op and a nanosecond a hundred multiply-adds."""
    rows = {op: Measurement(1 + op.macs / 1e5) for op in sorted(space.distinct_ops(), key=str)}
    calibration = Calibration(1.0, 0.0, 0.0, 0.02, 10)
    return LatencyPredictor(LatencyTable(TableInfo(device="made-up"), rows, calibration=calibration))


def resident_bytes() -> int:
    """Memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def throughput(trials: int) -> dict[str, Any]:
    """Trials a second of CPU time, and how the process grows."""
    space = MnasNetProxySpace()
    with tempfile.TemporaryDirectory() as folder:
        loop = TrialLoop(
            settings=SearchSettings(target_ms=4.0, searcher="random_search", trials=trials),
            space=space,
            predictor=made_up_predictor(space),
            evaluator=ImageNetSurrogate(),
            history=History.open(Path(folder) / "trials.jsonl"),
            note=lambda text: None,
        )
        loop.run(2000)  # look-up tables are built
        before, peak, start, wall = resident_bytes(), 0, time.process_time(), time.monotonic()
        for _ in range(0, trials, BLOCK):
            loop.run(min(BLOCK, trials))
            peak = max(peak, resident_bytes())
        seconds, elapsed = time.process_time() - start, time.monotonic() - wall
        done = len(loop) - 2000
        size = (Path(folder) / "trials.jsonl").stat().st_size
    return {
        "trials": done,
        "trials_a_cpu_second": round(done / seconds),
        "trials_a_second": round(done / elapsed),
        "resident_bytes_a_trial": round((peak - before) / done, 1),
        "file_bytes_a_trial": round(size / (done + 2000), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=1_000_000)
    arguments = parser.parse_args()
    figures: dict[str, Any] = {"throughput": throughput(arguments.trials)}
    for space in (MnasNetProxySpace(), MnasNetSpace()):
        for name in ("model_based", "reinforce", "ppo", "nsga2", "local_search", "regularized_evolution"):
            figures[f"{name} on {space.name}"] = overhead(name, space)
    record("search_speed", figures)


if __name__ == "__main__":
    main()
