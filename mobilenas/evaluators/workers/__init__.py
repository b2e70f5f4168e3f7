"""Where evaluations run: in this process, in processes of this machine, or on a Ray cluster. No torch."""

from mobilenas.evaluators.workers.in_process import InProcess
from mobilenas.evaluators.workers.pool import Pool
from mobilenas.evaluators.workers.processes import Processes
from mobilenas.evaluators.workers.ray import Cluster, Ray, connect
from mobilenas.evaluators.workers.site import Crash, Message, Site, Worker, answer
from mobilenas.evaluators.workers.workers import Job, Workers

__all__ = [
    "Cluster",
    "Crash",
    "InProcess",
    "Job",
    "Message",
    "Pool",
    "Processes",
    "Ray",
    "Site",
    "Worker",
    "Workers",
    "answer",
    "connect",
]
