"""REINFORCE: a controller that makes likelier what was better than usual. Needs torch."""

from typing import TYPE_CHECKING

from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._policy_search import PolicySearch, PolicySettings
from mobilenas.spaces import Genotypes

if TYPE_CHECKING:
    from torch import Tensor

DEFAULTS = PolicySettings(learning_rate=3.5e-3, batch=10, entropy=1e-4, baseline_decay=0.95)


class Reinforce(PolicySearch):
    """One step of the policy gradient a batch, with a moving-average baseline.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Not used.
        settings: How the controller is built and trained.

    Raises:
        FieldError: If a setting is not accepted.
        InputError: If torch is not installed.

    Source: Zoph and Le, arXiv 1611.01578, section 3.2; learning rate, entropy weight and batch as ENAS's,
        arXiv 1802.03268.
    Differs from the paper: the baseline keeps 0.95 of itself (ENAS: 0.99), and there is no tanh constant (ENAS: 1.10)
        unless one is set; what is not feasible is not sampled, and the gradient takes no account of that; the reward is
        the search's, not the cubed accuracy.
    """

    def __init__(
        self, feasible: FeasibleSet, *, seed: int, budget: int | None = None, settings: PolicySettings = DEFAULTS
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget, settings=settings)

    def _update(self, genotypes: Genotypes, advantages: "Tensor") -> None:
        log_probabilities, entropies = self.controller.log_probabilities(genotypes)
        self._step(reinforce_loss(log_probabilities, advantages, entropies, self.settings.entropy))


def reinforce_loss(log_probabilities: "Tensor", advantages: "Tensor", entropies: "Tensor", weight: float) -> "Tensor":
    """What REINFORCE descends on; its gradient is minus that of the expected reward, estimated from samples.

    Args:
        log_probabilities: Of every choice, shape (N, decisions).
        advantages: Reward minus baseline, shape (N,).
        entropies: Of every decision, shape (N, decisions).
        weight: Of the entropy.

    Returns:
        A scalar.
    """
    return -(advantages * log_probabilities.sum(1) + weight * entropies.sum(1)).mean()
