"""Random search: the baseline of every other searcher."""

from typing import Any

import numpy as np

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.searcher import Searcher
from mobilenas.spaces import Genotype

DRAWS = 20
"""So many genotypes are drawn for one that was not proposed before."""


class RandomSearch(Searcher):
    """Proposes random feasible genotypes, none twice while new ones are found.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Not used.

    Source: Li and Talwalkar, arXiv 1902.07638, section 3: random search as the baseline of architecture search.
    Differs from the paper: no weights are shared, and what was proposed is drawn again.
    """

    def __init__(self, feasible: FeasibleSet, *, seed: int, budget: int | None = None) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        self._proposed: set[bytes] = set()

    def tell(self, trial: Trial) -> None:
        """Learns nothing: what comes next does not depend on what came out."""

    def _propose(self, rng: np.random.Generator) -> Genotype:
        for _ in range(DRAWS):
            proposal = self._feasible.sample(rng)
            if bytes(proposal) not in self._proposed:
                break
        self._proposed.add(bytes(proposal))
        return proposal

    def _state(self) -> dict[str, Any]:
        return {"proposed": sorted(key.hex() for key in self._proposed)}

    def _load_state(self, state: dict[str, Any]) -> None:
        self._proposed = {bytes.fromhex(key) for key in state["proposed"]}
