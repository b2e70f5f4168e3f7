"""Rewards: one figure from accuracy and latency."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.registry import unknown
from mobilenas.settings import check

Floats = npt.NDArray[np.float64]


class Reward(ABC):
    """What a searcher maximises. Takes numbers or arrays that broadcast."""

    @staticmethod
    def named(name: str, *, alpha: float | None = None, beta: float | None = None) -> "Reward":
        """The reward that a command line calls `name`: "soft", "hard", "absolute" or "strict".

        Args:
            name: Its name.
            alpha: Exponent of networks that meet the target, of "soft" and "hard"; None for its usual value.
            beta: Exponent of those that do not, or the slope of "absolute"; None for its usual value.

        Raises:
            InputError: If there is none of this name, or it does not have what is given.
        """
        rewards: dict[str, Reward] = {
            "soft": WeightedProductReward(),
            "hard": WeightedProductReward(alpha=0.0, beta=-1.0),
            "absolute": AbsoluteReward(),
            "strict": StrictReward(),
        }
        if name not in rewards:
            raise InputError(unknown("reward", name, rewards))
        reward = rewards[name]
        for key, value in (("alpha", alpha), ("beta", beta)):
            if value is not None and not hasattr(reward, key):
                raise InputError(f"the reward {name!r} has no {key}; leave it out, or give --reward soft")
        if isinstance(reward, WeightedProductReward):
            usual = reward
            return WeightedProductReward(
                alpha=usual.alpha if alpha is None else alpha, beta=usual.beta if beta is None else beta
            )
        return reward if beta is None else AbsoluteReward(beta=beta)

    def __call__(self, accuracy: npt.ArrayLike, latency_ms: npt.ArrayLike, target_ms: npt.ArrayLike) -> Floats:
        """The reward of networks.

        Args:
            accuracy: In [0, 1].
            latency_ms: Milliseconds above 0, or another cost.
            target_ms: What the latency should be, in the same unit.

        Raises:
            InputError: If an accuracy is outside [0, 1], or a latency or target is not a finite number above 0.
        """
        accuracies, latencies, targets = (np.asarray(values, float) for values in (accuracy, latency_ms, target_ms))
        _check_all((accuracies >= 0) & (accuracies <= 1), accuracies, "accuracy", "numbers in [0, 1]")
        _check_all((latencies > 0) & np.isfinite(latencies), latencies, "latency_ms", "milliseconds above 0")
        _check_all((targets > 0) & np.isfinite(targets), targets, "target_ms", "milliseconds above 0")
        return np.asarray(self._of(accuracies, latencies / targets), float)

    @abstractmethod
    def _of(self, accuracy: Floats, relative_latency: Floats) -> Floats:
        """The reward, by accuracy and latency over target."""


@dataclass(frozen=True, kw_only=True)
class WeightedProductReward(Reward):
    """accuracy * (latency / target) ** w, where w is `alpha` up to the target and `beta` above it.

    The default is MnasNet's soft reward, which makes a network that is twice as slow and 5 % (relatively) more accurate
    worth the same. Its hard one is alpha 0, beta -1: faster than the target earns nothing, slower costs in proportion.

    Attributes:
        alpha: Exponent of networks that meet the target, from -10 to 0.
        beta: Exponent of those that do not, from -10 to 0.

    Source: MnasNet, arXiv 1807.11626, section 3.1, equations 2 and 3. EfficientNet, arXiv 1905.11946, section 4, uses
        the soft one with FLOPS; MobileNetV3-Small, arXiv 1905.02244, section 4.1, uses -0.15.
    Differs from the paper: nothing.
    """

    alpha: float = -0.07
    beta: float = -0.07

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            check(-10 <= value <= 0, name, value, "a number from -10 to 0")

    def _of(self, accuracy: Floats, relative_latency: Floats) -> Floats:
        exponent = np.where(relative_latency <= 1, self.alpha, self.beta)
        return np.asarray(accuracy * relative_latency**exponent, float)


@dataclass(frozen=True, kw_only=True)
class AbsoluteReward(Reward):
    """accuracy + beta * |latency / target - 1|: networks land on the target from either side.

    Attributes:
        beta: What missing the target by all of it costs, below 0.

    Source: TuNAS, arXiv 2008.06120, the absolute reward function.
    Differs from the paper: nothing.
    """

    beta: float = -0.10

    def __post_init__(self) -> None:
        check(-np.inf < self.beta < 0, "beta", self.beta, "a number below 0")

    def _of(self, accuracy: Floats, relative_latency: Floats) -> Floats:
        return accuracy + self.beta * np.abs(relative_latency - 1)


@dataclass(frozen=True, kw_only=True)
class StrictReward(Reward):
    """Accuracy where the target is met; where it is not, a negative number that says by how much it is missed.

    So whatever meets the target is better than whatever does not, and of those that do not the nearest is best.

    Source: the constrained problem of MnasNet, arXiv 1807.11626, section 3.1, equation 1; infeasible ones ranked by
        violation: Deb 2000, "An efficient constraint handling method for genetic algorithms", section 3.
    Differs from the paper: the violation is relative to the target.
    """

    def _of(self, accuracy: Floats, relative_latency: Floats) -> Floats:
        return np.where(relative_latency <= 1, accuracy, 1 - relative_latency)


def _check_all(fine: npt.NDArray[np.bool_], values: Floats, field: str, accepted: str) -> None:
    if not fine.all():
        check(False, field, float(values[~fine].flat[0]), accepted)
