"""Evaluator: how accurate a network is, or will be."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from mobilenas.arch import Arch
from mobilenas.settings import Settings, check

if TYPE_CHECKING:  # they load torch, which not every evaluator needs
    from mobilenas.training import ImageData, Recipe


@dataclass(frozen=True, kw_only=True)
class Evaluation(Settings):
    """One evaluation.

    Attributes:
        accuracy: On validation images, [0, 1]; 0 where it failed.
        std: Its standard deviation, from chance alone (which images, which seed), where known.
        status: "ok" or "failed".
        seconds: Wall time.
        detail: Why it failed, or what must be known of it.

    Raises:
        FieldError: If a value is not accepted.
    """

    accuracy: float
    std: float | None = None
    status: Literal["ok", "failed"] = "ok"
    seconds: float = 0.0
    detail: str = ""

    def __post_init__(self) -> None:
        check(0 <= self.accuracy <= 1, "accuracy", self.accuracy, "a number in [0, 1]")
        check(self.std is None or 0 <= self.std < math.inf, "std", self.std, "a number from 0, or null")
        check(self.status in ("ok", "failed"), "status", self.status, "'ok' or 'failed'")
        check(0 <= self.seconds < math.inf, "seconds", self.seconds, "a number from 0")


class Evaluator(ABC):
    """Gives networks an accuracy.

    Attributes:
        needs_data: Whether it trains on images; one that does not is made without arguments.
    """

    needs_data: ClassVar[bool] = True

    @classmethod
    def for_search(cls, data: "ImageData", recipe: "Recipe", *, pause: Callable[[], None]) -> "Evaluator":
        """The evaluator of one search on images.

        Args:
            data: The search's images.
            recipe: How a trial is trained.
            pause: Called before every training step; it returns when the step may run.
        """
        return cls()

    @property
    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """What decides an evaluation besides network and seed, as JSON values; caches and `run.json` keep it."""

    @abstractmethod
    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """Evaluates a network; accuracy is the same for the same network and seed.

        Raises:
            InputError: If the network does not fit what the evaluator knows.
        """
