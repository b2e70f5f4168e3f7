"""Evaluator: how accurate a network is, or will be."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mobilenas.arch import Arch

Status = Literal["ok", "failed"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One evaluation.

    Attributes:
        accuracy: Accuracy on validation images, [0, 1]; 0 where it failed.
        std: Its standard error where known.
        status: "ok" or "failed".
        seconds: Wall time.
        detail: Why it failed.
    """

    accuracy: float
    std: float | None = None
    status: Status = "ok"
    seconds: float = 0.0
    detail: str = ""


class Evaluator(ABC):
    """Gives networks an accuracy."""

    @abstractmethod
    def settings(self) -> Mapping[str, object]:
        """What decides an evaluation besides network and seed, as JSON values; part of `run.json`."""

    @abstractmethod
    def __call__(self, arch: Arch, *, seed: int) -> Evaluation:
        """Evaluates a network; the same for the same seed."""
