"""The machine that mobilenas runs on."""

import logging
import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mobilenas.errors import DeviceError
from mobilenas.runners._agent_runner import AgentRunner, gate_model
from mobilenas.runners._device import Device
from mobilenas.runners._litert_process import LiteRTProcess
from mobilenas.runners.runner import differences
from mobilenas.settings import Settings, check
from mobilenas.storage import exclusive, machine_lock

LOG = logging.getLogger(__name__)
FIRST_WAIT_S, LONGEST_WAIT_S, SAY_AFTER_S = 0.001, 0.2, 2.0
"""How long a training waits before it asks again whether this machine is measured."""


@dataclass(frozen=True, kw_only=True)
class HostOptions(Settings):
    """Options of the host runner.

    Attributes:
        pin: Bind the measuring process to its processors where the system can.
        wait_seconds: How long to wait while another process measures.
    """

    pin: bool = True
    wait_seconds: float = 600.0

    def __post_init__(self) -> None:
        check(self.wait_seconds >= 0, "wait_seconds", self.wait_seconds, "seconds from 0")


class HostRunner(AgentRunner):
    """Times models with LiteRT in a child process.

    The lock is one a machine and user, whatever the device is called: two measurements at once would disturb each
    other.
    """

    is_here = True
    has_gate = True

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._options = HostOptions.from_dict(device.options, where="options")

    def _open(self, stack: ExitStack) -> LiteRTProcess:
        stack.enter_context(
            exclusive(lock_path(), "this machine", wait_seconds=self._options.wait_seconds, busy=DeviceError)
        )
        return LiteRTProcess(threads=self._device.threads, pin=self._options.pin, gate=gate_model())

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "cpu": cpu_model(), "runtime": runtime_version()}

    def answers(self) -> bool:
        return runtime_version() != "unknown"

    def mismatch(self, measured: Mapping[str, str]) -> str:
        return differences(measured, {"cpu": cpu_model(), "runtime": runtime_version()})


def lock_path() -> Path:
    """The lock file that stands for this machine."""
    return machine_lock("host")


def wait_while_host_is_measured(*, sleep: Callable[[float], None] = time.sleep) -> None:
    """Returns when no process of this user measures this machine; training calls it before every step.

    Another training that asks the same has the lock for an instant: so the first waits are short. A warning in the log
    says once that it takes longer.
    """
    from filelock import FileLock, Timeout

    lock, seconds, waited = FileLock(lock_path()), FIRST_WAIT_S, 0.0
    while True:
        try:
            with lock.acquire(timeout=0):
                return
        except Timeout:
            sleep(seconds)
            waited += seconds
            if waited > SAY_AFTER_S:
                _say_that_training_waits()
            seconds = min(2 * seconds, LONGEST_WAIT_S)
        except OSError:
            return  # no lock can be had here, so nobody measures under it


@cache
def _say_that_training_waits() -> None:
    """Once a process: a training may wait before each of its steps."""
    LOG.warning("training waits while another process measures this machine")


def runtime_version() -> str:
    """The installed TFLite runtime, as `name version`."""
    for name in ("ai-edge-litert", "tflite-runtime"):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "unknown"


def cpu_model() -> str:
    """Model name of this machine's processor."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Model")):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
