"""ErrorModel: accuracy as a smooth function of decisions and work."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.settings import Settings, check

Floats = npt.NDArray[np.float64]
TOTALS = 5
"""Terms of the work of a network: logarithms of multiply-adds and parameters, their squares and product."""


@dataclass(frozen=True, kw_only=True)
class ErrorModel(Settings):
    """-log(ceiling - accuracy) is quadratic in the decisions and in the logarithm of the work.

    Attributes:
        ceiling: Accuracy that no network comes near to.
        codes: A number for each choice of each decision, standardised over the training networks.
        effects: What each choice adds by itself, for each decision.
        interactions: What the products of the codes of two decisions add: (0, 1), (0, 2) ... (1, 2) ...
        log_means, log_stds: Of the logarithms of multiply-adds and parameters, by which they are standardised.
        work: What the two add, their squares, and their product.
        intercept: Added to all.

    Raises:
        FieldError: If the numbers of coefficients do not fit each other.
    """

    ceiling: float
    codes: tuple[tuple[float, ...], ...]
    effects: tuple[tuple[float, ...], ...]
    interactions: tuple[float, ...]
    log_means: tuple[float, ...]
    log_stds: tuple[float, ...]
    work: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        count = len(self.codes)
        fine = [len(row) for row in self.codes] == [len(row) for row in self.effects]
        check(fine, "effects", len(self.effects), "as many as codes")
        pairs = count * (count - 1) // 2
        check(len(self.interactions) == pairs, "interactions", len(self.interactions), f"{pairs} numbers")
        check(len(self.work) == TOTALS, "work", len(self.work), f"{TOTALS} numbers")
        for name in ("log_means", "log_stds"):
            check(len(getattr(self, name)) == 2, name, getattr(self, name), "two numbers")

    def accuracy(self, genotypes: npt.NDArray[np.integer], macs: Floats, params: Floats) -> Floats:
        """Accuracy of networks.

        Args:
            genotypes: Shape (N, decisions).
            macs: Their multiply-adds, shape (N,).
            params: Their parameters, shape (N,).

        Returns:
            In [0, ceiling), shape (N,).
        """
        columns = np.asarray(genotypes).T
        codes = np.stack([np.array(row)[column] for row, column in zip(self.codes, columns, strict=True)], 1)
        score = np.full(len(codes), self.intercept)
        for row, column in zip(self.effects, columns, strict=True):
            score += np.array(row)[column]
        weights = np.zeros((len(self.codes), len(self.codes)))
        weights[np.triu_indices(len(self.codes), 1)] = self.interactions
        score += np.einsum("nd,nd->n", codes @ weights, codes)
        score += work_terms(macs, params, self.log_means, self.log_stds) @ np.array(self.work)
        return np.asarray(np.maximum(self.ceiling - np.exp(-score), 0.0), float)


def work_terms(macs: Floats, params: Floats, means: tuple[float, ...], stds: tuple[float, ...]) -> Floats:
    """Standardised logarithms of multiply-adds and parameters, their squares and product, shape (N, 5)."""
    a = (np.log(macs) - means[0]) / stds[0]
    b = (np.log(params) - means[1]) / stds[1]
    return np.stack([a, b, a * a, b * b, a * b], 1)
