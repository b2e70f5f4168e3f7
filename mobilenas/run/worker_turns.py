"""WorkerTurns: as many evaluations under way as there are workers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from mobilenas.arch import Arch
from mobilenas.errors import TargetError
from mobilenas.evaluators import CachedEvaluator, Evaluation
from mobilenas.evaluators.workers import Job, Workers
from mobilenas.history import Trial
from mobilenas.run.network_trials import NetworkTrials
from mobilenas.run.replay import Replay
from mobilenas.run.seeds import derived_seed
from mobilenas.run.turns import Told, Turns
from mobilenas.searchers import Searcher
from mobilenas.spaces import Genotype, SearchSpace


@dataclass(slots=True)
class _UnderWay:
    """A proposal whose evaluation has not ended.

    Attributes:
        genotype: The proposal.
        job: Its evaluation.
        submitted: Whether the workers have it: what a history will answer is not submitted.
        repeats: Later proposals of the same network, to be answered when it ends.
    """

    genotype: Genotype
    job: Job
    submitted: bool = False
    repeats: list[Genotype] = field(default_factory=list)


class WorkerTurns(Turns):
    """A turn ends with a proposal that is known already, or with an evaluation that ends.

    What is proposed depends on nothing but the order in which evaluations end, and that order is the history's. So a
    resumed run takes its past from the history, and what was under way when it was killed is evaluated anew, with the
    same seed. With one worker the order is that of the proposals.

    Args:
        workers: Evaluate.
        space: The run's space.
        evaluator: Knows what was evaluated before.
        trials: Makes trials of evaluations.
        replay: The run's history.
        seed: The run's seed.
        note: Told of every new trial.
    """

    def __init__(
        self,
        workers: Workers,
        space: SearchSpace,
        evaluator: CachedEvaluator,
        trials: NetworkTrials,
        replay: Replay,
        *,
        seed: int,
        note: Callable[[str], None],
    ) -> None:
        self._workers, self._space, self._evaluator, self._trials = workers, space, evaluator, trials
        self._replay, self._seed, self._note = replay, seed, note
        self._asked_for = 0
        self._under_way: dict[str, _UnderWay] = {}

    @property
    def under_way(self) -> int:
        """Evaluations that have begun and not ended."""
        return len(self._under_way)

    def take(self, searcher: Searcher, left: int) -> Iterator[Told]:
        """Asks until all workers are busy, then waits for one of them."""
        while len(self._under_way) < min(self._workers.count, left):
            try:
                genotype = searcher.ask()
            except TargetError:
                if not self._under_way:
                    raise
                break
            known = self._replay.find(genotype)
            if known is not None:
                yield known, False
                return
            arch = self._space.decode(genotype)
            if twin := self._under_way.get(arch.canonical):
                twin.repeats.append(genotype)
                break  # a searcher that has nothing else now is asked again when something has ended
            if arch in self._evaluator:
                yield self._repeated(genotype, arch), False
                return
            self._under_way[arch.canonical] = _UnderWay(genotype, self._job(arch))
            self._submit()
        if self._under_way:
            ended, trial = self._next_ended()
            yield trial, True
            for genotype in ended.repeats:
                yield self._replay.find(genotype) or self._repeated(genotype, self._space.decode(genotype)), False

    def _job(self, arch: Arch) -> Job:
        number = self._asked_for
        self._asked_for += 1
        return Job(number, arch, derived_seed(self._seed, number))

    def _submit(self) -> None:
        """Gives the workers what the history will not answer."""
        for proposal in self._under_way.values() if not self._replay.left else ():
            if not proposal.submitted:
                self._workers.submit(proposal.job)
                proposal.submitted = True

    def _next_ended(self) -> tuple[_UnderWay, Trial]:
        if self._replay.left:
            trial = self._replay.next([proposal.genotype for proposal in self._under_way.values()])
            ended = next(each for each in self._under_way.values() if each.genotype == trial.genotype)
            evaluation = NetworkTrials.evaluation(trial)
        else:
            self._submit()
            job, evaluation = self._workers.next_ended()
            ended = self._under_way[job.arch.canonical]
            trial = self._written(ended.genotype, job, evaluation)
        self._evaluator.prime(ended.job.arch, evaluation)
        del self._under_way[ended.job.arch.canonical]
        return ended, trial

    def _repeated(self, genotype: Genotype, arch: Arch) -> Trial:
        """The trial of a network that was evaluated under another genotype."""
        job = self._job(arch)
        if self._replay.left:
            return self._replay.next((genotype,))
        return self._written(genotype, job, self._evaluator(arch, seed=job.seed), cached=True)

    def _written(self, genotype: Genotype, job: Job, evaluation: Evaluation, *, cached: bool = False) -> Trial:
        trial = self._trials(len(self._replay), genotype, job.arch, evaluation, seed=job.seed, cached=cached)
        self._replay.extend((trial,))
        outcome = f"accuracy {trial.accuracy:.4f}" if trial.accuracy is not None else f"failed: {trial.detail}"
        self._note(f"trial {len(self._replay)}: {trial.latency_ms:.3g} ms predicted, {outcome}")
        return trial
