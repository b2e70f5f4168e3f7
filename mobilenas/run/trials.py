"""TrialLoop: propose, predict, evaluate, write down."""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError, TargetError
from mobilenas.evaluators import BatchEvaluator, CachedEvaluator, Evaluation
from mobilenas.history import History, Trial
from mobilenas.latency import CompiledLatency, LatencyPredictor
from mobilenas.objectives import Bound, Bounds, LatencyBound, Reward
from mobilenas.run.batches import BatchTrials
from mobilenas.run.seeds import derived_seed
from mobilenas.run.settings import SearchSettings
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import Genotype, SearchSpace

STALE_PROPOSALS = 200
"""A searcher that proposes known networks so many times in a row has nothing new."""
BASELINE = "random_search"
BEST_OF = 10_000
"""Trials that are compared at once."""
Note = Callable[[str], None]


class TrialLoop:
    """The one search loop.

    A resumed run takes the same way again: the searcher is asked anew, and what the history holds is not evaluated
    twice.

    Args:
        settings: The run's settings.
        space: The space.
        predictor: Latency of its networks.
        evaluator: Their accuracy; of one that answers batches nothing is cached, since a look-up is as quick.
        history: The run's history.
        note: Told of every new trial.
        also: What networks must meet besides the target.
    """

    def __init__(
        self,
        *,
        settings: SearchSettings,
        space: SearchSpace,
        predictor: LatencyPredictor,
        evaluator: CachedEvaluator | BatchEvaluator,
        history: History,
        note: Note,
        also: Sequence[Bound] = (),
    ) -> None:
        self._settings, self._space, self._predictor = settings, space, predictor
        self._evaluator, self._history, self._note = evaluator, history, note
        self._best_accuracy = -1.0
        self._count, self._stored = 0, len(history)
        self._replay = islice(history, self._stored)
        self._compiled = CompiledLatency(predictor, space)
        self._reward = Reward.named(settings.reward, alpha=settings.alpha, beta=settings.beta)
        self._latency = LatencyBound(
            predictor.table.info.device, settings.target_ms, self._compiled, risk=settings.risk
        )
        self._bounds = Bounds([self._latency, *also])
        self._feasible = self._bounds.feasible_set(space, self._rewards)
        self._searcher = SEARCHERS[settings.searcher](self._feasible, seed=settings.seed, budget=settings.trials)
        self._batches = None
        if isinstance(evaluator, BatchEvaluator):
            self._batches = BatchTrials(
                evaluator, space, self._compiled, self._reward, target_ms=settings.target_ms, seed=settings.seed
            )

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Trial]:
        """The trials so far, in order, from the history's file."""
        return islice(self._history, self._count)

    @property
    def trials(self) -> list[Trial]:
        """The trials so far, in order, all at once."""
        return list(self)

    @property
    def correction(self) -> float:
        """Measured over predicted latency, as far as the run has learnt it; candidates must meet the target with it."""
        return self._latency.correction

    @correction.setter
    def correction(self, factor: float) -> None:
        self._latency.correction = factor

    def upper_ms(self, trial: Trial) -> float:
        """What of a trial's latency must not exceed the target, by the run's risk and correction."""
        return float(self._latency.upper(np.array([trial.genotype]))[0])

    def check_target(self) -> None:
        """Raises `TargetError` if no network of the space can meet the target and the other bounds."""
        self._bounds.check_reachable(self._feasible)

    def run(self, count: int) -> None:
        """Evaluates `count` further networks.

        A proposal that is known is told again and does not count. Where evaluations come in batches, so do proposals.

        Raises:
            TargetError: If no network is predicted to meet the target.
            InputError: If the stored history is not this search's.
        """
        evaluated = stale = 0
        while evaluated < count and stale < STALE_PROPOSALS:
            proposals = self._ask(count - evaluated)
            trials = self._new_trials(proposals)
            for genotype in proposals:
                trial = trials.pop(genotype, None)
                self._searcher.tell(trial or self._known(genotype))
                is_new = trial is not None and not trial.cached
                evaluated, stale = evaluated + is_new, 0 if is_new else stale + 1
        if evaluated < count:
            self._note(f"the searcher proposed nothing new {STALE_PROPOSALS} times in a row and stops")

    def best(self, excluded: Collection[Genotype] = ()) -> Trial | None:
        """The most accurate trial that is predicted to meet all bounds, the faster of equals; None if none is."""
        best, trials = None, iter(self)
        while part := list(islice(trials, BEST_OF)):
            candidates = [t for t in part if t.status == "ok" and t.genotype not in excluded]
            fits = self._bounds.is_feasible(np.array([t.genotype for t in candidates])) if candidates else ()
            feasible = [t for t, fine in zip(candidates, fits, strict=True) if fine]
            # of equals the first, as `max` has it
            best = max(
                [best, *feasible] if best else feasible, key=lambda t: (t.accuracy or 0.0, -t.latency_ms), default=None
            )
        return best

    def random_accuracy(self) -> float | None:
        """Of the best of as many random feasible networks as there are trials; None where each takes a training."""
        if not isinstance(self._evaluator, BatchEvaluator):
            return None
        searcher = SEARCHERS[BASELINE](self._feasible, seed=self._settings.seed)
        best, left = None, len(self)
        while left > 0:
            try:
                genotypes = searcher.ask_batch(min(searcher.batch, left))
            except TargetError:  # so rare that chance does not find them
                break
            found = float(self._evaluator.evaluate_batch(np.array(genotypes, np.uint8)).accuracy.max())
            best, left = found if best is None else max(best, found), left - len(genotypes)
        return best

    def _ask(self, left: int) -> list[Genotype]:
        if self._batches is None:
            return [self._searcher.ask()]
        return self._searcher.ask_batch(min(self._searcher.batch, left))

    def _known(self, genotype: Genotype) -> Trial:
        trial = self._find(genotype)
        if trial is None:
            raise KeyError(genotype)
        return trial

    def _find(self, genotype: Genotype) -> Trial | None:
        """The trial of a genotype, if there was one so far; a history that is replayed knows later ones too."""
        trial = self._history.find(genotype)
        return trial if trial is not None and trial.index < self._count else None

    def _new_trials(self, proposals: list[Genotype]) -> dict[Genotype, Trial]:
        """The trials of those proposals that are not known, from the stored history as long as that reaches."""
        fresh = [genotype for genotype in dict.fromkeys(proposals) if self._find(genotype) is None]
        found: dict[Genotype, Trial] = {}
        for genotype in fresh[: self._stored - self._count] if self._count < self._stored else ():
            found[genotype] = self._stored_trial(genotype)
        missing = fresh[len(found) :]
        if missing and self._batches is not None:
            trials = self._batches(self._count, missing)
            self._history.extend(trials)
            self._count += len(trials)
            found.update(zip(missing, trials, strict=True))
            self._tell_best(trials)
        elif missing:
            found.update((genotype, self._evaluate(genotype)) for genotype in missing)
        return found

    def _tell_best(self, trials: list[Trial]) -> None:
        """Notes a trial of a batch that is more accurate than all before."""
        best = max(trials, key=lambda trial: trial.accuracy or 0.0)
        if best.accuracy is not None and best.accuracy > self._best_accuracy:
            self._best_accuracy = best.accuracy
            self._note(
                f"trial {best.index + 1}: {best.latency_ms:.3g} ms predicted, accuracy {best.accuracy:.4f}, best"
            )

    def _stored_trial(self, genotype: Genotype) -> Trial:
        trial = next(self._replay)
        if trial.genotype != genotype:
            raise InputError(
                f"trial {trial.index} of the history is not what this search proposes; it was made by another version "
                "or with another table: start a new run with --out"
            )
        if isinstance(self._evaluator, CachedEvaluator):
            self._evaluator.prime(self._space.decode(genotype), _evaluation(trial))
        self._count += 1
        return trial

    def _evaluate(self, genotype: Genotype) -> Trial:
        """Evaluates one network and writes it down."""
        arch = self._space.decode(genotype)
        graph = arch.graph()
        latency = self._predictor.predict(graph)
        seed = derived_seed(self._settings.seed, self._count)
        cached = isinstance(self._evaluator, CachedEvaluator) and arch in self._evaluator
        evaluation = self._evaluator(arch, seed=seed)
        fine = evaluation.status == "ok"
        trial = Trial(
            index=self._count,
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
        self._history.append(trial)
        self._count += 1
        outcome = f"accuracy {trial.accuracy:.4f}" if trial.accuracy is not None else f"failed: {trial.detail}"
        self._note(f"trial {self._count}: {trial.latency_ms:.3g} ms predicted, {outcome}")
        return trial

    def _rewards(
        self, genotypes: npt.NDArray[np.integer], accuracies: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        return self._reward(accuracies, self._compiled.latency_ms(genotypes), self._settings.target_ms)


def _evaluation(trial: Trial) -> Evaluation:
    return Evaluation(
        accuracy=trial.accuracy or 0.0,
        std=trial.accuracy_std,
        status=trial.status,
        seconds=trial.seconds,
        detail=trial.detail,
    )
