"""Pool: workers that may crash or hang without a trial being lost."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Generic

from mobilenas.errors import InputError
from mobilenas.evaluators.evaluator import Evaluation
from mobilenas.evaluators.workers.site import Crash, Site, W
from mobilenas.evaluators.workers.workers import Job, Workers

ATTEMPTS = 2
STARTS = 3
"""Workers that may be lost in a row before they have started."""
TIMES_MEDIAN, LEAST_LIMIT_S, REMEMBERED = 10, 600.0, 100
"""An evaluation hangs that takes so many times the median of the last ones, and at least so long."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A job in the hands of a worker.

    Attributes:
        job: The job.
        number: The how-manieth attempt, from 1.
        since: When the worker was given it, and from when on it worked at it.
        has_begun: Whether it works at it, or is still starting.
    """

    job: Job
    since: float
    number: int = 1
    has_begun: bool = False


class Pool(Workers, Generic[W]):
    """Hands jobs to the workers of a site.

    An evaluation whose worker crashes or takes too long is tried once more, in another process and with the same seed;
    if that fails too, it ends as a failed one, with the reason in its `detail`.

    Args:
        site: Where its workers live.
        count: How many workers there are at most; each is started when there is a job for it.
        limit_s: Seconds after which an evaluation counts as hung. By default ten times the median of the last hundred
            that ended, at least ten minutes, and no limit while none has ended.
        note: Told of attempts that failed.
    """

    def __init__(
        self,
        site: Site[W],
        count: int,
        *,
        limit_s: float | None = None,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.count = count
        self._site, self._limit_s, self._note = site, limit_s, note
        self._idle: list[W] = []
        self._busy: dict[W, _Attempt] = {}
        self._ended: deque[tuple[Job, Evaluation]] = deque()
        self._durations_s: deque[float] = deque(maxlen=REMEMBERED)
        self._lost_starts = 0

    def submit(self, job: Job) -> None:
        """Gives the job to a worker that has nothing to do, or to a new one.

        Raises:
            InputError: If none can be started.
        """
        self._hand_out(job, number=1)

    def next_ended(self) -> tuple[Job, Evaluation]:
        """Waits for the next evaluation that ends.

        Raises:
            InputError: If the evaluator does not accept the network or its data, or workers do not start.
        """
        while not self._ended:
            for worker in self._site.with_news(list(self._busy), self._seconds_to_wait()):
                self._hear(worker)
            for worker, attempt in list(self._busy.items()):
                if time.monotonic() > self._ends(attempt):
                    self._lose(worker, f"it took longer than {self._limit_of(attempt):.0f} s")
        return self._ended.popleft()

    def rest(self) -> None:
        """Kills the workers that have nothing to do: their memory, and their share of a GPU."""
        while self._idle:
            self._idle.pop().kill()

    def close(self) -> None:
        """Kills all workers."""
        self.rest()
        while self._busy:
            self._busy.popitem()[0].kill()
        self._site.close()

    def _hand_out(self, job: Job, number: int) -> None:
        has_begun = bool(self._idle)
        worker = self._idle.pop() if has_begun else self._site.launch()
        worker.send(job)
        self._busy[worker] = _Attempt(job, time.monotonic(), number, has_begun)

    def _hear(self, worker: W) -> None:
        message, attempt = worker.receive(), self._busy[worker]
        if isinstance(message, InputError):
            raise message
        if isinstance(message, Crash):
            self._lose(worker, message.reason)
        elif message is None:
            self._lost_starts = 0
            self._busy[worker] = replace(attempt, since=time.monotonic(), has_begun=True)
        else:
            self._durations_s.append(time.monotonic() - attempt.since)
            self._ended.append((attempt.job, message))
            del self._busy[worker]
            self._idle.append(worker)

    def _lose(self, worker: W, reason: str) -> None:
        """Does without a worker; its job is tried again, or has failed."""
        attempt = self._busy.pop(worker)
        worker.kill()
        job = attempt.job
        if not attempt.has_begun:
            self._lost_starts += 1
            if self._lost_starts == STARTS:
                raise InputError(f"workers do not start: {reason}; leave out --workers and --ray")
            self._hand_out(job, attempt.number)
        elif attempt.number < ATTEMPTS:
            self._note(f"evaluation {job.number + 1} failed and is tried again: {reason}")
            self._hand_out(job, attempt.number + 1)
        else:
            detail = f"failed {ATTEMPTS} times, the last time: {reason}"
            self._ended.append((job, Evaluation(accuracy=0.0, status="failed", detail=detail)))

    def _limit(self) -> float:
        """Of an evaluation, in seconds."""
        if self._limit_s is not None:
            return self._limit_s
        return max(LEAST_LIMIT_S, TIMES_MEDIAN * median(self._durations_s)) if self._durations_s else math.inf

    def _limit_of(self, attempt: _Attempt) -> float:
        return self._limit() if attempt.has_begun else self._site.start_limit_s

    def _ends(self, attempt: _Attempt) -> float:
        """When it counts as hung."""
        return attempt.since + self._limit_of(attempt)

    def _seconds_to_wait(self) -> float | None:
        """Until the first worker hangs; None where none can."""
        first = min(map(self._ends, self._busy.values()), default=math.inf)
        return None if first == math.inf else max(first - time.monotonic(), 0.0)
