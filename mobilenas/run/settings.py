"""SearchSettings: everything that decides what a search does."""

import math
from dataclasses import dataclass
from typing import Literal

from mobilenas.settings import Settings, check

RewardName = Literal["soft", "hard"]


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Settings):
    """Settings of `mobilenas search`; `run.json` keeps them.

    Attributes:
        target_ms: Latency that the result must not exceed when measured.
        device: Name of a device, or path of its `.toml`.
        dtype: Element type of the result.
        space: Name of a search space.
        searcher: Name of a searcher.
        evaluator: Where accuracy comes from.
        data: Images by class; see `load_data`.
        resolution: Input size in pixels; by default the data's.
        trials: Distinct evaluations.
        trial_epochs: Epochs of each of them.
        final_epochs: Epochs of the winner; 0 for the recipe's own.
        reward: "soft" or "hard", as MnasNet has them.
        seed: Every random stream derives from it.

    Raises:
        FieldError: If a value is not accepted.
    """

    target_ms: float
    device: str = "host"
    dtype: str = "float32"
    space: str = "mnasnet"
    searcher: str = "regularized_evolution"
    evaluator: str = "short_training"
    data: str = "digits"
    resolution: int | None = None
    trials: int = 12
    trial_epochs: int = 5
    final_epochs: int = 0
    reward: RewardName = "soft"
    seed: int = 0

    def __post_init__(self) -> None:
        fine = math.isfinite(self.target_ms) and self.target_ms > 0
        check(fine, "target_ms", self.target_ms, "milliseconds above 0")
        check(1 <= self.trials <= 10**7, "trials", self.trials, "a whole number from 1 to 10000000")
        check(1 <= self.trial_epochs <= 10_000, "trial_epochs", self.trial_epochs, "a whole number from 1 to 10000")
        check(0 <= self.final_epochs <= 10_000, "final_epochs", self.final_epochs, "a whole number from 0 to 10000")
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
