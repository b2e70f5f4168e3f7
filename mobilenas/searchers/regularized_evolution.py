"""Regularized (aging) evolution."""

import math
from collections import deque
from typing import Any

import numpy as np

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import check
from mobilenas.spaces import Genotype

POPULATION = 100
LEAST_POPULATION = 5
GENERATIONS = 4
"""A small budget is so many times the population, so that evolution has something left to do."""


class RegularizedEvolution(Searcher):
    """A queue of networks: the best of a random sample gets a mutated child, and the oldest dies, however good.

    The population is filled with random feasible genotypes. A child that was proposed before gives way to one of the
    nearest networks that were not. A failed trial counts as worse than any other.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Evaluations that the run plans, where that is known.
        population: Size of the queue P; by default 100, or a quarter of a budget below 400, at least 5.
        sample: Size of the sample S, drawn with replacement; by default a quarter of the population, at least 2.

    Raises:
        FieldError: If a setting is not accepted.

    Source: Real et al., arXiv 1802.01548, section 3.2, algorithm 1; P = 100 and S = 25 are its settings.
    Differs from the paper: a mutation changes one decision to another choice (its own change a cell's hidden state or
    operation, or nothing); children are feasible, and new while there are new ones near; the population shrinks with
    a small budget.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        *,
        seed: int,
        budget: int | None = None,
        population: int | None = None,
        sample: int | None = None,
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        if population is None:
            quarter = POPULATION if budget is None else budget // GENERATIONS
            population = min(POPULATION, max(LEAST_POPULATION, quarter))
        if sample is None:
            sample = max(2, population // 4)
        check(population >= 1, "population", population, "a whole number from 1")
        check(sample >= 1, "sample", sample, "a whole number from 1")
        self.population_size, self.sample_size = population, sample
        self._population: deque[tuple[Genotype, float]] = deque(maxlen=population)
        self._proposed: set[bytes] = set()

    def tell(self, trial: Trial) -> None:
        """Adds the trial to the right of the queue; once it is full, the oldest leaves it on the left."""
        self._population.append((trial.genotype, -math.inf if trial.reward is None else trial.reward))

    def _propose(self, rng: np.random.Generator) -> Genotype:
        if self._asked < self.population_size or not self._population:
            proposal = self._feasible.sample_new(rng, self._was_proposed)
        else:
            candidates = [self._population[i] for i in rng.integers(len(self._population), size=self.sample_size)]
            parent, _ = max(candidates, key=lambda candidate: candidate[1])
            proposal = self._feasible.mutate_new(parent, rng, self._was_proposed)
        self._proposed.add(bytes(proposal))
        return proposal

    def _was_proposed(self, genotype: Genotype) -> bool:
        return bytes(genotype) in self._proposed

    def _state(self) -> dict[str, Any]:
        rewards = [None if reward == -math.inf else reward for _, reward in self._population]
        return {
            "genotypes": [list(genotype) for genotype, _ in self._population],
            "rewards": rewards,
            "proposed": sorted(key.hex() for key in self._proposed),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        genotypes = [self._feasible.space.check(genotype) for genotype in state["genotypes"]]
        rewards = [-math.inf if reward is None else float(reward) for reward in state["rewards"]]
        self._population = deque(zip(genotypes, rewards, strict=True), maxlen=self.population_size)
        self._proposed = {bytes.fromhex(key) for key in state["proposed"]}
