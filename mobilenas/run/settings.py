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
        reward: "soft" or "hard", as MnasNet has them.
        max_macs, max_params: Further bounds; 0 for none.
        max_size_mb: Bound on the size of the exported weights; 0 for none.
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
    reward: RewardName = "soft"
    max_macs: int = 0
    max_params: int = 0
    max_size_mb: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        fine = math.isfinite(self.target_ms) and self.target_ms > 0
        check(fine, "target_ms", self.target_ms, "milliseconds above 0")
        check(1 <= self.trials <= 10**7, "trials", self.trials, "a whole number from 1 to 10000000")
        check(self.max_macs >= 0, "max_macs", self.max_macs, "a whole number above 0")
        check(self.max_params >= 0, "max_params", self.max_params, "a whole number above 0")
        size_fine = math.isfinite(self.max_size_mb) and self.max_size_mb >= 0
        check(size_fine, "max_size_mb", self.max_size_mb, "megabytes above 0")
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
