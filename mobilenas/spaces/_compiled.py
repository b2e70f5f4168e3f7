"""What genotypes cost besides latency, as array look-ups."""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import product

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import ACTIVATION_BYTES, OpSpec
from mobilenas.spaces._emitted import Emitted
from mobilenas.spaces.space import Factor, Genotype, SearchSpace

Ints = npt.NDArray[np.int64]
CHUNK = 8192
"""Genotypes that are looked up at once, so that the intermediate arrays stay in the cache."""


def checked_genotypes(genotypes: npt.ArrayLike, sizes: Sequence[int]) -> npt.NDArray[np.integer]:
    """Genotypes as an array, shape (N, decisions); one may stand by itself. `columns_of` looks at the choices.

    Args:
        genotypes: Integers.
        sizes: Number of choices of every decision.

    Raises:
        InputError: If they are no integers (an empty list is fine), or not as many as there are decisions.
    """
    try:
        array = np.asarray(genotypes)
    except ValueError as error:
        raise InputError(f"genotypes of several lengths are not accepted; give {len(sizes)} integers each") from error
    if array.shape == (0,):
        array = np.zeros((0, len(sizes)), np.intp)
    array = np.atleast_2d(array)
    if array.ndim != 2 or array.shape[1] != len(sizes):
        raise InputError(
            f"genotypes of shape {array.shape} are not accepted; give (N, {len(sizes)}), a column a decision"
        )
    if array.dtype.kind not in "iu":
        raise InputError(f"genotypes of type {array.dtype} are not accepted; give integers, the indices of choices")
    return array


def columns_of(genotypes: npt.NDArray[np.integer], sizes: Sequence[int]) -> npt.NDArray[np.intp]:
    """Some genotypes by decision, shape (decisions, N).

    Args:
        genotypes: From `checked_genotypes`.
        sizes: Number of choices of every decision.

    Raises:
        InputError: If a choice is negative or there is no such one; the text names it.
    """
    columns = np.ascontiguousarray(genotypes.T)
    unsigned = columns.view(columns.dtype.str.replace("i", "u"))  # what is negative is very large: one look is enough
    if columns.size and (wrong := np.flatnonzero(unsigned.max(1) >= np.asarray(sizes))).size:
        decision = int(wrong[0])
        choice = columns[decision, unsigned[decision].argmax()]
        raise InputError(f"choice {choice} of decision {decision} is not accepted; give 0 to {sizes[decision] - 1}")
    return columns.astype(np.intp, copy=False)


class FactorIndex:
    """Numbers the combinations of one factor's choices.

    Args:
        factor: The factor.
        sizes: Number of choices of every decision of its space.
    """

    def __init__(self, factor: Factor, sizes: Sequence[int]) -> None:
        self.decisions = factor.decisions
        self.space_sizes = tuple(sizes)
        self._sizes = [sizes[d] for d in factor.decisions]
        self._strides = [int(np.prod(self._sizes[i + 1 :])) for i in range(len(self._sizes))]

    def combinations(self) -> Iterator[Genotype]:
        """All combinations, in the order of their numbers."""
        return product(*(range(size) for size in self._sizes))

    def of(self, genotypes: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        """Which combination each genotype has, given by `columns_of` as (decisions, N); shape (N,)."""
        if not self.decisions:
            return np.zeros(genotypes.shape[1], np.intp)
        index: npt.NDArray[np.intp] = genotypes[self.decisions[0]] * self._strides[0]
        for decision, stride in zip(self.decisions[1:], self._strides[1:], strict=True):
            index += genotypes[decision] * stride if stride > 1 else genotypes[decision]
        return index


Pieces = Sequence[tuple[FactorIndex, Sequence[Emitted]]]
"""For each factor, what each combination of its choices emits."""


class CompiledFigure:
    """A figure of genotypes that is the sum, or the largest, of what their pieces have.

    Args:
        pieces: Of the space.
        figure: The figure of one piece.
        largest: Whether the largest counts, and not the sum.
    """

    def __init__(self, pieces: Pieces, figure: Callable[[Emitted], int], *, largest: bool = False) -> None:
        self._tables = [(index, np.array([figure(piece) for piece in row], np.int64)) for index, row in pieces]
        self._largest = largest

    def __call__(self, genotypes: npt.ArrayLike) -> Ints:
        """The figure of each genotype, integers (N, decisions); shape (N,).

        Raises:
            InputError: If they are no genotypes of the space.
        """
        sizes = self._tables[0][0].space_sizes
        array = checked_genotypes(genotypes, sizes)
        found = np.zeros(len(array), np.int64)
        for start in range(0, len(array), CHUNK):
            part = found[start : start + CHUNK]
            columns = columns_of(array[start : start + CHUNK], sizes)
            for index, rows in self._tables:
                if self._largest:
                    np.maximum(part, rows[index.of(columns)], out=part)
                else:
                    part += rows[index.of(columns)]
        return found


class CompiledCosts:
    """Multiply-adds, parameters, weights and memory of genotypes without building their graphs.

    Each is a function of genotypes, shape (N, decisions), that gives whole numbers, shape (N,); they are those of the
    decoded graphs.

    Args:
        space: The space.
        dtype: Element type of weights and activations.
    """

    def __init__(self, space: SearchSpace, dtype: str = "float32") -> None:
        self.dtype = dtype
        self._space = space

    @cached_property
    def macs(self) -> CompiledFigure:
        """Multiply-adds."""
        return self.sum_over_ops(lambda op: op.macs)

    @cached_property
    def ops(self) -> CompiledFigure:
        """Operations."""
        return self.sum_over_ops(lambda op: 1)

    @cached_property
    def params(self) -> CompiledFigure:
        """Trainable parameters."""
        return CompiledFigure(self._pieces, lambda piece: piece.params)

    @cached_property
    def weight_bytes(self) -> CompiledFigure:
        """Bytes of the weights."""
        return self.sum_over_ops(lambda op: op.weight_bytes(self.dtype))

    @cached_property
    def peak_memory_bytes(self) -> CompiledFigure:
        """Bytes of the activations that are alive at once."""
        size = ACTIVATION_BYTES[self.dtype]
        return CompiledFigure(self._pieces, lambda piece: piece.peak_elements * size, largest=True)

    def sum_over_ops(self, figure: Callable[[OpSpec], int]) -> CompiledFigure:
        """The sum of any figure of single ops."""
        return CompiledFigure(self._pieces, lambda piece: sum(figure(op) * count for op, count in piece.ops.items()))

    @cached_property
    def _pieces(self) -> Pieces:
        found = []
        for factor in self._space.factors():
            index = FactorIndex(factor, self._space.sizes)
            found.append((index, [factor.emit(choices) for choices in index.combinations()]))
        return found
