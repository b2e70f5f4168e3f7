"""Random search: the baseline of every other searcher."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.searcher import Searcher
from mobilenas.spaces import Genotype

BATCH, OVERDRAW = 1024, 4


class RandomSearch(Searcher):
    """Proposes random feasible genotypes, none twice while new ones are found.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Not used.

    Source: Li and Talwalkar, arXiv 1902.07638, section 3: random search as the baseline of architecture search.
    Differs from the paper: no weights are shared, and what was proposed is drawn again.
    """

    batch = BATCH

    def __init__(self, feasible: FeasibleSet, *, seed: int, budget: int | None = None) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        self._proposed: set[int] = set()

    def ask_batch(self, count: int) -> list[Genotype]:
        """Many proposals for few calls; they are others than those of `ask`. The first known one ends them."""
        rng = np.random.default_rng([self._seed, self._asked])
        drawn = self._feasible.space.sample_batch(OVERDRAW * count, rng)
        found: list[Genotype] = []
        for row in drawn[self._feasible.mask(drawn)].tolist():
            if len(found) == count:
                break
            key = _key(row)
            if key not in self._proposed:
                self._proposed.add(key)
                found.append(tuple(row))
        self._asked += len(found)
        known = False
        while len(found) < count and not known:
            before = len(self._proposed)
            found.append(self.ask())
            known = len(self._proposed) == before
        return found

    def tell(self, trial: Trial) -> None:
        """Learns nothing: what comes next does not depend on what came out."""

    def _propose(self, rng: np.random.Generator) -> Genotype:
        proposal = self._feasible.sample_new(rng, lambda genotype: _key(genotype) in self._proposed)
        self._proposed.add(_key(proposal))
        return proposal

    def _state(self) -> dict[str, Any]:
        return {"proposed": sorted(self._proposed)}

    def _load_state(self, state: dict[str, Any]) -> None:
        self._proposed = {int(key) for key in state["proposed"]}


def _key(genotype: Sequence[int]) -> int:
    """A number that tells genotypes apart: of a million, two share one with a probability of 3e-8."""
    return int.from_bytes(blake2b(bytes(genotype), digest_size=8).digest(), "little")
