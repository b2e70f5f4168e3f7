"""SearchSpace: decisions, and the networks they stand for."""

import operator
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import floor, log10, prod

import numpy as np
import numpy.typing as npt

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.spaces._emitted import Emitted

Choice = str | int | float
Genotype = tuple[int, ...]
"""One index a decision: what a controller emits, evolution mutates and a table look-up takes."""

Genotypes = npt.NDArray[np.uint8]
"""Many genotypes, shape (N, decisions)."""


@dataclass(frozen=True)
class Factor:
    """Decisions whose ops interact, such as a block's own and the filters before it.

    Attributes:
        decisions: Indices of the decisions; none for what every network of the space has.
        emit: Gives what one combination of their choices emits, one index for each of `decisions`, in their order.
    """

    decisions: tuple[int, ...]
    emit: Callable[[Genotype], Emitted]

    def ops(self, choices: Genotype) -> Counter[OpSpec]:
        """The ops that this factor contributes.

        Args:
            choices: One index for each of `decisions`, in their order.
        """
        return self.emit(choices).ops


class SearchSpace(ABC):
    """A finite set of networks, each named by a genotype.

    A subclass says what the decisions are, which network a genotype is, and how its ops are a sum over factors; latency
    and weights are then sums over the same factors. It takes keyword arguments `resolution` (None: the space's own
    choices) and `num_classes`. Its decisions do not change once it is made; each has 1 to 256 choices, all different.

    Args:
        resolution: Input size in pixels, 224 by default; the largest where the space chooses it.
        num_classes: Number of classes.
    """

    name: str

    def __init__(self, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        self.resolution = 224 if resolution is None else resolution
        self.num_classes = num_classes

    @property
    @abstractmethod
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        """The choices of every decision, in genotype order."""

    @abstractmethod
    def decode(self, genotype: Sequence[int]) -> Arch:
        """The network of a genotype.

        Raises:
            InputError: If the genotype does not fit the decisions.
        """

    @abstractmethod
    def factors(self) -> tuple[Factor, ...]:
        """Factors that add up, for every genotype, to the decoded graph.

        Op counts and parameters are sums over the factors, peak memory is the largest of theirs.
        """

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of choices of every decision."""
        return tuple(len(choices) for choices in self.decisions.values())

    @property
    def size(self) -> int:
        """Number of genotypes; different genotypes may be the same network."""
        return prod(self.sizes)

    @property
    def size_text(self) -> str:
        """The size to two digits, however large."""
        left_out = max(0, floor(log10(self.size)) - 20)  # digits: a float holds no more than 308
        figure, _, power = f"{self.size // 10**left_out:.2g}".partition("e")
        return f"{figure}e+{int(power) + left_out:02}" if power else figure

    def check(self, genotype: Sequence[int]) -> Genotype:
        """The genotype as a tuple of whole numbers.

        Raises:
            InputError: If its length or one of its indices does not fit.
        """
        if len(genotype) != len(self.sizes):
            raise InputError(
                f"{self.name}: a genotype of {len(genotype)} is not accepted; give {len(self.sizes)} choices"
            )
        try:
            checked = tuple(operator.index(choice) for choice in genotype)
        except TypeError as error:
            raise InputError(f"{self.name}: {tuple(genotype)!r} is not accepted; give whole numbers") from error
        for name, size, choice in zip(self.decisions, self.sizes, checked, strict=True):
            if not 0 <= choice < size:
                raise InputError(f"{self.name}: {name}: choice {choice} is not accepted; give 0 to {size - 1}")
        return checked

    def choices(self, genotype: Sequence[int]) -> dict[str, Choice]:
        """The chosen value of every decision, by name.

        Raises:
            InputError: If the genotype does not fit the decisions.
        """
        checked = self.check(genotype)
        return {name: options[i] for (name, options), i in zip(self.decisions.items(), checked, strict=True)}

    def encode(self, choices: Mapping[str, Choice]) -> Genotype:
        """The genotype of chosen values; inverts `choices`.

        Raises:
            InputError: If a decision is missing or unknown, or a value is none of its choices.
        """
        unknown = choices.keys() - self.decisions.keys()
        if unknown:
            raise InputError(f"{self.name}: unknown decision {min(unknown)!r}; accepted: {', '.join(self.decisions)}")
        genotype = []
        for name, options in self.decisions.items():
            if choices.get(name) not in options:
                raise InputError(f"{self.name}: {name}: {choices.get(name)!r} is not accepted; give one of {options}")
            genotype.append(options.index(choices[name]))
        return tuple(genotype)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """A genotype, every choice equally likely."""
        return tuple(rng.integers(0, self.sizes).tolist())

    def sample_batch(self, count: int, rng: np.random.Generator) -> Genotypes:
        """Genotypes as an array, shape (count, decisions)."""
        return rng.integers(0, self.sizes, (count, len(self.sizes)), dtype=np.uint8)

    def mutate(self, genotype: Sequence[int], rng: np.random.Generator) -> Genotype:
        """The genotype with one decision changed to another choice; itself if no decision leaves a choice.

        Every decision is equally likely, and every other choice of it.

        Raises:
            InputError: If the genotype does not fit the decisions.
        """
        changed = list(self.check(genotype))
        open_decisions = [i for i, size in enumerate(self.sizes) if size > 1]
        if not open_decisions:
            return tuple(changed)
        where = open_decisions[int(rng.integers(len(open_decisions)))]
        changed[where] = (changed[where] + 1 + int(rng.integers(self.sizes[where] - 1))) % self.sizes[where]
        return tuple(changed)

    def crossover(self, a: Sequence[int], b: Sequence[int], rng: np.random.Generator) -> Genotype:
        """A genotype that takes each decision from either parent, both equally likely.

        Raises:
            InputError: If a genotype does not fit the decisions.
        """
        picks = rng.integers(0, 2, len(self.sizes))
        return tuple(x if pick else y for x, y, pick in zip(self.check(a), self.check(b), picks, strict=True))

    @cached_property
    def _ops(self) -> frozenset[OpSpec]:
        found: set[OpSpec] = set()
        for factor in self.factors():
            for choices in product(*(range(self.sizes[d]) for d in factor.decisions)):
                found.update(factor.ops(choices))
        return frozenset(found)

    def distinct_ops(self) -> frozenset[OpSpec]:
        """Every op that some network of the space has: what a table must hold."""
        return self._ops
