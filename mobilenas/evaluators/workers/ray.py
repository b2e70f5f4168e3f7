"""Workers on a Ray cluster: the processors or GPUs of this machine, or of many."""

import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mobilenas.errors import InputError
from mobilenas.evaluators.evaluator import Evaluator
from mobilenas.evaluators.workers.site import Crash, Message, Site, Worker, answer
from mobilenas.evaluators.workers.workers import Job
from mobilenas.extras import require

LOCAL = "local"
"""The address that starts a Ray of our own on this machine."""
REACH_S = 5.0
"""How long a cluster may take to accept a connection."""


class RayActor:
    """What lives in Ray's process.

    Args:
        evaluator: Evaluates.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator

    def started(self) -> None:
        """Answers as soon as the process is there."""

    def evaluate(self, job: Job) -> Message:
        """Evaluates a network."""
        return answer(self._evaluator, job)


class RayWorker(Worker):
    """An actor, and the answer that it owes.

    It gets its first job when it has said that it is there: what an actor says that then ends at once may be lost.

    Args:
        ray: The library.
        actor: Handle of a `RayActor`.
    """

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor
        self._is_there = False
        self._first: Job | None = None
        self.owed = actor.started.remote()

    def send(self, job: Job) -> None:
        """Calls the actor, as soon as it is there."""
        if self._is_there:
            self.owed = self._actor.evaluate.remote(job)
        else:
            self._first = job

    def receive(self) -> Message:
        """The answer, or what Ray says of the actor's end."""
        try:
            said: Message = self._ray.get(self.owed)
        except self._ray.exceptions.RayError as error:
            return Crash(f"{type(error).__name__}: {error}".strip().splitlines()[0])
        self._is_there = True
        if self._first is not None:
            self.send(self._first)
            self._first = None
        return said

    def kill(self) -> None:
        """Has Ray kill the actor's process."""
        self._ray.kill(self._actor, no_restart=True)


class Ray(Site[RayWorker]):
    """Actors of a Ray cluster, each with its share of processors, and of GPUs where the cluster has some.

    Machines of the cluster need this package and what the evaluator needs; the evaluator and its data are sent to them.

    Args:
        evaluator: What each actor evaluates with.
        count: How many there will be.
        cluster: The cluster; it is left when the site is closed.

    Raises:
        InputError: If the evaluator cannot be sent.
    """

    start_limit_s = math.inf

    def __init__(self, evaluator: Evaluator, count: int, cluster: "Cluster") -> None:
        self._ray, self._cluster = cluster.ray, cluster
        try:
            self._evaluator = self._ray.put(evaluator)
        except TypeError as error:
            cluster.leave()
            raise InputError(
                f"the evaluator {type(evaluator).__name__} cannot be sent to a cluster: {str(error).splitlines()[0]} "
                "leave out --ray"
            ) from error
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        self._share = {"num_cpus": share([node.get("CPU", 0.0) for node in nodes], count)}
        if gpus := [node["GPU"] for node in nodes if node.get("GPU")]:
            self._share["num_gpus"] = min(1.0, share(gpus, count))

    def launch(self) -> RayWorker:
        """Has Ray start an actor, when there is room for it."""
        actor = self._ray.remote(RayActor).options(**self._share, max_restarts=0, max_task_retries=0)
        return RayWorker(self._ray, actor.remote(self._evaluator))

    def with_news(self, workers: Sequence[RayWorker], seconds: float | None) -> list[RayWorker]:
        """Waits for the next answer of any."""
        by_answer: Mapping[Any, RayWorker] = {worker.owed: worker for worker in workers}
        ready, _ = self._ray.wait(list(by_answer), num_returns=1, timeout=seconds)
        return [by_answer[each] for each in ready]

    def close(self) -> None:
        """Leaves the cluster."""
        self._cluster.leave()


@dataclass(frozen=True, slots=True)
class Cluster:
    """A connection to a cluster.

    Attributes:
        ray: The library, connected.
        is_ours: Whether it was connected for this, and not by the program around.
    """

    ray: Any
    is_ours: bool

    @property
    def room(self) -> int:
        """How many workers it has room for: one a GPU, or one a processor where there is none."""
        resources = self.ray.cluster_resources()
        return max(1, int(resources.get("GPU", 0) or resources.get("CPU", 1)))

    def leave(self) -> None:
        """Ends the connection, if it is ours; a cluster that was started for it ends too."""
        if self.is_ours:
            self.ray.shutdown()


def connect(address: str) -> Cluster:
    """Connects to a cluster.

    Args:
        address: HOST:PORT; "auto" for the cluster that runs on this machine, "local" for a new one.

    Raises:
        InputError: If Ray is not installed, or no cluster answers.
    """
    ray: Any = require("ray", "ray")
    if ray.is_initialized():
        return Cluster(ray, is_ours=False)
    own = {"include_dashboard": False} if address == LOCAL else {}
    try:
        _reach(address)
        ray.init(address=address, log_to_driver=False, logging_level="error", **own)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"no Ray cluster answers at {address}: {reason}; run: ray start --head, or give --ray {LOCAL}"
        ) from error
    return Cluster(ray, is_ours=True)


def _reach(address: str) -> None:
    """Raises `OSError` if nobody listens at a HOST:PORT: Ray itself would ask for minutes."""
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), REACH_S).close()


def share(capacities: Sequence[float], count: int) -> float:
    """The most of a resource that each of `count` workers can have at once: a whole number, or a fraction below 1.

    Args:
        capacities: What each machine has of it.
        count: Number of workers, each on one machine.
    """
    for whole in range(int(max(capacities, default=0)), 0, -1):
        if sum(int(capacity // whole) for capacity in capacities) >= count:
            return float(whole)
    parts = 2
    while sum(int(capacity * parts) for capacity in capacities) < count:
        if not sum(capacities):
            return 0.0
        parts += 1
    return 1 / parts
