"""Bounds: several at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import TargetError
from mobilenas.graph import OpGraph
from mobilenas.objectives.bound import Bound, Floats
from mobilenas.objectives.feasible import Cost, FeasibleSet, RewardOf
from mobilenas.spaces import Genotypes, SearchSpace


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
        """The largest of figure over limit of each genotype, shape (N,): at most 1 where all bounds are met."""
        return np.asarray(np.max([bound.upper(genotypes) / bound.limit for bound in self.all], axis=0), float)

    def feasible_set(
        self,
        space: SearchSpace,
        reward: RewardOf = lambda genotypes, accuracies: accuracies,
        third: Cost | None = None,
    ) -> FeasibleSet:
        """The networks of a space that meet all bounds, and what they earn."""
        return FeasibleSet(space, self.is_feasible, self.excess, unit="times the limit", reward=reward, third=third)

    def check_reachable(self, feasible: FeasibleSet) -> None:
        """Raises `TargetError` if no network is found that meets all bounds; the text names the nearest."""
        row = np.array([feasible.nearest()], np.uint8)
        missed = [(bound, float(bound.upper(row)[0])) for bound in self.all]
        missed = [(bound, value) for bound, value in missed if value > bound.limit]
        if missed:
            limits = " and ".join(f"{bound.name} of {bound.limit:.4g} {bound.unit}" for bound, _ in missed)
            nearest = " and ".join(f"{value:.3g} {bound.unit}" for bound, value in missed)
            options = " ".join(_raised(bound, value) for bound, value in missed)
            raise TargetError(
                f"{limits} cannot be met: the nearest that {feasible.space.name} can is {nearest}; give {options}"
            )


def _raised(bound: Bound, value: float) -> str:
    """The option that lets a network of this figure in."""
    separator = "" if bound.option.endswith("=") else " "
    return f"{bound.option}{separator}{float(f'{1.05 * value:.3g}'):.12g}"
