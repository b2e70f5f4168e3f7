"""What genotypes cost besides latency, as array look-ups."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

from mobilenas.graph import ACTIVATION_BYTES
from mobilenas.spaces.space import Factor, Genotype, SearchSpace

Ints = npt.NDArray[np.int64]
CHUNK = 8192
"""Genotypes that are looked up at once, so that the intermediate arrays stay in the cache."""


class FactorIndex:
    """Numbers the combinations of one factor's choices.

    Args:
        factor: The factor.
        sizes: Number of choices of every decision of its space.
    """

    def __init__(self, factor: Factor, sizes: Sequence[int]) -> None:
        self.decisions = factor.decisions
        self._sizes = [sizes[d] for d in factor.decisions]
        self._strides = [int(np.prod(self._sizes[i + 1 :])) for i in range(len(self._sizes))]

    def combinations(self) -> Iterator[Genotype]:
        """All combinations, in the order of their numbers."""
        return product(*(range(size) for size in self._sizes))

    def of(self, genotypes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Which combination each genotype has, given as (decisions, N); shape (N,)."""
        index = np.zeros(genotypes.shape[1], np.intp)
        for decision, stride in zip(self.decisions, self._strides, strict=True):
            index += genotypes[decision] * stride if stride > 1 else genotypes[decision]
        return index


class CompiledCosts:
    """Multiply-adds, parameters, weights and memory of genotypes without building their graphs.

    Equal to those of the decoded graph.

    Args:
        space: The space.
        dtype: Element type of weights and activations.
    """

    def __init__(self, space: SearchSpace, dtype: str = "float32") -> None:
        self._bytes = ACTIVATION_BYTES[dtype]
        self._tables: list[tuple[FactorIndex, Ints]] = []
        for factor in space.factors():
            index, rows = FactorIndex(factor, space.sizes), []
            for choices in index.combinations():
                piece = factor.emit(choices)
                macs = sum(op.macs * count for op, count in piece.ops.items())
                size = sum(op.weight_bytes(dtype) * count for op, count in piece.ops.items())
                rows.append((macs, piece.params, size, sum(piece.ops.values()), piece.peak_elements))
            self._tables.append((index, np.array(rows, np.int64).T.copy()))

    def macs(self, genotypes: npt.ArrayLike) -> Ints:
        """Multiply-adds of each genotype, (N, decisions); shape (N,)."""
        return self._sum(genotypes, 0)

    def params(self, genotypes: npt.ArrayLike) -> Ints:
        """Parameters of each genotype, (N, decisions); shape (N,)."""
        return self._sum(genotypes, 1)

    def weight_bytes(self, genotypes: npt.ArrayLike) -> Ints:
        """Bytes of the weights of each genotype, (N, decisions); shape (N,)."""
        return self._sum(genotypes, 2)

    def ops(self, genotypes: npt.ArrayLike) -> Ints:
        """Operations of each genotype, (N, decisions); shape (N,)."""
        return self._sum(genotypes, 3)

    def peak_memory_bytes(self, genotypes: npt.ArrayLike) -> Ints:
        """Bytes of the activations that are alive at once in each genotype, (N, decisions); shape (N,)."""
        found = np.zeros(len(np.atleast_2d(np.asarray(genotypes))), np.int64)
        for part, index, rows in self._gathered(genotypes):
            np.maximum(found[part], rows[4][index], out=found[part])
        return found * self._bytes

    def _sum(self, genotypes: npt.ArrayLike, figure: int) -> Ints:
        found = np.zeros(len(np.atleast_2d(np.asarray(genotypes))), np.int64)
        for part, index, rows in self._gathered(genotypes):
            found[part] += rows[figure][index]
        return found

    def _gathered(self, genotypes: npt.ArrayLike) -> Iterator[tuple[slice, npt.NDArray[np.intp], Ints]]:
        """For every chunk and factor: where the chunk lies, its combinations, and the factor's figures."""
        array = np.atleast_2d(np.asarray(genotypes))
        for start in range(0, len(array), CHUNK):
            part = slice(start, min(start + CHUNK, len(array)))
            columns = np.ascontiguousarray(array[part].T, np.intp)
            for index, rows in self._tables:
                yield part, index.of(columns), rows
