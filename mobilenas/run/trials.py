"""TrialLoop: propose, predict, evaluate, write down."""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from heapq import nsmallest
from itertools import islice

import numpy as np
import numpy.typing as npt

from mobilenas.evaluators import BatchEvaluator, CachedEvaluator
from mobilenas.evaluators.workers import InProcess, Workers
from mobilenas.history import History, Trial
from mobilenas.latency import CompiledLatency, LatencyPredictor
from mobilenas.objectives import Bound, Bounds, LatencyBound, Reward
from mobilenas.run.batch_turns import BatchTurns
from mobilenas.run.batches import BatchTrials
from mobilenas.run.network_trials import NetworkTrials
from mobilenas.run.progress import Progress
from mobilenas.run.replay import Replay
from mobilenas.run.settings import SearchSettings
from mobilenas.run.standing import KEPT, Standing, rank
from mobilenas.run.third import third_of
from mobilenas.run.turns import Turns
from mobilenas.run.worker_turns import WorkerTurns
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import Genotype, SearchSpace

STALE_PROPOSALS = 200
"""A searcher that proposes known networks so many times in a row has nothing new."""
FEW_STALE, MOST_KNOWN = 20, 20_000
"""After so many it is looked whether there is a new network at all, past so many known ones."""
BEST_OF = 10_000
"""Trials that are compared at once."""
SHARE_SAMPLE = 2048
"""Random networks that say which share of the space is feasible."""
Note = Callable[[str], None]
Watch = Callable[[Progress], None]


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
        announce: Told when the searcher has nothing new; by default `note`.
        also: What networks must meet besides the target.
        workers: Where networks are evaluated one by one; by default here.
        watch: Told how far the trials are, after every turn.

    Attributes:
        feasible: What the searcher draws from.
        latency_bound: The target.
        planned: Distinct evaluations that were asked for so far.
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
        announce: Note | None = None,
        also: Sequence[Bound] = (),
        workers: Workers | None = None,
        watch: Watch = lambda progress: None,
    ) -> None:
        self._settings, self._space, self._evaluator = settings, space, evaluator
        self._note, self._announce, self._watch = note, announce or note, watch
        figure, third = third_of(settings.pareto_third, space, predictor.table.info.dtype)
        self._replay = Replay(history, third)
        self._compiled = CompiledLatency(predictor, space)
        self._reward = Reward.named(settings.reward, alpha=settings.alpha, beta=settings.beta)
        self.latency_bound = LatencyBound(
            predictor.table.info.device, settings.target_ms, self._compiled, risk=settings.risk
        )
        self._bounds = Bounds([self.latency_bound, *also])
        self.feasible = self._bounds.feasible_set(space, self._rewards, figure)
        self._searcher = SEARCHERS[settings.searcher](self.feasible, seed=settings.seed, budget=settings.trials)
        self._turns = self._turns_of(evaluator, predictor, workers)
        self._evaluated = self.planned = 0
        self._best: Trial | None = None

    def __len__(self) -> int:
        return len(self._replay)

    def __iter__(self) -> Iterator[Trial]:
        """The trials so far, in order, from the history's file."""
        return iter(self._replay)

    @property
    def trials(self) -> list[Trial]:
        """The trials so far, in order, all at once."""
        return list(self)

    @property
    def correction(self) -> float:
        """Measured over predicted latency, as far as the run has learnt it; candidates must meet the target with it."""
        return self.latency_bound.correction

    @correction.setter
    def correction(self, factor: float) -> None:
        self.latency_bound.correction = factor

    def upper_ms(self, trial: Trial) -> float:
        """What of a trial's latency must not exceed the target, by the run's risk and correction."""
        return float(self.latency_bound.upper(np.array([trial.genotype]))[0])

    def check_target(self) -> None:
        """Raises `TargetError` if no network of the space can meet the target and the other bounds."""
        self._bounds.check_reachable(self.feasible)

    def run(self, count: int) -> None:
        """Evaluates `count` further networks.

        A proposal that is known is told again and does not count. Where evaluations come in batches, so do proposals;
        where there are several workers, so many proposals are under way.

        Raises:
            TargetError: If no network is predicted to meet the target.
            InputError: If the stored history is not this search's.
        """
        planned = self._evaluated + count
        self.planned += count
        share, fresh = self.feasible_share(), 0
        stale: list[Genotype] = []  # proposals in a row that were known
        over, begin = "", time.monotonic()
        while self._evaluated < planned and (not over or self._turns.under_way):
            replayed, before = self._replay.left > 0, len(stale)
            for trial, is_new in self._turns.take(self._searcher, 0 if over else planned - self._evaluated):
                self._searcher.tell(trial)
                self._evaluated, stale = self._evaluated + is_new, [] if is_new else [*stale, trial.genotype]
                fresh += is_new and not replayed
                self._keep_best(trial)
            begin = time.monotonic() if replayed else begin
            self._watch(Progress(self._evaluated, planned, fresh, time.monotonic() - begin, self._best, share))
            over = over or self._why_over(stale, before)
        if self._evaluated < planned:
            self._announce(f"the search stops after {self._evaluated:,} of {planned:,} trials: {over}")

    def _why_over(self, stale: Sequence[Genotype], before: int) -> str:
        """Why there is nothing new to be had; empty where there may be.

        Args:
            stale: The last proposals, all of which were known.
            before: How many they were when this was asked last.
        """
        if len(stale) >= FEW_STALE > before:
            starts = np.unique(np.array(stale, np.uint8), axis=0)
            new = self.feasible.unknown_around(starts, self._replay.knows, most=MOST_KNOWN)
            if new is not None and not len(new):
                return "no further network is found that meets the bounds"
        if len(stale) >= STALE_PROPOSALS:
            return f"the searcher proposed nothing new {STALE_PROPOSALS} times in a row"
        return ""

    def feasible_share(self) -> float:
        """Share of the space's networks that meet all bounds, [0, 1], from a sample; always the same."""
        sample = self._space.sample_batch(SHARE_SAMPLE, np.random.default_rng(0))
        return float(np.mean(self.feasible.mask(sample)))

    @property
    def bounds(self) -> Bounds:
        """What networks must meet, the correction included."""
        return self._bounds

    @property
    def standing(self) -> Standing:
        """What the trials so far amount to."""
        return self._replay.standing

    def reward(self, accuracy: float, latency_ms: float) -> float:
        """What a network earns."""
        return float(self._reward(accuracy, latency_ms, self._settings.target_ms))

    def best(self, excluded: Collection[Genotype] = ()) -> Trial | None:
        """The most accurate trial that is predicted to meet all bounds, the faster of equals; None if none is."""
        return next(iter(self.leaders(excluded)), None)

    def leaders(self, excluded: Collection[Genotype] = ()) -> list[Trial]:
        """The most accurate trials that are predicted to meet all bounds, the best first; none if there is none.

        The history is read again only where a correction has left none of those at hand.
        """
        found = self._meeting(self.standing.leaders, excluded)
        if found or self.standing.holds_all:
            return found
        trials = iter(self)
        while part := list(islice(trials, BEST_OF)):
            fine = [trial for trial in part if trial.accuracy is not None]
            found = nsmallest(KEPT, [*found, *self._meeting(fine, excluded)], key=rank)
        return found

    def _meeting(self, trials: Sequence[Trial], excluded: Collection[Genotype]) -> list[Trial]:
        """Those that are predicted to meet all bounds."""
        left = [trial for trial in trials if trial.genotype not in excluded]
        fine = self._bounds.is_feasible(np.array([trial.genotype for trial in left])) if left else ()
        return [trial for trial, meets in zip(left, fine, strict=True) if meets]

    def _turns_of(
        self, evaluator: CachedEvaluator | BatchEvaluator, predictor: LatencyPredictor, workers: Workers | None
    ) -> Turns:
        space, reward, settings = self._space, self._reward, self._settings
        if isinstance(evaluator, BatchEvaluator):
            batches = BatchTrials(
                evaluator, space, self._compiled, reward, target_ms=settings.target_ms, seed=settings.seed
            )
            return BatchTurns(batches, self._replay, self._note)
        return WorkerTurns(
            workers or InProcess(evaluator),
            space,
            evaluator,
            NetworkTrials(predictor, reward, target_ms=settings.target_ms),
            self._replay,
            seed=settings.seed,
            note=self._note,
        )

    def _keep_best(self, trial: Trial) -> None:
        if trial.accuracy is not None and (self._best is None or trial.accuracy > (self._best.accuracy or 0.0)):
            self._best = trial

    def _rewards(
        self, genotypes: npt.NDArray[np.integer], accuracies: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        return self._reward(accuracies, self._compiled.latency_ms(genotypes), self._settings.target_ms)
