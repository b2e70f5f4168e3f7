"""NAS-Bench-Macro as an oracle: the nine cells of `search_efficiency.py`."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mobilenas.evaluators import TabularEvaluator
from mobilenas.objectives import FeasibleSet, WeightedProductReward
from mobilenas.spaces import CompiledCosts, Genotype, Genotypes
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

Floats = npt.NDArray[np.float64]
SPACE = NasBenchMacroSpace()
OBJECTIVES = ("accuracy", "soft", "hard")
SOFT, HARD = WeightedProductReward(), WeightedProductReward(alpha=0.0, beta=-1.0)
DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
TABLE = DATA / "nas_bench_macro" / "nas_bench_macro.csv"


def load_table() -> TabularEvaluator:
    """Mean test accuracy of three trainings of each network."""
    return TabularEvaluator.from_csv(SPACE, TABLE, genotype="arch", accuracy_percent="mean_acc")


@dataclass(frozen=True)
class Oracle:
    """One objective; "latency" is the number of multiply-adds, the target its median, which is 1 here.

    Attributes:
        objective: "accuracy", "soft" (MnasNet's soft reward) or "hard" (accuracy of networks that meet the target).
        accuracy: Of genotypes, (N, decisions).
        latency: Of genotypes, over the target.
        best: The highest reward of the space.
    """

    objective: str
    accuracy: Callable[[Genotypes], Floats]
    latency: Callable[[Genotypes], Floats]
    best: float

    @classmethod
    def of(cls, objective: str, table: TabularEvaluator) -> "Oracle":
        """The oracle of an objective."""
        everything = np.stack(np.unravel_index(np.arange(SPACE.size), SPACE.sizes), axis=1).astype(np.uint8)
        costs = CompiledCosts(SPACE)
        target = float(np.median(costs.macs(everything)))
        oracle = cls(
            objective, lambda rows: table.evaluate_batch(rows).accuracy, lambda rows: costs.macs(rows) / target, 0.0
        )
        rewards = oracle.reward(everything, oracle.accuracy(everything))
        return cls(objective, oracle.accuracy, oracle.latency, float(rewards[oracle.is_feasible(everything)].max()))

    def is_feasible(self, genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        """Whether they meet the target, where the objective is hard."""
        return self.latency(genotypes) <= 1 if self.objective == "hard" else np.ones(len(genotypes), bool)

    def reward(self, genotypes: Genotypes, accuracies: Floats) -> Floats:
        """What they earn at these accuracies; of infeasible ones, MnasNet's hard reward."""
        if self.objective == "accuracy":
            return accuracies
        weigh = SOFT if self.objective == "soft" else HARD
        return weigh(accuracies, self.latency(genotypes), 1.0)

    def feasible_set(self) -> FeasibleSet:
        """What our searchers are given."""
        return FeasibleSet(SPACE, self.is_feasible, self.latency, reward=self.reward)


class Evaluations:
    """Counts what a searcher asks for: distinct feasible networks up to a budget.

    An infeasible network costs nothing, since its latency is known; nor does one that was asked for before.

    Attributes:
        regrets: Points of reward (in percent) below the best, after every evaluation.
    """

    def __init__(self, oracle: Oracle, budget: int) -> None:
        self.oracle, self.budget = oracle, budget
        self.regrets: list[float] = []
        self._known: set[Genotype] = set()
        self._stale = 0

    @property
    def done(self) -> bool:
        """Whether the budget is spent, or 2,000 proposals in a row brought nothing new."""
        return len(self.regrets) >= self.budget or self._stale >= 2000

    def __call__(self, genotype: Genotype) -> tuple[float, float, float]:
        """Accuracy, reward and latency of a network."""
        row = np.array([genotype], np.uint8)
        accuracy = self.oracle.accuracy(row)
        reward = float(self.oracle.reward(row, accuracy)[0])
        self._stale += 1
        if genotype not in self._known and self.oracle.is_feasible(row)[0] and len(self.regrets) < self.budget:
            self._known.add(genotype)
            self._stale = 0
            regret = 100 * (self.oracle.best - reward)
            self.regrets.append(min(regret, self.regrets[-1]) if self.regrets else regret)
        return float(accuracy[0]), reward, float(self.oracle.latency(row)[0])

    def after(self, budget: int) -> float:
        """Regret after so many evaluations."""
        return self.regrets[min(budget, len(self.regrets)) - 1]
