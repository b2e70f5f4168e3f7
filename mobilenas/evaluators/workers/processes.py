"""Processes of this machine."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from mobilenas.errors import InputError
from mobilenas.evaluators.evaluator import Evaluator
from mobilenas.evaluators.workers.site import Crash, Message, Site, Worker, answer
from mobilenas.evaluators.workers.workers import Job

JOIN_S = 10.0
"""How long an ended process may take to say how it ended."""


class ProcessWorker(Worker):
    """A process, and the pipe to it.

    Args:
        process: Runs `_serve`.
        pipe: Our end.
    """

    def __init__(self, process: SpawnProcess, pipe: "Connection[Job, Message]") -> None:
        self.process, self.pipe = process, pipe

    def send(self, job: Job) -> None:
        """Writes the job into the pipe; where nobody reads, `receive` will say so."""
        with suppress(ConnectionError):
            self.pipe.send(job)

    def receive(self) -> Message:
        """The next message, or how the process ended."""
        try:
            return self.pipe.recv()
        except (EOFError, ConnectionError):
            self.process.join(JOIN_S)
            return Crash(_end(self.process.exitcode))

    def kill(self) -> None:
        """Kills the process, and waits until it is gone."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class Processes(Site[ProcessWorker]):
    """Processes that share this machine's processors: torch has its share of threads in each.

    A process ends when this one does, however that ends.

    Args:
        evaluator: What each of them evaluates with; it is sent there, and so is what it holds.
        count: How many there will be.

    Raises:
        InputError: If the evaluator cannot be sent.
    """

    def __init__(self, evaluator: Evaluator, count: int) -> None:
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._threads = None if count == 1 else max(1, _processors() // count)
        try:
            # from this process to its own children, once for all of them: no file, and nothing of others
            self._evaluator = pickle.dumps(evaluator)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise InputError(
                f"the evaluator {type(evaluator).__name__} cannot be sent to other processes: {error}; "
                "leave out --workers"
            ) from error

    def launch(self) -> ProcessWorker:
        """Starts a process.

        Raises:
            InputError: If the system gives none.
        """
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._evaluator, self._threads))
        try:
            process.start()
        except OSError as error:
            raise InputError(f"no further process can be started: {error.strerror}; give fewer --workers") from error
        theirs.close()
        return ProcessWorker(process, ours)

    def with_news(self, workers: Sequence[ProcessWorker], seconds: float | None) -> list[ProcessWorker]:
        """Waits on the pipes."""
        ready = wait([worker.pipe for worker in workers], seconds)
        return [worker for worker in workers if worker.pipe in ready]

    def close(self) -> None:
        """Nothing is held besides the processes."""


def _serve(pipe: "Connection[Message, Job]", pickled: bytes, threads: int | None) -> None:
    """The life of a process: evaluate, until an evaluation crashes or nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before torch is loaded
    evaluator: Evaluator = pickle.loads(pickled)
    with suppress(EOFError, ConnectionError):
        pipe.send(None)
        said: Message = None
        while not isinstance(said, Crash):
            said = answer(evaluator, pipe.recv())
            pipe.send(said)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _end(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        return f"its process was killed by {signal.Signals(-code).name}"
    return f"its process ended with exit code {code}"


def _processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
