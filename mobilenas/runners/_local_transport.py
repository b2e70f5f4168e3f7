"""LocalTransport: the agent as a child process."""

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from mobilenas.errors import DeviceError
from mobilenas.runners._agent_process import AgentProcess, Transport, exit_words

AGENT = Path(__file__).with_name("_litert_agent.py")


class LocalTransport(Transport):
    """Starts the agent on this machine.

    Args:
        command: How to start Python; the agent script is appended.
        script: The agent; by default that of LiteRT.
        environment: Variables of the child; None gives it ours.
        name: What does not start, for errors.
        remedy: What then helps.
        start_seconds: How long it may take until the agent answers.
    """

    def __init__(
        self,
        command: Sequence[str] = (sys.executable,),
        *,
        script: Path | None = None,
        environment: Mapping[str, str] | None = None,
        name: str = "LiteRT",
        remedy: str = "reinstall ai-edge-litert",
        start_seconds: float = 60.0,
    ) -> None:
        self._command, self._environment = [*command, str(script or AGENT)], environment
        self._name, self._remedy = name, remedy
        self.start_seconds = start_seconds

    def start(self) -> AgentProcess:
        try:
            return _Child(self._command, self._environment)
        except OSError as error:
            raise self.does_not_start(str(error)) from error

    def does_not_start(self, words: str) -> DeviceError:
        return DeviceError(f"{self._name} does not start: {words}; {self._remedy}")


class _Child(AgentProcess):
    """The agent as a child process."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
        self._last_line = b""
        self._drain = threading.Thread(target=self._keep_last_line, daemon=True)
        self._drain.start()

    def send(self, data: bytes, timeout_seconds: float) -> None:
        stdin = _opened(self._process.stdin)
        try:
            stdin.write(data)
            stdin.flush()
        except ValueError as error:  # closed: `kill` was quicker
            raise BrokenPipeError(str(error)) from error

    def read_line(self) -> bytes:
        stdout = _opened(self._process.stdout)
        line = stdout.readline()
        if not line:
            stdout.close()
        return line

    def read(self, count: int) -> bytes:
        return _opened(self._process.stdout).read(count)

    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def how_it_ended(self) -> str:
        return exit_words(self._process.wait())

    def last_words(self) -> str:
        if self.has_ended():
            self._drain.join(1)
        return self._last_line.decode(errors="replace").strip()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stderr):
            with suppress(OSError):  # unsent bytes of a dead process
                _opened(pipe).close()

    def _keep_last_line(self) -> None:
        """Reads standard error, so that the pipe never fills."""
        with suppress(ValueError):  # closed while reading: the process is gone
            for line in _opened(self._process.stderr):
                self._last_line = line if line.strip() else self._last_line


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise OSError("the pipe was not opened")
    return stream
