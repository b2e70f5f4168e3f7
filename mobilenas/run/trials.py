"""TrialLoop: propose, predict, evaluate, write down."""

import hashlib
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError, TargetError
from mobilenas.evaluators import CachedEvaluator, Evaluation
from mobilenas.history import History, Trial
from mobilenas.latency import CompiledLatency, LatencyPredictor
from mobilenas.objectives import FeasibleSet, Reward
from mobilenas.run.settings import SearchSettings
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import Genotype, SearchSpace

STALE_PROPOSALS = 200
"""A searcher that proposes known networks so many times in a row has nothing new."""
Note = Callable[[str], None]


class TrialLoop:
    """The one search loop.

    A resumed run takes the same way again: the searcher is asked anew, and what the history holds is not evaluated
    twice.

    Args:
        settings: The run's settings.
        space: The space.
        predictor: Latency of its networks.
        evaluator: Their accuracy.
        history: The run's history.
        note: Told of every new trial.

    Attributes:
        correction: Measured over predicted latency, as far as the run has learnt it; candidates must meet the target
            with it.
        trials: The trials so far, in order.
    """

    def __init__(
        self,
        *,
        settings: SearchSettings,
        space: SearchSpace,
        predictor: LatencyPredictor,
        evaluator: CachedEvaluator,
        history: History,
        note: Note,
    ) -> None:
        self.correction = 1.0
        self.trials: list[Trial] = []
        self._settings, self._space, self._predictor = settings, space, predictor
        self._evaluator, self._history, self._note = evaluator, history, note
        self._stored = list(history)
        self._by_genotype: dict[Genotype, Trial] = {}
        self._compiled = CompiledLatency(predictor, space)
        self._reward = Reward.named(settings.reward)
        self._feasible = FeasibleSet(space, self._is_feasible, self._upper_ms, unit="ms")
        self._searcher = SEARCHERS[settings.searcher](self._feasible, seed=settings.seed, budget=settings.trials)

    def check_target(self) -> None:
        """Raises `TargetError` if no network of the space can meet the target."""
        nearest_ms = float(self._upper_ms(np.array([self._feasible.nearest()]))[0])
        if nearest_ms > self._settings.target_ms:
            raise TargetError(
                f"target {self._settings.target_ms:g} ms cannot be met: the nearest that {self._space.name} can is "
                f"{nearest_ms:.3g} ms; give --target-ms {float(f'{1.05 * nearest_ms:.2g}'):g}"
            )

    def run(self, count: int) -> None:
        """Evaluates `count` further networks.

        Raises:
            TargetError: If no network is predicted to meet the target.
            InputError: If the stored history is not this search's.
        """
        evaluated = stale = 0
        while evaluated < count and stale < STALE_PROPOSALS:
            genotype = self._searcher.ask()
            known = self._by_genotype.get(genotype)
            trial = known or self._next_trial(genotype)
            self._searcher.tell(trial)
            is_new = known is None and not trial.cached
            evaluated, stale = evaluated + is_new, 0 if is_new else stale + 1
        if evaluated < count:
            self._note(f"the searcher proposed nothing new {STALE_PROPOSALS} times in a row and stops")

    def best(self, excluded: Collection[Genotype] = ()) -> Trial | None:
        """The most accurate trial that is predicted to meet the target, the faster of equals; None if none is."""
        candidates = [t for t in self.trials if t.status == "ok" and t.genotype not in excluded]
        if not candidates:
            return None
        fits = self._is_feasible(np.array([t.genotype for t in candidates]))
        feasible = [t for t, fine in zip(candidates, fits, strict=True) if fine]
        return max(feasible, key=lambda t: (t.accuracy or 0.0, -t.latency_ms), default=None)

    def _next_trial(self, genotype: Genotype) -> Trial:
        index = len(self.trials)
        if index < len(self._stored):
            trial = self._stored[index]
            if trial.genotype != genotype:
                raise InputError(
                    f"trial {index} of the history is not what this search proposes; it was made by another version or "
                    "with another table: start a new run with --out"
                )
        else:
            trial = self._evaluate(index, genotype)
            self._history.append(trial)
            outcome = f"accuracy {trial.accuracy:.4f}" if trial.accuracy is not None else f"failed: {trial.detail}"
            self._note(f"trial {index + 1}: {trial.latency_ms:.3g} ms predicted, {outcome}")
        self._evaluator.prime(self._space.decode(genotype), _evaluation(trial))
        self.trials.append(trial)
        self._by_genotype[genotype] = trial
        return trial

    def _evaluate(self, index: int, genotype: Genotype) -> Trial:
        arch = self._space.decode(genotype)
        graph = arch.graph()
        latency = self._predictor.predict(graph)
        seed = derived_seed(self._settings.seed, index)
        cached = arch in self._evaluator
        evaluation = self._evaluator(arch, seed=seed)
        fine = evaluation.status == "ok"
        return Trial(
            index=index,
            genotype=genotype,
            status=evaluation.status,
            accuracy=evaluation.accuracy if fine else None,
            accuracy_std=evaluation.std,
            latency_ms=latency.ms,
            low_ms=latency.low_ms,
            high_ms=latency.high_ms,
            macs=graph.macs,
            params=graph.params,
            reward=float(self._reward(evaluation.accuracy, latency.ms, self._settings.target_ms)) if fine else None,
            seed=seed,
            seconds=evaluation.seconds,
            cached=cached,
            detail=evaluation.detail,
        )

    def _is_feasible(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
        return self._upper_ms(genotypes) <= self._settings.target_ms

    def _upper_ms(self, genotypes: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
        """What must not exceed the target: the interval's upper end, or the corrected prediction where that is more."""
        upper_ms = self._compiled.upper_ms(genotypes)
        if self.correction == 1.0:
            return upper_ms
        return np.maximum(upper_ms, self.correction * self._compiled.latency_ms(genotypes))


def _evaluation(trial: Trial) -> Evaluation:
    return Evaluation(
        accuracy=trial.accuracy or 0.0,
        std=trial.accuracy_std,
        status=trial.status,
        seconds=trial.seconds,
        detail=trial.detail,
    )


def derived_seed(seed: int, index: int) -> int:
    """The seed of trial `index` of a run."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{index}".encode()).digest()[:4], "little")
