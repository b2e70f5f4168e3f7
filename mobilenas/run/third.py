"""The figure that counts in the Pareto front besides accuracy and latency."""

from collections.abc import Sequence

import numpy as np

from mobilenas.history import Third, Trial
from mobilenas.objectives import COST_BOUNDS, COST_COLUMNS
from mobilenas.objectives.feasible import Cost
from mobilenas.spaces import CompiledCosts, SearchSpace


def third_of(name: str | None, space: SearchSpace, dtype: str) -> tuple[Cost, Third] | tuple[None, None]:
    """The figure of genotypes, and the same of trials; None twice without a name.

    Args:
        name: One of `COST_BOUNDS`.
        space: The run's space.
        dtype: Element type of its networks.
    """
    if name is None:
        return None, None
    figure = COST_BOUNDS[name](CompiledCosts(space, dtype), 1.0).nominal  # the limit takes no part in it

    def of_trials(trials: Sequence[Trial]) -> Sequence[float]:
        found: list[float] = figure(np.array([trial.genotype for trial in trials], np.uint8)).tolist()
        return found

    return figure, Third(COST_COLUMNS[name], of_trials)
