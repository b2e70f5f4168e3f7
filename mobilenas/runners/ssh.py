"""A board that is reached with SSH."""

import string
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

from mobilenas.errors import MobilenasError
from mobilenas.runners._agent_runner import AgentRunner, gate_model
from mobilenas.runners._device import Device
from mobilenas.runners._litert_process import LiteRTProcess
from mobilenas.runners._ssh_connection import SshAddress, SshConnection
from mobilenas.runners._ssh_transport import SshTransport
from mobilenas.runners.runner import differences
from mobilenas.settings import Settings, check, check_path

PLAIN = frozenset(string.ascii_letters + string.digits)
ANSWER_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class SshOptions(Settings):
    """Options of the SSH runner.

    Attributes:
        host: Name or address of the board.
        port: Of its SSH server; by default 22, or what the user's SSH configuration says.
        user: Who logs in; by default the name here, or what the user's SSH configuration says.
        key_file: A private key without a passphrase; by default the SSH agent's keys and the user's default ones.
        known_hosts: File with the board's host key; by default the user's own.
        python: Name or path of Python on the board; it needs numpy and ai-edge-litert or tflite-runtime.
        pin: Bind the measuring process to its processors.
        keep_mb: Megabytes of models that stay on the board, in memory, so that they are not sent again.
        connect_seconds: How long connecting and logging in may take.
        wait_seconds: How long to wait while another process measures on the board.
    """

    host: str
    port: int | None = None
    user: str = ""
    key_file: str = ""
    known_hosts: str = ""
    python: str = "python3"
    pin: bool = True
    keep_mb: int = 128
    connect_seconds: float = 15.0
    wait_seconds: float = 600.0

    def __post_init__(self) -> None:
        labels = self.host.removesuffix(".").split(".")
        fine = all(0 < len(label) <= 63 for label in labels) and len(self.host) <= 253
        fine = fine and set(self.host) <= PLAIN | set(".:%_-") and self.host[0] != "-"
        check(fine, "host", self.host, "the name or address of a machine")
        fine = len(self.user) <= 64 and set(self.user) <= PLAIN | set("._@+-") and not self.user.startswith("-")
        check(fine, "user", self.user, "a user's name: letters, digits, '.', '_', '@', '+' and '-'")
        check(self.port is None or 1 <= self.port <= 65535, "port", self.port, "a whole number from 1 to 65535")
        for name in ("key_file", "known_hosts"):
            check_path(name, getattr(self, name))
        fine = self.python != "" and self.python.isprintable()
        check(fine, "python", self.python, "the name or path of a Python on the board")
        check(1 <= self.keep_mb <= 10**5, "keep_mb", self.keep_mb, "a whole number from 1 to 100000")
        check(0 < self.connect_seconds <= 600, "connect_seconds", self.connect_seconds, "seconds above 0, at most 600")
        check(self.wait_seconds >= 0, "wait_seconds", self.wait_seconds, "seconds from 0")


class SshRunner(AgentRunner):
    """Times models with LiteRT on a board, through one SSH connection.

    The agent is sent over the connection and run from memory, models too: no file is written on the board, and a full
    disk there does not matter. When the connection ends, however it ends, nothing of it goes on running there. The lock
    is one a board, whoever measures from wherever.
    """

    has_gate = True

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._options = options = SshOptions.from_dict(device.options, where="options")
        self._address = SshAddress(
            host=options.host,
            port=options.port,
            user=options.user,
            key_file=options.key_file,
            known_hosts=options.known_hosts,
        )

    def _open(self, stack: ExitStack) -> LiteRTProcess:
        options = self._options
        connection = SshConnection(self._address, connect_seconds=options.connect_seconds)
        stack.callback(connection.close)
        connection.open()
        return LiteRTProcess(
            SshTransport(connection, python=options.python, wait_seconds=options.wait_seconds),
            threads=self._device.threads,
            pin=options.pin,
            keep_bytes=options.keep_mb * 10**6,
            gate=gate_model(),
        )

    def answers(self) -> bool:
        connection = SshConnection(self._address, connect_seconds=min(ANSWER_SECONDS, self._options.connect_seconds))
        try:
            connection.open()
        except MobilenasError:
            return False
        connection.close()
        return True

    def mismatch(self, measured: Mapping[str, str]) -> str:
        """Compares only while connected: without that, nobody knows what board it is."""
        if not self._hello:
            return ""
        here = self.environment()
        return differences(measured, {key: here[key] for key in ("cpu", "runtime")})
