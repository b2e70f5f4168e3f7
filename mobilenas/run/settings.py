"""SearchSettings: everything that decides what a search does."""

import math
from dataclasses import dataclass
from typing import Literal

from mobilenas.errors import InputError
from mobilenas.objectives import DEFAULT_RISK, Reward
from mobilenas.settings import Settings, check

RewardName = Literal["soft", "hard", "absolute", "strict"]
ThirdName = Literal["macs", "params", "size", "memory"]
OPTIONAL_LIMITS = ("max_macs", "max_params", "max_size_mb", "max_memory_mb")


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Settings):
    """Settings of `mobilenas search`; `run.json` keeps them.

    Attributes:
        target_ms: Latency that the result must not exceed: measured, or predicted where nothing can be measured.
        device: Name of a device, or path of its `.toml`.
        also: Further devices with their targets, each "DEVICE=MILLISECONDS".
        risk: Probability that a network whose prediction just meets the target misses it, up to 0.5.
        max_macs: Most multiply-adds, where given.
        max_params: Most parameters, where given.
        max_size_mb: Most millions of bytes of the exported file, where given.
        max_memory_mb: Most millions of bytes of activations that are alive at once, where given.
        dtype: Element type of the result; "auto" for the faster of float32 and int8, unless that loses more than
            `max_drop`.
        max_drop: Accuracy that the exported file may lose, [0, 1].
        space: Name of a search space, or path of a space file.
        searcher: Name of a searcher.
        evaluator: Where accuracy comes from.
        data: Images by class; see `load_data`. None where the evaluator needs none.
        resolution: Input size in pixels; by default the data's, or the space's.
        trials: Distinct evaluations.
        trial_epochs: Epochs of each of them.
        final_epochs: Epochs of the winner; 0 for the recipe's own.
        reward: "soft" or "hard", as MnasNet has them, "absolute" or "strict".
        alpha: The reward's own, where given.
        beta: The reward's own, where given.
        pareto_third: A figure that counts in the Pareto front besides accuracy and latency.
        baseline: Whether random search with as many trials is made even where its networks must be trained.
        workers: How many networks are evaluated at once, each in a process of its own; by default one, in this process,
            or with `ray` as many as that has room for.
        ray: Address of the Ray cluster that evaluates them; "auto" for the one of this machine, "local" for a new one.
        trial_timeout: Seconds after which a worker's evaluation counts as hung; by default see `Pool`.
        seed: Every random stream derives from it.

    Raises:
        FieldError: If a value is not accepted.
    """

    target_ms: float
    device: str = "host"
    dtype: str = "float32"
    max_drop: float = 0.01
    space: str = "mnasnet"
    searcher: str = "regularized_evolution"
    evaluator: str = "short_training"
    data: str | None = None
    resolution: int | None = None
    trials: int = 12
    trial_epochs: int = 5
    final_epochs: int = 0
    reward: RewardName = "soft"
    alpha: float | None = None
    beta: float | None = None
    risk: float = DEFAULT_RISK
    also: tuple[str, ...] = ()
    max_macs: float | None = None
    max_params: float | None = None
    max_size_mb: float | None = None
    max_memory_mb: float | None = None
    pareto_third: ThirdName | None = None
    baseline: bool = False
    workers: int | None = None
    ray: str | None = None
    trial_timeout: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        fine = math.isfinite(self.target_ms) and self.target_ms > 0
        check(0 <= self.max_drop < 1, "max_drop", self.max_drop, "a share of the images, from 0 to below 1")
        check(fine, "target_ms", self.target_ms, "milliseconds above 0")
        check(0 < self.risk <= 0.5, "risk", self.risk, "a number above 0, at most 0.5")
        for name in OPTIONAL_LIMITS:
            limit = getattr(self, name)
            check(limit is None or 0 < limit < math.inf, name, limit, "a number above 0")
        Reward.named(self.reward, alpha=self.alpha, beta=self.beta)
        for each in self.also:
            self.other_target(each)
        check(1 <= self.trials <= 10**7, "trials", self.trials, "a whole number from 1 to 10000000")
        check(1 <= self.trial_epochs <= 10_000, "trial_epochs", self.trial_epochs, "a whole number from 1 to 10000")
        check(0 <= self.final_epochs <= 10_000, "final_epochs", self.final_epochs, "a whole number from 0 to 10000")
        check(
            self.workers is None or 1 <= self.workers <= 1000, "workers", self.workers, "a whole number from 1 to 1000"
        )
        fine = self.trial_timeout is None or 0 < self.trial_timeout < math.inf
        check(fine, "trial_timeout", self.trial_timeout, "seconds above 0")
        if self.trial_timeout is not None and self.workers is None and self.ray is None:
            raise InputError("trial_timeout ends hung workers, and there is none: give --workers 1 or more, or --ray")
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")

    @staticmethod
    def other_target(text: str) -> tuple[str, float]:
        """Device and milliseconds of an entry of `also`.

        Raises:
            FieldError: If it is no "DEVICE=MILLISECONDS".
        """
        device, _, number = text.rpartition("=")
        try:
            target_ms = float(number)
        except ValueError:
            target_ms = math.nan
        check(bool(device) and 0 < target_ms < math.inf, "also", text, "DEVICE=MILLISECONDS, such as pixel1=75")
        return device, target_ms
