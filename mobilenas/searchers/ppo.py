"""PPO: a controller that goes several steps a batch, but not far. Needs torch."""

from typing import TYPE_CHECKING

from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._policy_search import PolicySearch, PolicySettings
from mobilenas.settings import check
from mobilenas.spaces import Genotypes

if TYPE_CHECKING:
    from torch import Tensor

DEFAULTS = PolicySettings(learning_rate=1e-3, batch=10, entropy=1e-4, baseline_decay=0.95)
EPOCHS, CLIP = 4, 0.2


class PPO(PolicySearch):
    """Several clipped steps of the policy gradient a batch: MnasNet's sample, evaluate, update.

    Args:
        feasible: Where proposals come from.
        seed: Of all random numbers, from 0.
        budget: Not used.
        settings: How the controller is built and trained.
        epochs: Steps on each batch.
        clip: How far the probability of a choice may move in them before its gradient is cut off.

    Raises:
        FieldError: If a setting is not accepted.
        InputError: If torch is not installed.

    Source: Schulman et al., arXiv 1707.06347, equation 7; as the searcher of MnasNet, arXiv 1807.11626, section 4.2.
    Differs from the paper: settings are not NASNet's (arXiv 1707.07012, appendix A; MnasNet names none), since a search
        here has hundreds of samples and not tens of thousands: learning rate 1e-3 (3.5e-4), 10 networks an update (20),
        entropy weight 1e-4 (1e-5), an LSTM of 64 (100); the baseline's decay of 0.95 is NASNet's. As there, the
        advantage is the reward minus a moving average, not a learnt value function. What is not feasible is not
        sampled, and the gradient takes no account of that. Probabilities before the update are those at its beginning:
        samples that were asked for before an earlier update, as workers do, count as the controller's of now.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        *,
        seed: int,
        budget: int | None = None,
        settings: PolicySettings = DEFAULTS,
        epochs: int = EPOCHS,
        clip: float = CLIP,
    ) -> None:
        super().__init__(feasible, seed=seed, budget=budget, settings=settings)
        check(epochs >= 1, "epochs", epochs, "a whole number from 1")
        check(0 < clip < 1, "clip", clip, "a number between 0 and 1")
        self.epochs, self.clip = epochs, clip

    def _update(self, genotypes: Genotypes, advantages: "Tensor") -> None:
        before = self.controller.log_probabilities(genotypes)[0].detach()
        for _ in range(self.epochs):
            log_probabilities, entropies = self.controller.log_probabilities(genotypes)
            loss = ppo_loss(log_probabilities, before, advantages, entropies, self.settings.entropy, self.clip)
            self._step(loss)


def ppo_loss(
    log_probabilities: "Tensor",
    before: "Tensor",
    advantages: "Tensor",
    entropies: "Tensor",
    weight: float,
    clip: float,
) -> "Tensor":
    """What PPO descends on.

    Args:
        log_probabilities: Of every choice, shape (N, decisions).
        before: The same when they were sampled.
        advantages: Reward minus baseline, shape (N,).
        entropies: Of every decision, shape (N, decisions).
        weight: Of the entropy.
        clip: How far a probability may move from 1 times the old one.

    Returns:
        A scalar.
    """
    ratios = (log_probabilities - before).exp()
    gains = advantages[:, None]
    clipped = (ratios * gains).minimum(ratios.clamp(1 - clip, 1 + clip) * gains)
    return -(clipped.sum(1) + weight * entropies.sum(1)).mean()
