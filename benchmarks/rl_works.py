"""REINFORCE and PPO on NAS-Bench-Macro: they find the optimum, they learn, and with learning rate 0 they do not.

    MOBILENAS_TEST_DATA=DATA python benchmarks/rl_works.py [--seeds 50] [--first 0] [--report]

Samples count, repeats included. The settings are the searchers' defaults. REINFORCE's were chosen before this ran;
PPO's learning rate was lowered after two of its seeds had been seen here, and both seeds count. A controller passes
where at least 85 % of its seeds come within 0.1 points of the optimum in 500 samples, and the median over seeds of the
mean accuracy of the last 100 of 1,000 samples is at least 92.4 %. With learning rate 0 both are the same controller, as
it was made, so one stands for both. Seeds from 100 on are counted apart: they were run after all settings stood in the
code, and nobody had seen one of them. Runs are kept in results/rl_works.jsonl: a later call makes only those that are
missing.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _macro import Evaluations, Oracle, load_table
from _record import record

from mobilenas.searchers.ppo import DEFAULTS as PPO_DEFAULTS
from mobilenas.searchers.ppo import PPO
from mobilenas.searchers.reinforce import DEFAULTS as REINFORCE_DEFAULTS
from mobilenas.searchers.reinforce import Reinforce
from mobilenas.testing.trials import make_trial

SAMPLES, FIRST, LAST = 1000, 500, 100
NEAR_POINTS, SHARE, LEARNT_PERCENT = 0.1, 0.85, 92.4
FRESH = 100
"""First of the seeds that nobody had seen when the settings were fixed."""
RUNS = Path(__file__).with_name("results") / "rl_works.jsonl"
SEARCHERS = {
    "reinforce": (Reinforce, REINFORCE_DEFAULTS),
    "ppo": (PPO, PPO_DEFAULTS),
    "learning rate 0": (Reinforce, dataclasses.replace(REINFORCE_DEFAULTS, learning_rate=0.0)),
}


def run(name: str, seed: int, oracle: Oracle) -> dict[str, Any]:
    """One run: regret after 500 and 1,000 samples, mean accuracy of the last 100, and how many networks were new."""
    cls, settings = SEARCHERS[name]
    searcher = cls(oracle.feasible_set(), seed=seed, settings=settings)
    evaluate = Evaluations(oracle, SAMPLES)
    accuracies: list[float] = []
    while len(accuracies) < SAMPLES:
        for genotype in searcher.ask_batch(settings.batch):
            accuracy, reward, latency = evaluate(genotype)
            index = len(accuracies)
            accuracies.append(100 * accuracy)
            searcher.tell(make_trial(index, genotype=genotype, accuracy=accuracy, reward=reward, latency_ms=latency))
    return {
        "regret_500": 100 * oracle.best - max(accuracies[:FIRST]),
        "regret_1000": 100 * oracle.best - max(accuracies),
        "last_100": float(np.mean(accuracies[-LAST:])),
        "distinct": len(evaluate.regrets),
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """What some seeds of one controller reached."""
    near = {key: float(np.mean([entry[key] <= NEAR_POINTS for entry in runs])) for key in ("regret_500", "regret_1000")}
    learnt = float(np.median([entry["last_100"] for entry in runs]))
    return {
        "seeds": len(runs),
        "within_0.1_points_in_500_samples": round(near["regret_500"], 3),
        "within_0.1_points_in_1000_samples": round(near["regret_1000"], 3),
        "median_of_mean_accuracy_of_last_100": round(learnt, 3),
        "median_distinct_networks": float(np.median([entry["distinct"] for entry in runs])),
        "passes": near["regret_500"] >= SHARE and learnt >= LEARNT_PERCENT,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--report", action="store_true", help="make no runs")
    parser.add_argument("--only", nargs="+", metavar="SEARCHER", help="make runs of these only")
    parser.add_argument("--pause-while", type=Path, help="wait while this file exists")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    oracle = Oracle.of("accuracy", load_table())
    runs = {}
    for line in RUNS.read_text().splitlines() if RUNS.exists() else ():
        entry = json.loads(line)
        runs[entry["searcher"], entry["seed"]] = entry
    for seed in range(arguments.first, arguments.first + (0 if arguments.report else arguments.seeds)):
        for name in SEARCHERS:
            while arguments.pause_while and arguments.pause_while.exists():
                time.sleep(5)
            if (name, seed) not in runs and (not arguments.only or name in arguments.only):
                runs[name, seed] = {"searcher": name, "seed": seed, **run(name, seed, oracle)}
                with RUNS.open("a") as file:
                    file.write(json.dumps(runs[name, seed]) + "\n")
    if arguments.only:
        return
    figures: dict[str, Any] = {}
    for name, (_, settings) in SEARCHERS.items():
        own = [entry for (searcher, _), entry in runs.items() if searcher == name]
        figures[name] = {"settings": dataclasses.asdict(settings), **summary([e for e in own if e["seed"] < FRESH])}
        if fresh := [entry for entry in own if entry["seed"] >= FRESH]:
            figures[f"{name}, fresh seeds"] = summary(fresh)
    record("rl_works", figures)


if __name__ == "__main__":
    main()
