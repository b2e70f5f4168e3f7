"""BatchEvaluator: an evaluator that answers many genotypes at once."""

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.evaluators.evaluator import Evaluator
from mobilenas.spaces import SearchSpace

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluations:
    """Evaluations of many networks.

    Attributes:
        accuracy: [0, 1], shape (N,).
        std: Standard deviations, shape (N,).
        extrapolated: Which lie beyond what the evaluator knows, shape (N,).
    """

    accuracy: Floats
    std: Floats
    extrapolated: npt.NDArray[np.bool_]


class BatchEvaluator(Evaluator):
    """Knows the networks of one space by their genotypes, without building them."""

    @property
    @abstractmethod
    def space(self) -> SearchSpace:
        """The space that it knows."""

    @abstractmethod
    def evaluate_batch(self, genotypes: npt.ArrayLike) -> Evaluations:
        """Evaluates networks of `space`.

        Args:
            genotypes: Valid choices, shape (N, decisions).
        """

    def covers(self, space: SearchSpace) -> bool:
        """Whether genotypes of `space` are those of the space that it knows."""
        own = self.space
        same_input = (space.resolution, space.num_classes) == (own.resolution, own.num_classes)
        return type(space) is type(own) and same_input and list(space.decisions.items()) == list(own.decisions.items())
