"""Regret at equal evaluations, ours against peers: 3 objectives x 3 budgets on NAS-Bench-Macro.

    pip install -r benchmarks/requirements.txt
    MOBILENAS_TEST_DATA=DATA python benchmarks/search_efficiency.py [--gp-seeds 50] [--gp-budget 200] [--report]

Every searcher gets the seeds from 0 on; where some were not run yet, the table says how many there are. Runs are kept
in results/search_efficiency.jsonl, one a line: a later call makes only those that are missing, `--report` makes none.
The searcher of ours that counts is model_based, as it is by default; the others stand there to compare. model_based and
the peers do not know the budget: they run once, to the largest. Those of ours that size what they build up by it run
once for each. optuna's GP takes minutes for 200 evaluations:
`--gp-budget 50` leaves its larger budgets out; they count as regret 0 in its mean over the cells, a lower bound then.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from _macro import OBJECTIVES, Evaluations, Oracle, load_table
from _peers import PEERS
from _record import record

from mobilenas.searchers import SEARCHERS
from mobilenas.testing.trials import make_trial

BUDGETS = (50, 100, 200)
OURS = ("model_based", "local_search", "regularized_evolution", "random_search")
COUNTS = "model_based"
SIZED = OURS[1:]
"""Those that are told the budget and make use of it."""
SLOW = "optuna GP"
RUNS = Path(__file__).with_name("results") / "search_efficiency.jsonl"
RESAMPLES = 10_000
LEAST_SEEDS = 10
"""Of a peer that is compared with; one with fewer is printed and called too few."""
MARGIN = 0.02
"""Points that the best peer of a cell may be ahead."""
CELLS = tuple(f"{objective} {budget}" for objective in OBJECTIVES for budget in BUDGETS)
Floats = npt.NDArray[np.float64]
Key = tuple[str, str, int, int]
"""Searcher, objective, seed, budget of the run."""


def search(name: str, evaluate: Evaluations, seed: int) -> None:
    """A run of one of our searchers, as the search loop makes it."""
    searcher = SEARCHERS[name](evaluate.oracle.feasible_set(), seed=seed, budget=evaluate.budget)
    asked = 0
    while not evaluate.done:
        genotype = searcher.ask()
        accuracy, reward, latency = evaluate(genotype)
        searcher.tell(make_trial(asked, genotype=genotype, accuracy=accuracy, reward=reward, latency_ms=latency))
        asked += 1


def wanted(seeds: int, gp_seeds: int, gp_budget: int) -> Iterator[Key]:
    """The runs, in an order in which every prefix has about as many seeds of each."""
    for seed in range(seeds):
        for objective in OBJECTIVES:
            for name in OURS:
                for budget in BUDGETS if name != COUNTS else BUDGETS[-1:]:
                    yield name, objective, seed, budget
            for name in PEERS:
                if name != SLOW:
                    yield name, objective, seed, BUDGETS[-1]
    for seed in range(gp_seeds):
        for objective in OBJECTIVES:
            yield SLOW, objective, seed, gp_budget


def read() -> dict[Key, dict[str, float]]:
    """Regrets by budget of every kept run."""
    found: dict[Key, dict[str, float]] = {}
    for line in RUNS.read_text().splitlines() if RUNS.exists() else ():
        run = json.loads(line)
        found[run["searcher"], run["objective"], run["seed"], run["budget"]] = run["regret"]
    return found


def make(key: Key, oracles: dict[str, Oracle]) -> None:
    """Makes one run and keeps it."""
    name, objective, seed, budget = key
    evaluate = Evaluations(oracles[objective], budget)
    start = time.process_time()
    if name in PEERS:
        PEERS[name](evaluate, seed)
    else:
        search(name, evaluate, seed)
    regret = {str(b): round(evaluate.after(b), 6) for b in BUDGETS if b == budget or (b < budget and name not in SIZED)}
    run = {"searcher": name, "objective": objective, "seed": seed, "budget": budget, "regret": regret}
    with RUNS.open("a") as file:
        file.write(json.dumps({**run, "cpu_s": round(time.process_time() - start, 2)}) + "\n")


def cells(runs: dict[Key, dict[str, float]]) -> dict[str, dict[str, Floats]]:
    """Regrets of each searcher's seeds, by cell; of equal searcher, cell and seed the longest run's."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for (name, objective, seed, _), regret in sorted(runs.items()):
        for budget, value in regret.items():
            found.setdefault(name, {}).setdefault(f"{objective} {budget}", {})[seed] = value
    return {
        name: {cell: np.array(list(own[cell].values())) for cell in CELLS if cell in own} for name, own in found.items()
    }


def upper_bound(ours: Floats, theirs: Floats) -> float:
    """95 % bootstrap upper bound of the difference of the means."""
    rng = np.random.default_rng(0)
    means = [v[rng.integers(len(v), size=(RESAMPLES, len(v)))].mean(axis=1) for v in (ours, theirs)]
    return float(np.quantile(means[0] - means[1], 0.95))


def report(runs: dict[Key, dict[str, float]]) -> None:
    """Prints the table and records it."""
    table = cells(runs)
    means = {name: sum(float(v.mean()) for v in own.values()) / len(CELLS) for name, own in table.items()}
    print(f"mean regret in points +- standard error (seeds)\n{'':24}" + "".join(f"{cell:>20}" for cell in CELLS))
    for name, own in table.items():
        row = "".join(f"{_text(own[cell]) if cell in own else '-':>20}" for cell in CELLS)
        print(f"{name:24}{row}   mean {'' if len(own) == len(CELLS) else '>= '}{means[name]:.4f}")
    peers = [name for name in table if name in PEERS and min(map(len, table[name].values())) >= LEAST_SEEDS]
    too_few = [name for name in table if name in PEERS and name not in peers]
    print(f"too few seeds to compare with: {', '.join(too_few) or 'none'}")
    bounds = {}
    for cell in CELLS:
        best = min((peer for peer in peers if cell in table[peer]), key=lambda peer: float(table[peer][cell].mean()))
        bound = upper_bound(table[COUNTS][cell], table[best][cell])
        bounds[cell] = {"best_peer": best, "upper_bound": round(bound, 4), "holds": bound <= MARGIN}
        print(f"{cell:16} ours - {best}: 95 % upper bound {bound:+.4f} {'holds' if bound <= MARGIN else 'FAILS'}")
    figures = {
        "settings": "model_based by default, the same in all cells",
        "mean_regret_of_nine_cells": {name: round(mean, 4) for name, mean in means.items()},
        "lower_bounds_only": [name for name, own in table.items() if len(own) < len(CELLS)],
        "too_few_seeds_to_compare_with": too_few,
        "below_every_compared_peer": all(means[COUNTS] < means[peer] for peer in peers),
        "cells": {
            name: {
                cell: {"mean": round(float(v.mean()), 4), "se": _error(v), "seeds": len(v)} for cell, v in own.items()
            }
            for name, own in table.items()
        },
        "against_the_best_peer": bounds,
    }
    record("search_efficiency", figures)


def _error(values: Floats) -> float | None:
    """Standard error of the mean; None for a single value."""
    return round(float(values.std(ddof=1) / np.sqrt(len(values))), 4) if len(values) > 1 else None


def _text(values: Floats) -> str:
    return f"{values.mean():.4f}+-{_error(values)} ({len(values)})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--gp-seeds", type=int, default=50)
    parser.add_argument("--gp-budget", type=int, default=BUDGETS[-1], choices=BUDGETS)
    parser.add_argument("--pause-while", type=Path, help="wait while this file exists")
    parser.add_argument("--only", nargs="+", metavar="SEARCHER", help="make runs of these only")
    parser.add_argument("--report", action="store_true")
    arguments = parser.parse_args()
    if not arguments.report:
        table, done = load_table(), read()
        oracles = {objective: Oracle.of(objective, table) for objective in OBJECTIVES}
        for key in wanted(arguments.seeds, arguments.gp_seeds, arguments.gp_budget):
            while arguments.pause_while and arguments.pause_while.exists():
                time.sleep(5)
            if key not in done and (not arguments.only or key[0] in arguments.only):
                make(key, oracles)
    if not arguments.only:
        report(read())


if __name__ == "__main__":
    main()
