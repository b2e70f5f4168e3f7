"""NSGA-II: a population along the front of accuracy, latency and whatever counts besides."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import check
from mobilenas.spaces import Genotype

POPULATION = 50
LEAST_POPULATION = 4
GENERATIONS = 5
"""A small budget is so many times the population."""
CROSSOVER = 0.9
TRIES = 8
"""Children that are made where the first ones are not feasible, or are members already."""
Floats = npt.NDArray[np.float64]
FAILED = -1.0
"""The accuracy of a failed trial: less than any other."""
Member = tuple[Genotype, tuple[float, ...]]
"""Genotype; accuracy, latency in milliseconds, and the third figure where there is one."""


class Nsga2(Searcher):
    """Keeps the networks that no other beats in accuracy, latency and the set's third figure, along their front.

    Parents are the better of two random members: of a lower front, or of the same and more alone there. A child takes
    each decision from either parent and changes one in as many as there are. Once there are as many children as
    members, the best of both make the next population. A failed trial is worse than any other.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Evaluations that the run plans, where that is known.
        population: Members; by default 50, or a fifth of a budget below 250, at least 4.

    Raises:
        FieldError: If a setting is not accepted.

    Source: Deb et al., A fast and elitist multiobjective genetic algorithm: NSGA-II, 2002, sections III and IV.
    Differs from the paper: decisions are categories, so crossover is uniform and a mutation takes another choice, in
    place of simulated binary crossover and polynomial mutation; children are feasible, so that constraints need no
    domination of their own.
    """

    def __init__(
        self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, population: int | None = None
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        if population is None:
            share = POPULATION if budget is None else budget // GENERATIONS
            population = min(POPULATION, max(LEAST_POPULATION, share))
        check(population >= 2, "population", population, "a whole number from 2")
        self.batch = self.population_size = population
        self._population: list[Member] = []
        self._children: list[Member] = []

    def tell(self, trial: Trial) -> None:
        """Adds a child; the last one of a generation makes the next population."""
        accuracy = FAILED if trial.accuracy is None else trial.accuracy
        third = self._feasible.third
        others = () if third is None else (float(third(np.array([trial.genotype], np.uint8))[0]),)
        self._children.append((trial.genotype, (accuracy, trial.latency_ms, *others)))
        if len(self._children) == self.population_size:
            self._population = survivors([*self._population, *self._children], self.population_size)
            self._children = []

    def _propose(self, rng: np.random.Generator) -> Genotype:
        if self._asked < self.population_size or not self._population:
            return self._feasible.sample(rng)
        ranks, crowding = _ranked(self._population)
        known = {member[0] for member in (*self._population, *self._children)}
        for _ in range(TRIES):
            first, second = (self._parent(ranks, crowding, rng) for _ in range(2))
            child = self._feasible.space.crossover(first, second, rng) if rng.random() < CROSSOVER else first
            child = self._mutated(child, rng)
            if child not in known and self._feasible.contains(child):
                return child
        return self._feasible.mutate(first, rng)

    def _parent(self, ranks: Sequence[int], crowding: Sequence[float], rng: np.random.Generator) -> Genotype:
        one, other = rng.integers(len(self._population), size=2).tolist()
        better: int = min(one, other, key=lambda i: (ranks[i], -crowding[i]))
        return self._population[better][0]

    def _mutated(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Every decision changes with probability 1 / decisions."""
        sizes = self._feasible.space.sizes
        changes = rng.random(len(sizes)) < 1 / len(sizes)
        shifts = 1 + np.floor(rng.random(len(sizes)) * (np.array(sizes) - 1)).astype(int)
        moved = (np.array(genotype) + np.where(changes, shifts, 0)) % sizes
        mutant: Genotype = tuple(moved.tolist())
        return mutant

    def _state(self) -> dict[str, Any]:
        return {"population": _plain(self._population), "children": _plain(self._children)}

    def _load_state(self, state: dict[str, Any]) -> None:
        self._population, self._children = (
            [(self._feasible.space.check(genotype), tuple(map(float, figures))) for genotype, figures in state[name]]
            for name in ("population", "children")
        )


def survivors(members: Sequence[Member], count: int) -> list[Member]:
    """The best `count` members: whole fronts, and of the last one those that are most alone."""
    ranks, crowding = _ranked(members)
    order = sorted(range(len(members)), key=lambda i: (ranks[i], -crowding[i]))
    return [members[i] for i in order[:count]]


def fronts(accuracies: Floats, *costs: Floats) -> list[int]:
    """The front of each point: 0 if no other is as good in all and better in one, 1 if only those of front 0 are, ...

    Args:
        accuracies: The higher the better, shape (N,).
        costs: Of each figure, the lower the better, shape (N,).
    """
    as_good, better = accuracies[:, None] >= accuracies, accuracies[:, None] > accuracies
    for cost in costs:
        as_good &= cost[:, None] <= cost
        better |= cost[:, None] < cost
    beats = as_good & better
    ranks, rank = np.full(len(accuracies), -1), 0
    while (ranks < 0).any():
        left = ranks < 0
        ranks[left & ~beats[left].any(axis=0)] = rank
        rank += 1
    return [int(rank) for rank in ranks]


def crowding_distances(*figures: Floats) -> Floats:
    """How far apart the neighbours of each point of one front are, as a share of the front; its ends: infinity."""
    distances = np.zeros(len(figures[0]))
    for values in figures:
        order = np.argsort(values, kind="stable")
        span = values[order[-1]] - values[order[0]]
        distances[order[[0, -1]]] = np.inf
        if span > 0:
            distances[order[1:-1]] += (values[order[2:]] - values[order[:-2]]) / span
    return distances


def _ranked(members: Sequence[Member]) -> tuple[list[int], list[float]]:
    """Front and crowding distance of each member."""
    figures = np.array([figures for _, figures in members]).T
    ranks = fronts(*figures)
    crowding = np.zeros(len(members))
    for rank in set(ranks):
        own = np.flatnonzero(np.array(ranks) == rank)
        crowding[own] = crowding_distances(*figures[:, own])
    return ranks, crowding.tolist()


def _plain(members: Sequence[Member]) -> list[list[Any]]:
    return [[list(genotype), list(figures)] for genotype, figures in members]
