"""Site: a place that workers live in, each of them a process that evaluates one network after the other."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from mobilenas.errors import InputError, shorten
from mobilenas.evaluators.evaluator import Evaluation, Evaluator
from mobilenas.evaluators.workers.workers import Job


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker is lost, or must be taken for lost.

    Attributes:
        reason: What is known of it, as the end of "the evaluation failed: ...".
    """

    reason: str


Message = Evaluation | InputError | Crash | None
"""What a worker says: the outcome, or that the evaluator refuses, or that it is lost; None once it has started."""


class Worker(ABC):
    """A process that evaluates; it belongs to one pool."""

    @abstractmethod
    def send(self, job: Job) -> None:
        """Gives it a job. One that is lost says so when it is received from."""

    @abstractmethod
    def receive(self) -> Message:
        """What it has said; called when there is news of it."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it at once, whatever it does."""


W = TypeVar("W", bound=Worker)


class Site(ABC, Generic[W]):
    """Starts workers, and listens to them.

    Attributes:
        start_limit_s: Seconds after which a worker that has not started counts as hung; infinite where it may wait for
            others to make room.
    """

    start_limit_s = 600.0

    @abstractmethod
    def launch(self) -> W:
        """Starts a worker; its first message is None, or a crash.

        Raises:
            InputError: If none can be started.
        """

    @abstractmethod
    def with_news(self, workers: Sequence[W], seconds: float | None) -> list[W]:
        """Waits until one of the workers has said something, or is lost.

        Args:
            workers: At least one.
            seconds: How long to wait; None for as long as it takes.

        Returns:
            Those of which there is news; none after `seconds`.
        """

    @abstractmethod
    def close(self) -> None:
        """Gives back what the site holds besides its workers."""


def answer(evaluator: Evaluator, job: Job) -> Message:
    """What a worker says of a job. After a crash its process must not be used again."""
    try:
        found: object = evaluator(job.arch, seed=job.seed)
        return found if isinstance(found, Evaluation) else Crash(f"the evaluator gave {shorten(found)}, no Evaluation")
    except InputError as error:
        return InputError(str(error))  # its subclasses do not survive the way between processes
    except Exception as error:  # a worker's answer to a bug of the evaluator's, or to a full memory
        return Crash(f"{type(error).__name__}: {error}".splitlines()[0])
