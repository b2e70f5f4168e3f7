"""InProcess: one evaluation at a time, here."""

from mobilenas.errors import shorten
from mobilenas.evaluators.evaluator import Evaluation, Evaluator
from mobilenas.evaluators.workers.workers import Job, Workers


class InProcess(Workers):
    """Evaluates in this process, when the outcome is asked for. What breaks the evaluation breaks the process.

    Args:
        evaluator: Evaluates.
    """

    count = 1

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._jobs: list[Job] = []

    def submit(self, job: Job) -> None:
        """Keeps the job until `next_ended`."""
        self._jobs.append(job)

    def next_ended(self) -> tuple[Job, Evaluation]:
        """Evaluates; what is no evaluation ends as a failed one.

        Raises:
            InputError: If the evaluator does not accept the network or its data.
        """
        job = self._jobs.pop(0)
        found: object = self._evaluator(job.arch, seed=job.seed)
        if isinstance(found, Evaluation):
            return job, found
        detail = f"the evaluator gave {shorten(found)}, no Evaluation"
        return job, Evaluation(accuracy=0.0, status="failed", detail=detail)

    def rest(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing runs between two calls."""
