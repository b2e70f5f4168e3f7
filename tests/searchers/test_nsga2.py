import json
import math

import numpy as np
import numpy.typing as npt
import pytest

from mobilenas.errors import FieldError
from mobilenas.history import pareto_front
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.nsga2 import Member, Nsga2, crowding_distances, fronts, survivors
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.searchers.searcher import Searcher
from mobilenas.spaces import Genotypes
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace
from mobilenas.testing.trials import make_trial

FEASIBLE = FeasibleSet.all(NasBenchMacroSpace())
#  accuracy 3 |a         e
#           2 |   b   d
#           1 |c        f          latencies 1 2 3 4 5; the front is a; behind it b and c; then d and e; f is last
POINTS = {"a": (3, 1), "b": (2, 2), "c": (1, 1), "d": (2, 4), "e": (3, 5), "f": (1, 5)}


def test_fronts_by_hand() -> None:
    # a beats all; without it b (2, 2), c (1, 1) and e (3, 5) beat each other in nothing; then d (2, 4); then f (1, 5)
    accuracies, latencies = np.array(list(POINTS.values()), float).T
    assert dict(zip(POINTS, fronts(accuracies, latencies), strict=True)) == {
        "a": 0,
        "b": 1,
        "c": 1,
        "e": 1,
        "d": 2,
        "f": 3,
    }


def test_equal_points_share_a_front() -> None:
    assert fronts(np.array([1.0, 1.0, 0.5]), np.array([2.0, 2.0, 2.0])) == [0, 0, 1]


def test_crowding_by_hand() -> None:
    # accuracies 0, .1, .6, 1 and latencies 0, 2, 3, 4: the second has (.6 - 0) / 1 + (3 - 0) / 4, the third .9 + 2 / 4
    found = crowding_distances(np.array([0.0, 0.1, 0.6, 1.0]), np.array([0.0, 2.0, 3.0, 4.0]))
    assert found.tolist() == pytest.approx([math.inf, 1.35, 1.4, math.inf])


def test_of_the_last_front_the_most_alone_survive() -> None:
    members: list[Member] = [
        ((i,), (accuracy, ms)) for i, (accuracy, ms) in enumerate(((0, 0), (0.1, 2), (0.6, 3), (1, 4)))
    ]
    members.append(((4,), (-1.0, 0.5)))
    assert sorted(genotype[0] for genotype, _ in survivors(members, 3)) == [0, 2, 3]


def hypervolume(searcher: Searcher, seed: int) -> float:
    """Of the front over (0, 10), where accuracy is a mean of choices and latency of their squares, with a twist."""
    trials = []
    for index in range(200):
        genotype = searcher.ask()
        accuracy = sum(genotype) / 16
        latency_ms = 0.5 + sum((1 + i % 3) * choice**2 for i, choice in enumerate(genotype)) / 8
        trials.append(make_trial(index, genotype=genotype, accuracy=accuracy, latency_ms=latency_ms))
        searcher.tell(trials[-1])
    area, right = 0.0, 10.0
    for trial in reversed(pareto_front(trials)):
        area += (right - trial.latency_ms) * (trial.accuracy or 0.0)
        right = trial.latency_ms
    return area


def test_its_front_is_ahead_of_random_search() -> None:
    evolved = [hypervolume(Nsga2(FEASIBLE, seed=seed, budget=200), seed) for seed in range(4)]
    drawn = [hypervolume(RandomSearch(FEASIBLE, seed=seed), seed) for seed in range(4)]
    assert min(evolved) > max(drawn)


def test_a_third_figure_makes_fronts_and_members_of_its_own() -> None:
    # b is slower and worse than a, but smaller; c is worse than b in all
    assert fronts(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]), np.array([9.0, 5.0, 6.0])) == [0, 0, 1]

    def choices(genotypes: Genotypes) -> npt.NDArray[np.float64]:
        return genotypes.sum(axis=1).astype(float)

    feasible = FeasibleSet(FEASIBLE.space, FEASIBLE.mask, choices, third=choices)
    searcher, same = (Nsga2(feasible, seed=0, population=10) for _ in range(2))
    for index in range(100):
        genotype = searcher.ask()
        # latency is the same for all and accuracy is chance: only the third figure can be improved on
        searcher.tell(make_trial(index, genotype=genotype, accuracy=(7 * index % 11) / 11, latency_ms=1.0))
    small = [sum(genotype) for genotype, _ in searcher._population]
    assert min(small) <= 3  # of 0 to 16, 8 at random
    same.load_state_dict(json.loads(json.dumps(searcher.state_dict())))
    assert same.ask() == searcher.ask()


@pytest.mark.parametrize(("budget", "population"), [(None, 50), (1000, 50), (100, 20), (12, 4)])
def test_a_small_budget_has_a_small_population(budget: int | None, population: int) -> None:
    assert Nsga2(FEASIBLE, seed=0, budget=budget).population_size == population


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="population: 1 is not accepted"):
        Nsga2(FEASIBLE, seed=0, population=1)
