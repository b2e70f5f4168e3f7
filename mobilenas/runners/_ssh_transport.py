"""SshTransport: the agent on a board, at the other end of an SSH channel."""

import asyncio
import shlex
import threading
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenas.errors import DeviceError
from mobilenas.runners._agent_process import AgentProcess, Transport, exit_words
from mobilenas.runners._local_transport import AGENT
from mobilenas.runners._ssh_connection import CLOSE_SECONDS, SshConnection

if TYPE_CHECKING:
    import asyncssh

SUPERVISOR = Path(__file__).with_name("_board_supervisor.py")
BOOTSTRAP = 'import os;exec(b"".join(iter(lambda:os.read(0,1)or os._exit(1),b"\\0")))'
"""Runs what comes in up to a zero byte. One line without an apostrophe, so that every shell takes it as it is."""
SEND_SECONDS, START_SECONDS = 60.0, 60.0


class SshTransport(Transport):
    """Starts the agent through an open connection; no file is written on the board.

    Args:
        connection: Open.
        python: Name or path of Python there.
        wait_seconds: How long to wait while somebody else measures there.
    """

    def __init__(self, connection: SshConnection, *, python: str, wait_seconds: float) -> None:
        self._connection, self._python, self._wait_seconds = connection, python, wait_seconds
        self.start_seconds = START_SECONDS + wait_seconds

    def start(self) -> AgentProcess:
        command = shlex.join([self._python, "-c", BOOTSTRAP, f"{self._wait_seconds:g}"])
        agent = _Remote(self._connection, self._connection.start(f"exec {command}"))
        with suppress(OSError):  # one that ended at once says why
            agent.send(SUPERVISOR.read_bytes() + b"\0" + AGENT.read_bytes() + b"\0", SEND_SECONDS)
        return agent

    def does_not_start(self, words: str) -> DeviceError:
        where = self._connection.address.words
        if "No module named" in words:
            return DeviceError(f"{where}: {words}; run there: {self._python} -m pip install ai-edge-litert")
        if "another process measures" in words:
            return DeviceError(f"{where}: {words}; wait for it or stop it")
        return DeviceError(f"{where}: {self._python!r} does not start LiteRT: {words}; give python in the device file")


class _Remote(AgentProcess):
    """The agent on the board."""

    def __init__(self, connection: SshConnection, process: "asyncssh.SSHClientProcess[bytes]") -> None:
        self._connection, self._process = connection, process
        self._last_line = b""
        self._drain = threading.Thread(target=self._keep_last_line, daemon=True)
        self._drain.start()

    def send(self, data: bytes, timeout_seconds: float) -> None:
        import asyncssh

        try:
            self._connection.run(self._write(data), timeout_seconds)
        except asyncssh.Error as error:
            raise ConnectionError(str(error)) from error

    def read_line(self) -> bytes:
        return self._received(self._process.stdout.readline())

    def read(self, count: int) -> bytes:
        return self._received(self._process.stdout.readexactly(count))

    def has_ended(self) -> bool:
        return self._process.is_closing()

    def how_it_ended(self) -> str:
        with suppress(OSError):
            self._connection.run(self._process.wait_closed(), CLOSE_SECONDS)
        code = self._process.returncode
        if code is None:
            raise DeviceError(self._connection.lost())
        return exit_words(code)

    def last_words(self) -> str:
        if self.has_ended():
            self._drain.join(CLOSE_SECONDS)
        return self._last_line.decode(errors="replace").strip()

    def kill(self) -> None:
        with suppress(OSError):
            self._connection.run(self._end(), CLOSE_SECONDS)

    async def _write(self, data: bytes) -> None:
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    async def _end(self) -> None:
        """Ends its input, on which the supervisor kills it, and waits until the board says that it is gone.

        The end would come after what it has not taken in; where there is such, the channel is closed at once instead.
        """
        channel = self._process.channel
        try:
            if channel.get_write_buffer_size():
                channel.abort()
            elif not channel.is_closing():
                channel.write_eof()
            await self._process.wait_closed()
        finally:
            channel.abort()

    def _keep_last_line(self) -> None:
        """Reads standard error, so that the channel never fills."""
        while line := self._received(self._process.stderr.readline()):
            self._last_line = line if line.strip() else self._last_line

    def _received(self, reading: Coroutine[Any, Any, bytes]) -> bytes:
        import asyncssh

        try:
            return self._connection.run(reading)
        except (asyncssh.Error, OSError, asyncio.IncompleteReadError):
            return b""
