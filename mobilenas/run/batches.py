"""BatchTrials: many trials at once, without building a network."""

from collections.abc import Sequence

import numpy as np

from mobilenas.errors import InputError
from mobilenas.evaluators import BatchEvaluator
from mobilenas.history import Trial
from mobilenas.latency import CompiledLatency
from mobilenas.objectives import Reward
from mobilenas.run.seeds import derived_seed
from mobilenas.spaces import CompiledCosts, Genotype, SearchSpace


class BatchTrials:
    """Makes the trials of genotypes: accuracy, latency and costs as array look-ups.

    Args:
        evaluator: Their accuracy.
        space: Their space.
        compiled: Their latency.
        reward: What they earn.
        target_ms: The target.
        seed: The run's seed.

    Raises:
        InputError: If the evaluator knows another space.
    """

    def __init__(
        self,
        evaluator: BatchEvaluator,
        space: SearchSpace,
        compiled: CompiledLatency,
        reward: Reward,
        *,
        target_ms: float,
        seed: int,
    ) -> None:
        own, known = (f"{s.name} at {s.resolution} pixels, {s.num_classes} classes" for s in (space, evaluator.space))
        if own != known:
            raise InputError(f"space {own} is not what the evaluator knows; give --space {known}")
        self._evaluator, self._compiled, self._costs = evaluator, compiled, CompiledCosts(space)
        self._reward, self._target_ms, self._seed = reward, target_ms, seed

    def __call__(self, index: int, genotypes: Sequence[Genotype]) -> list[Trial]:
        """The trials of genotypes, the first of which is trial `index`."""
        array = np.array(genotypes, np.uint8)
        found = self._evaluator.evaluate_batch(array)
        latencies_ms, high_ms = self._compiled.latency_ms(array), self._compiled.upper_ms(array)
        rows = zip(
            genotypes,
            found.accuracy.tolist(),
            found.std.tolist(),
            found.extrapolated.tolist(),
            latencies_ms.tolist(),
            np.maximum(2 * latencies_ms - high_ms, 0.0).tolist(),
            high_ms.tolist(),
            self._costs.macs(array).tolist(),
            self._costs.params(array).tolist(),
            self._reward(found.accuracy, latencies_ms, self._target_ms).tolist(),
            strict=True,
        )
        return [
            Trial(
                index=number,
                genotype=genotype,
                status="ok",
                accuracy=accuracy,
                accuracy_std=std,
                latency_ms=latency_ms,
                low_ms=low_ms,
                high_ms=high_ms,
                macs=macs,
                params=params,
                reward=reward,
                seed=derived_seed(self._seed, number),
                detail="extrapolated" if extrapolated else "",
            )
            for number, (
                genotype,
                accuracy,
                std,
                extrapolated,
                latency_ms,
                low_ms,
                high_ms,
                macs,
                params,
                reward,
            ) in enumerate(rows, index)
        ]
