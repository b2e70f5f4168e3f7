"""BatchTurns: proposals that do not wait for each other's outcome are evaluated at once."""

from collections.abc import Callable, Iterable, Iterator

from mobilenas.history import Trial
from mobilenas.run.batches import BatchTrials
from mobilenas.run.replay import Replay
from mobilenas.run.turns import Told, Turns
from mobilenas.searchers import Searcher
from mobilenas.spaces import Genotype


class BatchTurns(Turns):
    """A turn is a batch of proposals, answered in their order.

    Args:
        trials: Makes the trials of a batch.
        replay: The run's history.
        note: Told of every new trial that is more accurate than all before.
    """

    def __init__(self, trials: BatchTrials, replay: Replay, note: Callable[[str], None]) -> None:
        self._trials, self._replay, self._note = trials, replay, note
        self._best_accuracy = -1.0

    def take(self, searcher: Searcher, left: int) -> Iterator[Told]:
        """Asks for as many as the searcher has at once."""
        proposals = searcher.ask_batch(min(searcher.batch, left))
        fresh = [genotype for genotype in dict.fromkeys(proposals) if self._replay.find(genotype) is None]
        found = {genotype: self._replay.next((genotype,)) for genotype in fresh[: self._replay.left]}
        self._best_of(found.values())
        if missing := fresh[len(found) :]:
            trials = self._trials(len(self._replay), missing)
            self._replay.extend(trials)
            found.update(zip(missing, trials, strict=True))
            if best := self._best_of(trials):
                self._note(
                    f"trial {best.index + 1}: {best.latency_ms:.3g} ms predicted, accuracy {best.accuracy:.4f}, best"
                )
        for genotype in proposals:
            trial = found.pop(genotype, None)
            yield trial or self._known(genotype), trial is not None

    def _known(self, genotype: Genotype) -> Trial:
        trial = self._replay.find(genotype)
        if trial is None:
            raise KeyError(genotype)
        return trial

    def _best_of(self, trials: Iterable[Trial]) -> Trial | None:
        """The most accurate of these, if it is more accurate than all before."""
        best = max(trials, key=lambda trial: trial.accuracy or 0.0, default=None)
        if best is None or best.accuracy is None or best.accuracy <= self._best_accuracy:
            return None
        self._best_accuracy = best.accuracy
        return best
