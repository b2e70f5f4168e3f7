"""Local search: from neighbour to better neighbour."""

from typing import Any

import numpy as np

from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.searcher import Searcher
from mobilenas.settings import check
from mobilenas.spaces import Genotype

INITIAL = 10


class LocalSearch(Searcher):
    """Climbs from the best of some random networks, one changed decision at a time; at a summit it starts anew.

    The feasible neighbours of the current network are tried in random order. The first that is better becomes the
    current one. Where none is, the search goes on from the best of `initial` further random networks.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Evaluations that the run plans, where that is known.
        initial: Random networks before a climb; by default 10, or a fifth of a budget below 50, at least 1.

    Raises:
        FieldError: If a setting is not accepted.

    Source: White et al., Local search is state of the art for NAS benchmarks, arXiv 2005.02960, algorithm 1, with its
        variant that moves on as soon as a neighbour is better ("query until lower"), and restarts.
    Differs from the paper: neighbours are feasible.
    """

    def __init__(
        self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, initial: int | None = None
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget)
        if initial is None:
            initial = INITIAL if budget is None else min(INITIAL, max(1, budget // 5))
        check(initial >= 1, "initial", initial, "a whole number from 1")
        self.initial = initial
        self._left_to_draw = initial
        self._current: Genotype | None = None
        self._height: float | None = None
        self._untried: list[Genotype] | None = None
        self._proposed: set[bytes] = set()

    def tell(self, trial: Trial) -> None:
        """Moves to the trial if it is better than the current network."""
        if trial.reward is not None and (self._height is None or trial.reward > self._height):
            self._current, self._height, self._untried = trial.genotype, trial.reward, None

    def _propose(self, rng: np.random.Generator) -> Genotype:
        if self._left_to_draw == 0 and self._current is not None:
            neighbour = self._neighbour(self._current, rng)
            if neighbour is not None:
                return self._noted(neighbour)
            self._left_to_draw, self._current, self._height = self.initial, None, None
        self._left_to_draw = max(0, self._left_to_draw - 1)
        return self._noted(self._feasible.sample_new(rng, lambda genotype: bytes(genotype) in self._proposed))

    def _noted(self, proposal: Genotype) -> Genotype:
        self._proposed.add(bytes(proposal))
        return proposal

    def _neighbour(self, current: Genotype, rng: np.random.Generator) -> Genotype | None:
        """A neighbour that was not proposed yet; None if there is none."""
        if self._untried is None:
            around = self._feasible.neighbours(current)
            self._untried = [tuple(row) for row in around[rng.permutation(len(around))].tolist()]
        while self._untried:
            proposal = self._untried.pop()
            if bytes(proposal) not in self._proposed and self._feasible.contains(proposal):
                return proposal
        return None

    def _state(self) -> dict[str, Any]:
        return {
            "left_to_draw": self._left_to_draw,
            "current": None if self._current is None else list(self._current),
            "height": self._height,
            "untried": None if self._untried is None else [list(genotype) for genotype in self._untried],
            "proposed": sorted(key.hex() for key in self._proposed),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        check_genotype = self._feasible.space.check
        self._left_to_draw = int(state["left_to_draw"])
        self._current = None if state["current"] is None else check_genotype(state["current"])
        self._height = None if state["height"] is None else float(state["height"])
        untried = state["untried"]
        self._untried = None if untried is None else [check_genotype(genotype) for genotype in untried]
        self._proposed = {bytes.fromhex(key) for key in state["proposed"]}
