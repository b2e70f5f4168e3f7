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
