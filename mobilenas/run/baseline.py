"""Baseline: random search with as many evaluations as a run had."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from mobilenas.errors import TargetError
from mobilenas.evaluators import BatchEvaluator, CachedEvaluator
from mobilenas.evaluators.workers import Job, Workers
from mobilenas.objectives import FeasibleSet
from mobilenas.run.folder import RunFolder
from mobilenas.run.seeds import derived_seed
from mobilenas.run.source import Note
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces import Genotype

RANDOM = "random_search"
MOST_IN_BATCHES = 100_000
"""Random networks of an evaluator that answers batches: some seconds; more of them gain next to nothing."""
CHEAP_S = 60.0
"""Without images, what the trials took in all and a baseline may take as well, unasked."""


def is_cheap(evaluator: BatchEvaluator | CachedEvaluator, seconds: float) -> bool:
    """Whether as many evaluations are made again without being asked for.

    Args:
        evaluator: The run's.
        seconds: What its evaluations took.
    """
    inner = evaluator.evaluator if isinstance(evaluator, CachedEvaluator) else evaluator
    return not inner.needs_data and seconds <= CHEAP_S


class Baseline:
    """Evaluates random networks that meet the bounds.

    Args:
        folder: The run's: accuracies that had to be trained are journalled one by one.
        feasible: The networks.
        evaluator: Their accuracy.
        workers: Where they are evaluated one by one.
        note: Told of every network that was trained.
        cheap: Whether evaluating again is quicker than writing down.
    """

    def __init__(
        self,
        folder: RunFolder,
        feasible: FeasibleSet,
        evaluator: BatchEvaluator | CachedEvaluator,
        workers: Workers,
        *,
        note: Note,
        cheap: bool,
    ) -> None:
        self._folder, self._feasible, self._evaluator, self._workers = folder, feasible, evaluator, workers
        self._note, self._cheap = note, cheap

    @property
    def has_begun(self) -> bool:
        """Whether an earlier process was asked for it."""
        return self._folder.has(_key(0))

    def run(self, count: int) -> tuple[float | None, int]:
        """The accuracy of the best of `count` random networks, and how many there were; None if all failed.

        Raises:
            InputError: If the evaluator does not accept a network or its data.
            StorageError: If the journal cannot be written.
        """
        if isinstance(self._evaluator, BatchEvaluator):
            count = min(count, MOST_IN_BATCHES)
        # not the run's own seed, from which its searcher may have drawn the same networks
        searcher = SEARCHERS[RANDOM](self._feasible, seed=derived_seed(self._folder.settings.seed, -1))
        best, done = None, 0
        while done < count:
            try:
                genotypes = searcher.ask_batch(wanted := min(searcher.batch, count - done))
            except TargetError:  # so rare that chance does not find them
                break
            found = [accuracy for accuracy in self._accuracies(genotypes, done) if accuracy is not None]
            best = max([*found, *([] if best is None else [best])], default=None)
            done += len(genotypes)
            if len(genotypes) < wanted:  # there are no more
                break
        self._workers.rest()
        return best, done

    def _accuracies(self, genotypes: Sequence[Genotype], first: int) -> list[float | None]:
        """Of the random networks from number `first` on."""
        if isinstance(self._evaluator, BatchEvaluator):
            found: list[float | None] = self._evaluator.evaluate_batch(np.array(genotypes, np.uint8)).accuracy.tolist()
            return found
        return self._one_by_one(self._evaluator, genotypes, first)

    def _one_by_one(self, evaluator: CachedEvaluator, genotypes: Sequence[Genotype], first: int) -> list[float | None]:
        numbers = range(first, first + len(genotypes))
        known = {number: self._kept(number, None) for number in numbers if self._folder.has(_key(number))}
        waiting = deque(
            Job(number, self._feasible.space.decode(genotype), derived_seed(self._folder.settings.seed, -2 - number))
            for number, genotype in zip(numbers, genotypes, strict=True)
            if number not in known
        )
        under_way = 0
        while waiting or under_way:
            while waiting and under_way < self._workers.count:
                self._workers.submit(waiting.popleft())
                under_way += 1
            job, evaluation = self._workers.next_ended()
            under_way -= 1
            accuracy = evaluation.accuracy if evaluation.status == "ok" else None
            known[job.number] = accuracy if self._cheap else self._kept(job.number, accuracy)
        return [known[number] for number in numbers]

    def _kept(self, number: int, accuracy: float | None) -> float | None:
        if not self._folder.has(_key(number)):
            said = "failed" if accuracy is None else f"accuracy {accuracy:.4f}"
            self._note(f"random network {number + 1}: {said}")
        answer = self._folder.once(_key(number), lambda: accuracy, _is_share)
        return None if answer is None else float(answer)


def _key(number: int) -> str:
    return f"random network {number}"


def _is_share(answer: object) -> bool:
    return answer is None or (isinstance(answer, int | float) and not isinstance(answer, bool) and 0 <= answer <= 1)
