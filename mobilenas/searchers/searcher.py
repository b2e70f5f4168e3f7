"""Searcher: proposes networks, one at a time."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from mobilenas.errors import InputError
from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.settings import check
from mobilenas.spaces import Genotype


class Searcher(ABC):
    """Maximises the reward of trials over the feasible genotypes of a space.

    The search loop asks for a genotype, evaluates it, and tells the trial, failed ones too; a genotype that comes again
    is told again. Several may be asked for before the first is told.

    Random numbers of the i-th `ask` derive from the seed and i alone. So a searcher of the same settings that is asked
    and told the same, or that loads the state of another, proposes the same from there on.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Evaluations that the run plans, where that is known: by it a searcher sizes what it builds up.

    Attributes:
        batch: How many proposals do not wait for each other's outcome: so many are asked for at once where evaluations
            come in batches.

    Raises:
        FieldError: If a setting is not accepted.
    """

    batch: int = 1

    def __init__(self, feasible: FeasibleSet, *, seed: int, budget: int | None = None) -> None:
        check(seed >= 0, "seed", seed, "a whole number from 0")
        check(budget is None or budget >= 1, "budget", budget, "a whole number from 1")
        self._feasible, self._seed, self._asked = feasible, seed, 0

    def ask(self) -> Genotype:
        """The genotype to evaluate next; called once for every trial.

        Raises:
            TargetError: If no network is feasible.
        """
        proposal = self._propose(np.random.default_rng([self._seed, self._asked]))
        self._asked += 1
        return proposal

    def ask_batch(self, count: int) -> list[Genotype]:
        """The next `count` proposals, fewer where nothing new is found; by default what as many calls of `ask` give.

        Raises:
            TargetError: If no network is feasible.
        """
        return [self.ask() for _ in range(count)]

    @abstractmethod
    def tell(self, trial: Trial) -> None:
        """Learns from an evaluated proposal; called once for every `ask`, in the order in which evaluations end."""

    def state_dict(self) -> dict[str, Any]:
        """What the searcher knows, as JSON values; called between `ask`s to keep it."""
        return {"asked": self._asked, **self._state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from a kept state; called on a new searcher of the same settings, before the first `ask`.

        Raises:
            InputError: If it is no state of this kind of searcher.
        """
        try:
            asked = int(state["asked"])
            self._load_state(state)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"not a state of {type(self).__name__}: {error}; start the search anew") from error
        self._asked = asked

    @abstractmethod
    def _propose(self, rng: np.random.Generator) -> Genotype:
        """The next proposal; `self._asked` says how many came before."""

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """The state beside the number of `ask`s."""

    @abstractmethod
    def _load_state(self, state: dict[str, Any]) -> None:
        """Takes what `_state` gave; a KeyError, TypeError or ValueError says that it is something else."""
