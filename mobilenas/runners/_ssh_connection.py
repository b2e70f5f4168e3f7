"""SshConnection: a connection to one board, for callers that know nothing of asyncio."""

import asyncio
import threading
from collections.abc import Awaitable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mobilenas.errors import DeviceError, InputError
from mobilenas.extras import require

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")
EXTRA = "ssh"
KEEPALIVE_SECONDS, KEEPALIVE_COUNT = 5, 3
"""A board that answers none of this many questions, so far apart, is lost."""
CLOSE_SECONDS = 15.0


@dataclass(frozen=True, kw_only=True)
class SshAddress:
    """Where a board is and how it is logged into: with keys, never with a password.

    Attributes:
        host: Name or address.
        port: Of the SSH server; None for 22, or what the user's SSH configuration says.
        user: Empty for the name here, or what the user's SSH configuration says.
        key_file: A private key without a passphrase; empty for the SSH agent's keys and the user's default ones.
        known_hosts: File with the board's host key; empty for the user's own.
    """

    host: str
    port: int | None = None
    user: str = ""
    key_file: str = ""
    known_hosts: str = ""

    @property
    def words(self) -> str:
        """As people and `ssh` write it."""
        port = "" if self.port is None else f"-p {self.port} "
        return f"{port}{self.user}@{self.host}" if self.user else f"{port}{self.host}"


class SshConnection:
    """Opens a connection on a thread of its own, which runs the event loop.

    Args:
        address: Where to.
        connect_seconds: How long connecting and logging in may take.
    """

    def __init__(self, address: SshAddress, *, connect_seconds: float) -> None:
        self.address = address
        self._connect_seconds = connect_seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: asyncssh.SSHClientConnection | None = None

    def open(self) -> None:
        """Connects, holds the host key against the known ones, and logs in with a key.

        Raises:
            DeviceError: If the board does not answer, is not who it should be, or accepts no key.
            InputError: If a key file cannot be read, or asyncssh is not installed.
        """
        require("asyncssh", EXTRA)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._connection = self.run(self._connect(), self._connect_seconds + 1)
        except BaseException:
            self.close()
            raise

    def start(self, command: str) -> "asyncssh.SSHClientProcess[bytes]":
        """Runs a command for the board's shell.

        Raises:
            DeviceError: If the connection is lost.
        """
        import asyncssh

        if self._connection is None:
            raise DeviceError(self.lost())
        try:
            return self.run(self._connection.create_process(command, encoding=None), self._connect_seconds)
        except (asyncssh.Error, OSError) as error:
            raise DeviceError(self.lost()) from error

    def run(self, work: Awaitable[T], timeout_seconds: float | None = None) -> T:
        """Waits for what runs on the loop's thread.

        Raises:
            TimeoutError: If it takes longer.
            OSError: If the connection is closed.
        """
        if self._loop is None:
            if asyncio.iscoroutine(work):
                work.close()
            raise ConnectionError("the connection is closed")
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, timeout_seconds), self._loop)
        try:
            return future.result()
        except CancelledError as error:
            raise ConnectionError("the connection is closed") from error

    def lost(self) -> str:
        """What errors say when the connection is gone."""
        return (
            f"the connection to {self.address.words} was lost; see that the board is on and reachable, and run it "
            "again: what was measured is kept"
        )

    def close(self) -> None:
        """Disconnects; nothing happens where nothing is open."""
        if self._loop is None:
            return
        with suppress(OSError):
            self.run(self._disconnect(), CLOSE_SECONDS)
        loop, self._loop, self._connection = self._loop, None, None
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    async def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._connection.wait_closed(), CLOSE_SECONDS / 2)
            self._connection.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connect(self) -> "asyncssh.SSHClientConnection":
        import asyncssh

        where, address = self.address.words, self.address
        try:
            return await asyncio.wait_for(asyncssh.connect(address.host, **_login(address)), self._connect_seconds)
        except asyncssh.HostKeyNotVerifiable as error:
            raise DeviceError(self._unknown_host_key()) from error
        except asyncssh.PermissionDenied as error:
            raise DeviceError(
                f"{where} accepts none of our keys; run: ssh-copy-id {where}, or give its user and key_file"
            ) from error
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise InputError(
                f"key_file {address.key_file!r}: {error}; give a private key without a passphrase, "
                "or leave key_file out and run: ssh-add"
            ) from error
        except asyncssh.ConfigParseError as error:
            raise InputError(f"{error}; mend that line") from error
        except ValueError as error:
            raise InputError(f"known_hosts {self._known_hosts}: {error}; mend that file, or give another") from error
        except TimeoutError as error:
            raise DeviceError(
                f"{where} does not answer within {self._connect_seconds:g} s; see that it is on and reachable"
            ) from error
        except OSError as error:
            if error.filename is not None:
                raise InputError(f"cannot read {error.filename}: {error.strerror}; give another file") from error
            raise DeviceError(
                f"{where} cannot be reached: {error}; see that it is on and runs an SSH server"
            ) from error
        except asyncssh.Error as error:
            raise DeviceError(f"{where}: {error.reason}; run: ssh {where}") from error

    @property
    def _known_hosts(self) -> str:
        """The file, as errors name it."""
        return _expanded(self.address.known_hosts) or "~/.ssh/known_hosts"

    def _unknown_host_key(self) -> str:
        """Why a host key is not trusted: the board was never seen, or it has another key now."""
        import asyncssh

        address = self.address
        path = self._known_hosts
        known: Sequence[object] = ()
        with suppress(OSError, ValueError):
            known = asyncssh.match_known_hosts(str(Path(path).expanduser()), address.host, "", address.port or 22)[0]
        if known:
            return (
                f"{address.words} shows another host key than the one in {path}: it was set up anew, or another "
                f"machine answers in its place; if you know why, run: ssh-keygen -R {_known_name(address)}"
            )
        return f"the host key of {address.words} is not in {path}; connect once and compare it: ssh {address.words}"


def _login(address: SshAddress) -> dict[str, Any]:
    """What asyncssh is told; what is left out, it takes from the user's SSH configuration."""
    options: dict[str, Any] = {
        "preferred_auth": "publickey",
        "password_auth": False,
        "kbdint_auth": False,
        "keepalive_interval": KEEPALIVE_SECONDS,
        "keepalive_count_max": KEEPALIVE_COUNT,
    }
    if address.port is not None:
        options["port"] = address.port
    if address.user:
        options["username"] = address.user
    if address.key_file:
        options["client_keys"] = [_expanded(address.key_file)]
    if address.known_hosts:
        options["known_hosts"] = _expanded(address.known_hosts)
    return options


def _expanded(path: str) -> str:
    return str(Path(path).expanduser()) if path else ""


def _known_name(address: SshAddress) -> str:
    """The board as `known_hosts` files call it."""
    return address.host if address.port in (None, 22) else f"'[{address.host}]:{address.port}'"
