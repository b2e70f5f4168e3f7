"""TabularEvaluator: accuracies that were measured before."""

import csv
import io
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from mobilenas.arch import Arch
from mobilenas.errors import InputError, shorten
from mobilenas.evaluators._batch import BatchEvaluator, Evaluations
from mobilenas.evaluators.evaluator import Evaluation
from mobilenas.spaces import Genotype, Genotypes, SearchSpace
from mobilenas.storage import read_text

Floats = npt.NDArray[np.float64]
LARGEST_SPACE = 2**62


class TabularEvaluator(BatchEvaluator):
    """Looks accuracies up: an exact oracle for search algorithms.

    Genotypes that are one network may have different accuracies, since each was trained on its own; so a network is
    looked up by the name that its space gave it, not by what it computes.

    Args:
        space: The space.
        genotypes: Networks of it, all different, shape (N, decisions).
        accuracies: In [0, 1], shape (N,).
        name: What the table is called.

    Raises:
        InputError: If a genotype stands there twice or does not fit the space, an accuracy is not in [0, 1], or the
            space is larger than 2**62.
    """

    def __init__(self, space: SearchSpace, genotypes: Genotypes, accuracies: Floats, *, name: str = "table") -> None:
        if space.size > LARGEST_SPACE:
            raise InputError(f"{space.name} has {space.size} genotypes; a table takes spaces of 2**62 at most")
        if len(genotypes) == 0 or np.shape(genotypes)[1:] != (len(space.sizes),):
            raise InputError(
                f"{name}: {np.shape(genotypes)} is not accepted; give (networks, {len(space.sizes)}) choices"
            )
        if not ((genotypes >= 0) & (genotypes < np.array(space.sizes))).all():
            raise InputError(f"{name}: a choice is none of {space.name}'s; give 0 to its number of choices - 1")
        if not ((accuracies >= 0) & (accuracies <= 1)).all():
            raise InputError(f"{name}: an accuracy is not accepted; give numbers in [0, 1]")
        self._space, self._name = space, name
        codes = self._codes(genotypes)
        order = np.argsort(codes)
        self._known, self._accuracies = codes[order], np.asarray(accuracies, float)[order]
        if (np.diff(self._known) == 0).any():
            raise InputError(f"{name}: a genotype stands there twice; remove one of them")

    @classmethod
    def from_csv(cls, space: SearchSpace, path: Path, *, genotype: str, accuracy_percent: str) -> Self:
        """Reads a table with a header line.

        Args:
            space: The space.
            path: The file.
            genotype: Column of the genotypes, one digit a decision.
            accuracy_percent: Column of the accuracies, in percent.

        Raises:
            InputError: If the file or a column is missing, or a line is not valid; the text names it.
        """
        rows, genotypes, accuracies = csv.DictReader(io.StringIO(read_text(path, "table"))), [], []
        for column in (genotype, accuracy_percent):
            if column not in (rows.fieldnames or ()):
                raise InputError(f"{path}: no column {column!r}; it has {', '.join(rows.fieldnames or ())}")
        for row in rows:
            try:
                genotypes.append(space.check([int(digit) for digit in row[genotype]]))
                accuracies.append(float(row[accuracy_percent]) / 100)
            except (InputError, TypeError, ValueError) as error:
                raise InputError(f"{path} line {rows.line_num}: {shorten(row)} is not accepted ({error})") from error
        return cls(space, np.array(genotypes, np.uint8), np.array(accuracies), name=path.name)

    @property
    def space(self) -> SearchSpace:
        """The space that the table is of."""
        return self._space

    @property
    def settings(self) -> Mapping[str, object]:
        """The table's name and space."""
        return {"evaluator": "tabular", "table": self._name, "space": self._space.name}

    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """Looks a network of `space` up by its name; `seed` has no effect.

        Raises:
            InputError: If the table does not have it.
        """
        genotype = self._genotypes.get(arch.name)
        if genotype is None:
            raise InputError(f"{self._name} does not have {arch.name}; give a network of {self._space.name}")
        return Evaluation(accuracy=float(self.evaluate_batch([genotype]).accuracy[0]))

    def evaluate_batch(self, genotypes: npt.ArrayLike) -> Evaluations:
        """Looks networks of `space` up; their deviation is 0.

        Args:
            genotypes: Valid choices, shape (N, decisions).

        Raises:
            InputError: If the table does not have one of them.
        """
        array = np.atleast_2d(np.asarray(genotypes))
        codes = self._codes(array)
        places = np.minimum(np.searchsorted(self._known, codes), len(self._known) - 1)
        missing = self._known[places] != codes
        if missing.any():
            raise InputError(f"{self._name} does not have genotype {tuple(array[missing.argmax()].tolist())}")
        return Evaluations(self._accuracies[places], np.zeros(len(array)), np.zeros(len(array), bool))

    def _codes(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """One number a genotype."""
        return np.asarray(np.ravel_multi_index(tuple(genotypes.T.astype(np.int64)), self._space.sizes), np.int64)

    @cached_property
    def _genotypes(self) -> dict[str, Genotype]:
        """Every genotype of the table, by its network's name."""
        rows = np.stack(np.unravel_index(self._known, self._space.sizes), axis=1).tolist()
        return {self._space.decode(row).name: tuple(row) for row in rows}
