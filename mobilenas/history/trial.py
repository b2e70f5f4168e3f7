"""Trial: one evaluated network."""

import json
import math
from dataclasses import dataclass
from typing import Literal

from mobilenas.settings import Settings, check

ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial(Settings):
    """What is known of one network of a run; one line of `trials.jsonl`.

    Attributes:
        index: Place in the history, from 0.
        genotype: The network, in the run's space.
        status: "ok", or "failed" where the evaluation broke down.
        accuracy: In [0, 1]; None if it failed.
        accuracy_std: Its standard deviation, where the evaluator knows it.
        latency_ms: Predicted latency, milliseconds.
        low_ms, high_ms: Its interval.
        macs: Multiply-adds.
        params: Parameters.
        reward: What the searcher maximises; None if it failed.
        seed: Seed of the evaluation.
        seconds: How long the evaluation took.
        cached: Whether the accuracy was known before (an equal network under another genotype).
        detail: Why it failed, or what must be known of it.

    Raises:
        FieldError: If a value is not accepted.
    """

    index: int
    genotype: tuple[int, ...]
    status: Literal["ok", "failed"]
    latency_ms: float
    low_ms: float
    high_ms: float
    macs: int
    params: int
    accuracy: float | None = None
    accuracy_std: float | None = None
    reward: float | None = None
    seed: int = 0
    seconds: float = 0.0
    cached: bool = False
    detail: str = ""

    def __post_init__(self) -> None:
        figures = (self.latency_ms, self.low_ms, self.high_ms, self.accuracy_std or 0.0, self.seconds)
        if not (math.isfinite(sum(figures)) and min(figures) >= 0):
            for name in ("latency_ms", "low_ms", "high_ms", "accuracy_std", "seconds"):
                value = getattr(self, name)
                check(value is None or 0 <= value < math.inf, name, value, "a finite number from 0")
        check(self.index >= 0, "index", self.index, "a whole number from 0")
        check(min(self.genotype, default=0) >= 0, "genotype", self.genotype, "choices from 0")
        check(max(self.genotype, default=0) <= 255, "genotype", self.genotype, "choices up to 255")
        if self.status == "ok":
            fine = self.accuracy is not None and 0 <= self.accuracy <= 1
            check(fine, "accuracy", self.accuracy, "a number in [0, 1]")
            fine = self.reward is not None and math.isfinite(self.reward)
            check(fine, "reward", self.reward, "a finite number")
        else:
            check(self.accuracy is None, "accuracy", self.accuracy, "null for a failed trial")
            check(self.reward is None, "reward", self.reward, "null for a failed trial")

    def to_line(self) -> bytes:
        """The trial as one line of JSON, newline included; fields at their default are left out."""
        return ENCODER.encode(self.to_dict()).encode() + b"\n"
