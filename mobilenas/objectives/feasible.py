"""FeasibleSet: the networks of a space that meet the constraints."""

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from mobilenas.errors import TargetError
from mobilenas.spaces import Genotype, Genotypes, SearchSpace

IsFeasible = Callable[[Genotypes], npt.NDArray[np.bool_]]
Cost = Callable[[Genotypes], npt.NDArray[np.float64]]
RewardOf = Callable[[Genotypes, npt.NDArray[np.float64]], npt.NDArray[np.float64]]

SAMPLE_BATCHES = (64, 1024, 4096)
"""Random genotypes that are tried before descent takes over: it starts to where one in some thousands is feasible."""
WALK = 1000
"""Known genotypes that are passed on the way to a new one."""
MUTATION_BATCH = 32
DESCENT_STARTS = 64
MIXING_SWEEPS = 2


class FeasibleSet:
    """Draws and changes genotypes so that every one of them is feasible.

    Nothing is remembered between calls: what comes depends only on the arguments and on what the two functions say now,
    so that the constraint may be tightened during a search.

    Args:
        space: The space.
        is_feasible: Says which of genotypes, shape (N, decisions), meet the constraints; shape (N,).
        cost: What is descended on where feasible genotypes are rare, shape (N,): lower is nearer to feasible.
        unit: Unit of the cost, for errors.
        reward: What genotypes, shape (N, decisions), earn at given accuracies, shape (N,), shape (N,); by default the
            accuracy. All else that it weighs, such as latency, is known without an evaluation.
        third: A figure that counts besides accuracy and latency where a whole front is looked for, shape (N,): the less
            of it the better.
    """

    def __init__(
        self,
        space: SearchSpace,
        is_feasible: IsFeasible,
        cost: Cost,
        *,
        unit: str = "",
        reward: RewardOf = lambda genotypes, accuracies: accuracies,
        third: Cost | None = None,
    ) -> None:
        self.space, self.third = space, third
        self._is_feasible, self._cost, self._unit, self._reward = is_feasible, cost, unit, reward

    @classmethod
    def all(cls, space: SearchSpace) -> Self:
        """The whole space, without constraint."""
        return cls(space, lambda genotypes: np.ones(len(genotypes), bool), lambda genotypes: np.zeros(len(genotypes)))

    def contains(self, genotype: Sequence[int]) -> bool:
        """Whether a genotype is feasible.

        Raises:
            InputError: If it does not fit the space's decisions.
        """
        return bool(self._is_feasible(_rows([self.space.check(genotype)]))[0])

    def mask(self, genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        """Which of genotypes of this space, shape (N, decisions), are feasible; shape (N,)."""
        return self._is_feasible(genotypes)

    def reward(self, genotypes: Genotypes, accuracies: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """What genotypes, shape (N, decisions), would earn if they had these accuracies, shape (N,); shape (N,)."""
        return self._reward(genotypes, accuracies)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A random feasible genotype.

        All are equally likely where random draws find one. Where they do not, random genotypes descend on the cost
        until one is feasible, and Gibbs sweeps then spread it over the feasible genotypes around it.

        Raises:
            TargetError: If none is found; the text names the nearest.
        """
        for count in SAMPLE_BATCHES:
            batch = self.space.sample_batch(count, rng)
            feasible = batch[self._is_feasible(batch)]
            if len(feasible):
                return _genotype(feasible[0])
        return self._descended(rng)

    def _descended(self, rng: np.random.Generator) -> Genotype:
        descended = self._descend(rng, stop_when_feasible=True)
        feasible = descended[self._is_feasible(descended)]
        if not len(feasible):
            feasible = _rows([self.nearest()])
        if not self._is_feasible(feasible)[0]:
            raise TargetError(self._infeasible(np.concatenate([feasible, descended])))
        found: Genotypes = feasible[int(rng.integers(len(feasible)))]
        for _ in range(MIXING_SWEEPS):
            for decision in rng.permutation(len(self.space.sizes)):
                variants = self._variants(found[None], int(decision))[0]
                feasible = variants[self._is_feasible(variants)]
                found = feasible[int(rng.integers(len(feasible)))]
        return _genotype(found)

    def sample_new(self, rng: np.random.Generator, is_known: Callable[[Genotype], bool]) -> Genotype:
        """A random feasible genotype that is not known; a known one where nothing else is found.

        Where random draws bring nothing new, single changes lead from one feasible genotype to the next until one is
        not known.

        Raises:
            TargetError: As `sample`.
        """
        known: Genotype | None = None
        for count in SAMPLE_BATCHES:
            batch = self.space.sample_batch(count, rng)
            for row in batch[self._is_feasible(batch)].tolist():
                known = tuple(row)
                if not is_known(known):
                    return known
        found = known or self._descended(rng)
        if known is None and not is_known(found):
            return found
        return self._unknown_near(found, rng, is_known) or found

    def unknown_around(self, starts: Genotypes, is_known: Callable[[Genotype], bool], *, most: int) -> Genotypes | None:
        """Feasible genotypes that are not known, the nearest to which single changes lead through known ones.

        Args:
            starts: Known genotypes, shape (N, decisions).
            is_known: Says whether a genotype is known.
            most: How many known ones are passed before it is given up.

        Returns:
            Shape (M, decisions), none where all that can be reached is known; None where it was given up.
        """
        level = starts[self._is_feasible(starts)]
        seen = set(map(tuple, level.tolist()))
        while len(level) and len(seen) <= most:
            around = {tuple(row) for row in self._around(level).tolist()} - seen
            if new := sorted(row for row in around if not is_known(row)):
                return _rows(new)
            seen |= around
            level = _rows(sorted(around)) if around else level[:0]
        return None if len(level) else level

    def mutate(self, genotype: Sequence[int], rng: np.random.Generator) -> Genotype:
        """Another feasible genotype near this one.

        One decision is changed; where that gives nothing feasible two changes are made, then four and so on, and at
        last a new genotype is drawn, which alone may be the given one.

        Raises:
            InputError: If the genotype does not fit the space's decisions.
            TargetError: If nothing feasible is found.
        """
        start = self.space.check(genotype)
        changes = 1
        while changes <= len(start):
            mutants = [self._changed(start, changes, rng) for _ in range(MUTATION_BATCH)]
            for mutant, feasible in zip(mutants, self._is_feasible(_rows(mutants)), strict=True):
                if feasible and mutant != start:
                    return mutant
            changes *= 2
        return self.sample(rng)

    def mutate_new(
        self, genotype: Sequence[int], rng: np.random.Generator, is_known: Callable[[Genotype], bool]
    ) -> Genotype:
        """As `mutate`; where that gives a known genotype, one of the nearest that are not, if any is found.

        Raises:
            InputError: If the genotype does not fit the space's decisions.
            TargetError: If nothing feasible is found.
        """
        found = self.mutate(genotype, rng)
        if not is_known(found):
            return found
        return self._unknown_near(genotype, rng, is_known) or found

    def _unknown_near(
        self, genotype: Sequence[int], rng: np.random.Generator, is_known: Callable[[Genotype], bool]
    ) -> Genotype | None:
        """One of the nearest feasible genotypes that are not known; None where none is found."""
        new = self.unknown_around(_rows([self.space.check(genotype)]), is_known, most=WALK)
        return None if new is None or not len(new) else _genotype(new[int(rng.integers(len(new)))])

    def neighbours(self, genotype: Sequence[int]) -> Genotypes:
        """Every feasible genotype with one decision changed, shape (N, decisions).

        Raises:
            InputError: If the genotype does not fit the space's decisions.
        """
        start = _rows([self.space.check(genotype)])
        around = self._around(start)
        found: Genotypes = around[(around != start).any(axis=1)]
        return found

    def _around(self, genotypes: Genotypes) -> Genotypes:
        """All feasible genotypes with at most one decision of one of these changed, some of them several times."""
        found = []
        for decision, size in enumerate(self.space.sizes):
            variants = self._variants(genotypes, decision).reshape(len(genotypes) * size, -1)
            found.append(variants[self._is_feasible(variants)])
        return np.concatenate(found)

    def nearest(self) -> Genotype:
        """The genotype of the lowest cost that descent from many starts reaches, feasible or not; always the same."""
        descended = self._descend(np.random.default_rng(0), stop_when_feasible=False)
        return _genotype(descended[int(np.argmin(self._cost(descended)))])

    def _changed(self, genotype: Genotype, changes: int, rng: np.random.Generator) -> Genotype:
        for _ in range(changes):
            genotype = self.space.mutate(genotype, rng)
        return genotype

    def _descend(self, rng: np.random.Generator, *, stop_when_feasible: bool) -> Genotypes:
        """Random genotypes, each decision in turn set to its cheapest choice until no sweep lowers any cost.

        Args:
            rng: Gives starts and the order of decisions.
            stop_when_feasible: Return as soon as one is feasible.

        Returns:
            Genotypes, shape (DESCENT_STARTS, decisions).
        """
        current = self.space.sample_batch(DESCENT_STARTS, rng)
        costs = self._cost(current)
        while True:
            before = costs
            for decision in rng.permutation(len(self.space.sizes)):
                variants = self._variants(current, int(decision))
                variant_costs = self._cost(variants.reshape(-1, variants.shape[2])).reshape(variants.shape[:2])
                best = variant_costs.argmin(axis=1)
                improves = np.take_along_axis(variant_costs, best[:, None], axis=1)[:, 0] < costs
                current, costs = current.copy(), costs.copy()
                current[improves, decision] = best[improves]
                costs[improves] = variant_costs[improves, best[improves]]
                if stop_when_feasible and self._is_feasible(current).any():
                    return current
            if not (costs < before).any():
                return current

    def _variants(self, genotypes: Genotypes, decision: int) -> Genotypes:
        """Every genotype with every choice of one decision, shape (N, choices, decisions)."""
        variants = np.repeat(genotypes[:, None], self.space.sizes[decision], axis=1)
        variants[:, :, decision] = np.arange(self.space.sizes[decision], dtype=np.uint8)
        return variants

    def _infeasible(self, descended: Genotypes) -> str:
        figure = f"{float(self._cost(descended).min()):.4g} {self._unit}".strip()
        return f"no network of {self.space.name} meets the target: the nearest needs {figure}; give a higher target"


def _rows(genotypes: Sequence[Genotype]) -> Genotypes:
    return np.array(genotypes, np.uint8)


def _genotype(row: Genotypes) -> Genotype:
    return tuple(row.tolist())
