"""Bounds: several at once."""

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import TargetError
from mobilenas.graph import OpGraph
from mobilenas.objectives.bound import Bound, Floats
from mobilenas.objectives.feasible import Cost, FeasibleSet, RewardOf
from mobilenas.spaces import Genotypes, SearchSpace

FURTHER = 1e-3
"""What missing a further bound costs, beside missing the worst one by as much."""


@dataclass(frozen=True)
class Bounds:
    """Several bounds; a network is feasible when it meets them all.

    Attributes:
        all: The bounds, at least one.
    """

    all: Sequence[Bound]

    def is_feasible(self, genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        """Which genotypes, (N, decisions), meet every bound; shape (N,)."""
        fine = np.ones(len(genotypes), bool)
        for bound in self.all:
            fine &= bound.upper(genotypes) <= bound.limit
        return fine

    def is_met_by(self, graph: OpGraph) -> bool:
        """Whether a network, which need not be in the space, meets every bound."""
        return all(bound.upper_of_graph(graph) <= bound.limit for bound in self.all)

    def excess(self, genotypes: Genotypes) -> Floats:
        """How far each genotype is from meeting all bounds, shape (N,): at most 1 where it does.

        It is the largest of figure over limit; of genotypes that are about equal in that, those are nearer that miss
        the second worst bound by less, then the third.
        """
        shares = np.sort([bound.upper(genotypes) / bound.limit for bound in self.all], axis=0)[::-1]
        weights = FURTHER ** np.arange(1, len(shares))
        return np.asarray(shares[0] + weights @ np.maximum(shares[1:] - 1, 0), float)

    def feasible_set(
        self,
        space: SearchSpace,
        reward: RewardOf = lambda genotypes, accuracies: accuracies,
        third: Cost | None = None,
    ) -> FeasibleSet:
        """The networks of a space that meet all bounds, and what they earn."""
        return FeasibleSet(space, self.is_feasible, self.excess, unit="times the limit", reward=reward, third=third)

    def check_reachable(self, feasible: FeasibleSet) -> None:
        """Raises `TargetError` if no network is found that meets all bounds; the text names limits that let one in."""
        enough, space = self, feasible.space
        while not enough.is_feasible(row := np.array([enough.feasible_set(space).nearest()], np.uint8))[0]:
            enough = Bounds([_letting_in(row, bound) for bound in enough.all])
        raised = [(own, other.limit) for own, other in zip(self.all, enough.all, strict=True) if other is not own]
        if raised:
            limits = " and ".join(f"{bound.name} of {bound.limit:.4g} {bound.unit}" for bound, _ in raised)
            nearest = " and ".join(f"{limit:.3g} {bound.unit}" for bound, limit in raised)
            options = " ".join(_option(bound, limit) for bound, limit in raised)
            raise TargetError(f"{limits} cannot be met: the nearest that {space.name} can is {nearest}; give {options}")


def _letting_in(row: Genotypes, bound: Bound) -> Bound:
    """The bound; where a genotype, (1, decisions), misses it, one of its figure, rounded up to three digits."""
    figure = float(bound.upper(row)[0])
    if figure <= bound.limit:
        return bound
    unit = 10.0 ** (math.floor(math.log10(figure)) - 2)
    rounded = [float(f"{figure + up * unit:.3g}") for up in (0.0, 0.5, 1.0)]
    raised = copy(bound)
    raised.limit = min(limit for limit in rounded if limit >= figure)
    return raised


def _option(bound: Bound, limit: float) -> str:
    """The option that sets a limit."""
    separator = "" if bound.option.endswith("=") else " "
    return f"{bound.option}{separator}{limit:.12g}"
