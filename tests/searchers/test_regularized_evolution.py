from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from mobilenas.errors import FieldError
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.searchers.regularized_evolution import RegularizedEvolution
from mobilenas.searchers.searcher import Searcher
from mobilenas.spaces import Genotype, Genotypes
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.testing.trials import make_trial

SPACE = MnasNetSpace(resolution=32, num_classes=10)


class Scripted(FeasibleSet):
    """Gives networks 0, 1, 2 ... and notes the parents of those that are children."""

    def __init__(self) -> None:
        super().__init__(
            SPACE, lambda genotypes: np.ones(len(genotypes), bool), lambda genotypes: np.zeros(len(genotypes))
        )
        self.made = 0
        self.parents: list[int] = []

    def sample(self, rng: np.random.Generator) -> Genotype:
        self.made += 1
        return self.number(self.made - 1)

    def sample_new(self, rng: np.random.Generator, is_known: Callable[[Genotype], bool]) -> Genotype:
        return self.sample(rng)

    def mutate(self, genotype: Sequence[int], rng: np.random.Generator) -> Genotype:
        self.parents.append([self.number(i) for i in range(self.made)].index(tuple(genotype)))
        return self.sample(rng)

    @staticmethod
    def number(index: int) -> Genotype:
        """Network `index`."""
        return (index // 2 % 4, index % 2, *(0 for _ in SPACE.sizes[2:]))


def parents_of(rewards: Sequence[float | None], *, population: int, sample: int, seed: int = 0) -> list[int]:
    """Numbers of the parents when networks 0, 1, 2 ... earn these rewards."""
    feasible = Scripted()
    searcher = RegularizedEvolution(feasible, seed=seed, population=population, sample=sample)
    for index, reward in enumerate(rewards):
        assert searcher.ask() == Scripted.number(index)
        searcher.tell(make_trial(index, genotype=Scripted.number(index), accuracy=reward))
    return feasible.parents


def test_the_best_of_the_living_is_the_parent_and_the_oldest_dies() -> None:
    # a sample of 60 from 3 holds all three of them (but for 3 * (2/3) ** 60 = 8e-11), so the parent is the best alive
    # ask 3: 0 1 2 live, the best is 0 (.9).  tell 3 (.1): 0 dies, however good
    # ask 4: 1 2 3 live, the best is 2 (.5).  tell 4 (.2): 1 dies
    # ask 5: 2 3 4 live, still 2.             tell 5 (.3): 2 dies
    # ask 6: 3 4 5 live, the best is 5 (.3)
    assert parents_of([0.9, 0.4, 0.5, 0.1, 0.2, 0.3, 0.0], population=3, sample=60) == [0, 2, 2, 5]


def test_failed_networks_are_the_worst_but_live_and_die_like_others() -> None:
    # ask 3: 0 1 2, where 0 and 2 failed; 1 is best although its reward is 0.  tell 3 (failed): 0 dies
    # ask 4: 1 2 3: 1.  tell 4 (.1): 1 dies.  ask 5: 2 3 4: 4
    assert parents_of([None, 0.0, None, None, 0.1, 0.2], population=3, sample=60) == [1, 1, 4]


def test_a_sample_of_one_is_blind() -> None:
    rewards = [float(i == 0) for i in range(7)]
    parents = [parents_of(rewards[:4], population=3, sample=1, seed=seed)[0] for seed in range(300)]
    assert all(abs(parents.count(network) - 100) < 50 for network in range(3))


def test_the_sample_is_drawn_with_replacement() -> None:
    # the best of 3 is missed by a sample of 3 with probability (2/3) ** 3 = 0.296; without replacement never
    missed = sum(parents_of([1.0, 0.0, 0.0, 0.0], population=3, sample=3, seed=seed)[0] != 0 for seed in range(300))
    assert abs(missed / 300 - 0.296) < 0.09


@pytest.mark.parametrize(
    ("budget", "population", "sample"),
    [(None, 100, 25), (1000, 100, 25), (200, 50, 12), (24, 6, 2), (12, 5, 2), (1, 5, 2)],
)
def test_a_small_budget_has_a_small_population(budget: int | None, population: int, sample: int) -> None:
    feasible = Scripted()
    searcher = RegularizedEvolution(feasible, seed=0, budget=budget)
    assert (searcher.population_size, searcher.sample_size) == (population, sample)


def test_it_climbs_where_random_search_does_not() -> None:
    def best_of(searcher: Searcher) -> float:
        rewards = []
        for index in range(300):
            genotype = searcher.ask()
            rewards.append(sum(choice == 0 for choice in genotype) / len(genotype))
            searcher.tell(make_trial(index, genotype=genotype, reward=rewards[-1]))
        return max(rewards)

    feasible = FeasibleSet.all(SPACE)
    evolved = [best_of(RegularizedEvolution(feasible, seed=seed, budget=300)) for seed in range(5)]
    drawn = [best_of(RandomSearch(feasible, seed=seed)) for seed in range(5)]
    assert min(evolved) > max(drawn)


def test_it_goes_on_where_all_around_the_best_is_known() -> None:
    # the fewer choices other than the first the better: evolution is soon where every neighbour is known
    searcher = RegularizedEvolution(FeasibleSet.all(SPACE), seed=0, population=10, sample=10)
    found = []
    for index in range(1500):
        found.append(searcher.ask())
        reward = -sum(choice > 0 for choice in found[-1])
        searcher.tell(make_trial(index, genotype=found[-1], reward=reward))
    assert len(set(found)) == len(found)


def test_where_all_is_known_it_proposes_what_there_is() -> None:
    def few(genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        return (genotypes[:, 1:] == 0).all(axis=1)

    feasible = FeasibleSet(SPACE, few, lambda genotypes: (genotypes[:, 1:] > 0).sum(axis=1).astype(float))
    searcher = RegularizedEvolution(feasible, seed=0, population=2, sample=2)
    found = []
    for index in range(SPACE.sizes[0] + 5):
        found.append(searcher.ask())
        searcher.tell(make_trial(index, genotype=found[-1], reward=0.0))
    assert len(set(found[: SPACE.sizes[0]])) == len(set(found)) == SPACE.sizes[0]


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="population: 0 is not accepted"):
        RegularizedEvolution(Scripted(), seed=0, population=0)
    with pytest.raises(FieldError, match="sample: 0 is not accepted"):
        RegularizedEvolution(Scripted(), seed=0, sample=0)
