"""Workers: evaluations that are asked for now and end later."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mobilenas.arch import Arch
from mobilenas.evaluators.evaluator import Evaluation


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """An evaluation that is asked for.

    Attributes:
        number: How many were asked for before it in the run.
        arch: The network.
        seed: Of the evaluation.
    """

    number: int
    arch: Arch
    seed: int


class Workers(ABC):
    """Evaluates networks, so many at once.

    Use it as a context manager: its end ends every evaluation that still runs.

    Attributes:
        count: How many evaluations may be under way; no more are submitted.
    """

    count: int

    @abstractmethod
    def submit(self, job: Job) -> None:
        """Takes an evaluation on; it ends in `next_ended`, whatever becomes of it."""

    @abstractmethod
    def next_ended(self) -> tuple[Job, Evaluation]:
        """Waits until one of the submitted evaluations has ended, in whatever order, and gives it.

        Raises:
            InputError: If the evaluator does not accept the network or its data, or no worker can be had.
        """

    @abstractmethod
    def rest(self) -> None:
        """Gives back what is held for further evaluations; when one is submitted, it is had again."""

    @abstractmethod
    def close(self) -> None:
        """Ends what runs, without waiting for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
