"""Embedding: genotypes as points, so that networks that are alike are near to each other."""

from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from mobilenas.spaces import CompiledCosts, Genotypes, SearchSpace

Floats = npt.NDArray[np.float64]
REFERENCES = 512
"""Random networks that say how much the costs of a space vary."""


class Embedding:
    """Columns that stand for what tells networks apart.

    Every decision is a block of columns in which different choices have distance 1; one of more than two numbers is
    also a column that grows with the number's rank. Costs that are known without an evaluation (the logarithms of
    multiply-adds, parameters, operations and memory) are columns too: decisions say where a network spends, costs how
    much, and accuracy may depend on both.

    Its tables take a second for a large space: `Embedding.of` makes them once a space.

    Args:
        space: The space.
        costs: Whether costs are columns.

    Attributes:
        groups: Which columns belong together, as one number a column, shape (columns,).
    """

    def __init__(self, space: SearchSpace, *, costs: bool = True) -> None:
        tables: list[Floats] = []
        groups: list[int] = []
        self._places: list[int] = []
        for place, choices in enumerate(space.decisions.values()):
            if len(choices) == 1:
                continue
            blocks = [np.eye(len(choices)) / np.sqrt(2)]
            if len(choices) > 2 and not any(isinstance(choice, str) for choice in choices):
                ranks = np.argsort(np.argsort(np.array(choices, float)))
                blocks.append(ranks[:, None] / (len(choices) - 1))
            for block in blocks:
                groups += [max(groups, default=-1) + 1] * block.shape[1]
            tables.append(np.hstack(blocks))
            self._places.append(place)
        self._tables = tables
        self._costs = CompiledCosts(space) if costs and space.factors() else None
        references = space.sample_batch(REFERENCES, np.random.default_rng(0))
        raw = self._raw_costs(references)
        spread = raw.std(axis=0)
        self._vary = spread > 1e-9
        self._center, self._spread = raw.mean(axis=0)[self._vary], spread[self._vary]
        self.groups = np.array([*groups, *(max(groups, default=-1) + 1 + i for i in range(int(self._vary.sum())))])

    @property
    def group_count(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1

    @classmethod
    @lru_cache(maxsize=16)
    def of(cls, space: SearchSpace, *, costs: bool = True) -> Self:
        """The embedding of a space; the last few are kept."""
        return cls(space, costs=costs)

    def __call__(self, genotypes: Genotypes) -> Floats:
        """The points of genotypes, (N, decisions); shape (N, columns)."""
        blocks = [table[genotypes[:, place]] for place, table in zip(self._places, self._tables, strict=True)]
        costs = (self._raw_costs(genotypes)[:, self._vary] - self._center) / self._spread
        return np.hstack([*blocks, costs])

    def _raw_costs(self, genotypes: Genotypes) -> Floats:
        if self._costs is None:
            return np.zeros((len(genotypes), 0))
        costs = self._costs
        figures = [costs.macs(genotypes), costs.params(genotypes), costs.ops(genotypes)]
        return np.log(np.stack([*figures, costs.peak_memory_bytes(genotypes)], axis=1).astype(float) + 1.0)
