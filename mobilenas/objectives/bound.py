"""Bound: what a network must not exceed."""

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from mobilenas.graph import OpGraph
from mobilenas.settings import check
from mobilenas.spaces import Genotypes

Floats = npt.NDArray[np.float64]


class Bound(ABC):
    """A figure of networks and its limit.

    Args:
        name: What is bounded, such as "latency on pixel1".
        limit: What the figure must not exceed, above 0.
        unit: Unit of both.
        option: What a command line calls the limit, for errors.

    Raises:
        FieldError: If the limit is not a finite number above 0.
    """

    def __init__(self, name: str, limit: float, unit: str, option: str) -> None:
        check(0 < limit < np.inf, option, limit, "a number above 0")
        self.name, self.limit, self.unit, self.option = name, limit, unit, option

    @abstractmethod
    def nominal(self, genotypes: Genotypes) -> Floats:
        """The figure of each genotype, (N, decisions), as predicted; shape (N,)."""

    def upper(self, genotypes: Genotypes) -> Floats:
        """What must not exceed the limit, shape (N,); for a figure that is certain, the figure."""
        return self.nominal(genotypes)

    @abstractmethod
    def upper_of_graph(self, graph: OpGraph) -> float:
        """As `upper`, of a network that need not be in the space."""
