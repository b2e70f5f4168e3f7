"""AdbPhone: one phone behind an adb server, and the two things done with it: a script is run, files are pushed."""

import os
import re
import shlex
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mobilenas.errors import DeviceError, InputError
from mobilenas.extras import require

PUSH_BYTES = 2**16
"""Of one packet of a push; adbd takes no more."""
CONNECT_SECONDS, LEAST_CONNECT_SECONDS = 10.0, 1.0
ANSWER_SECONDS, QUESTIONS = 10.0, 2
"""How long the adb server has to say which phones there are, and how often it is asked: one that was just starting may
never answer."""
PUSH_SECONDS = 60.0
"""Silence after which a push is given up."""
WIFI_PORT = 5555
"""Which `adb connect` takes where none is given."""
STATES = {
    "unauthorized": "does not trust this computer; unlock it and accept its question to allow USB debugging",
    "offline": "is offline; unplug it and plug it in again, or run: adb reconnect offline",
    "no": "may not be opened by this user; run: adb devices (it says which udev rule is missing)",
    "authorizing": "is asking whether to trust this computer; unlock it and accept",
}


class PhoneLostError(Exception):
    """The connection broke; the phone may come back."""


class PhoneFullError(Exception):
    """The phone has no room for a file."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file to push: its path on the phone, its content and permissions."""

    path: str
    content: bytes
    mode: int = 0o644


class AdbPhone:
    """Finds a phone and keeps its serial.

    Args:
        serial: As `adb devices` prints it; empty: `$ANDROID_SERIAL`, or the only phone there is.
        model: Or its model, such as "Pixel 7".
        address: `host:port` for Wi-Fi; it is connected first, and then stands for the serial. Without a port, 5555.
    """

    def __init__(self, *, serial: str = "", model: str = "", address: str = "") -> None:
        if address and ":" not in address:
            address += f":{WIFI_PORT}"
        self._wanted, self._model, self._address = serial or address, model, address
        self._said = ""
        self.serial = ""

    def connect(self, seconds: float = CONNECT_SECONDS) -> None:
        """Finds the phone, or the same one again; one on Wi-Fi has so many seconds to answer.

        Raises:
            DeviceError: If there is none, there are several, or it is not ready.
            InputError: If adbutils is not installed.
        """
        client = _client()
        with _lost():
            if self._address and self._state(client) != "device":
                client.disconnect(self._address)
                self._said = client.connect(self._address, timeout=seconds)
            self.serial = self._found(_listed(client, extended=True))

    def answers(self) -> bool:
        """Whether the phone is ready, as far as a running adb server knows; starts none."""
        if not _has_server():
            return False  # without loading adbutils, which takes longer than all else that lists devices
        try:
            client = _client()
            with _lost():
                self._found(_listed(client, extended=True))
        except (DeviceError, InputError, PhoneLostError):
            return False
        return True

    def wait(self, seconds: float) -> None:
        """Returns when the phone is there again.

        Raises:
            DeviceError: If it does not come back within `seconds`; `serial` is empty from then on.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                return self.connect(min(max(end - time.monotonic(), LEAST_CONNECT_SECONDS), CONNECT_SECONDS))
            except (DeviceError, PhoneLostError) as error:
                if time.monotonic() > end:
                    self.serial = ""
                    raise DeviceError(
                        f"the phone was lost and not back after {seconds:.3g} s ({error}); "
                        "plug it in and run the same command again: it goes on after the last row"
                    ) from error
                time.sleep(0.2)

    def run(self, script: str, *, silence_seconds: float) -> str:
        """Runs a script of the phone's shell and returns what it printed, until it or the connection ends.

        Args:
            script: The script; whoever wrote it has quoted what is not its own.
            silence_seconds: The connection counts as broken when nothing comes for this long.

        Raises:
            PhoneLostError: If the script could not be started.
        """
        received = bytearray()
        with self._service("exec:" + script, silence_seconds) as connection:
            try:
                while data := connection.recv(2**16):
                    received += data
            except OSError:
                pass  # the script's last line is missing, which the caller sees
        return received.decode(errors="replace").replace("\r\n", "\n")

    def push(self, files: Sequence[RemoteFile]) -> None:
        """Sends files, all in one connection; none where there are none.

        Raises:
            PhoneFullError: If the phone has no room.
            PhoneLostError: If the connection breaks.
            DeviceError: If the phone refuses a file.
        """
        if not files:
            return
        with self._service("sync:", PUSH_SECONDS) as connection:
            for file in files:
                try:
                    connection.sendall(_send_request(file))
                finally:  # a phone that has no room says so and reads no further
                    _check_answer(connection, file.path)
            connection.sendall(b"QUIT" + struct.pack("<I", 0))

    def _state(self, client: Any) -> str:
        return next((str(info.state) for info in _listed(client) if info.serial == self._address), "")

    def _found(self, devices: Sequence[Any]) -> str:
        named = self._wanted or ("" if self._model else os.environ.get("ANDROID_SERIAL", ""))
        wanted = self.serial or named  # one that was lost is not replaced by another that is there
        fitting = [d for d in devices if (d.serial == wanted if wanted else self._has_model(d))]
        listed = ", ".join(f"{d.serial} ({d.tags.get('model', d.state)})" for d in devices) or "none"
        if not fitting:
            sought = f"phone {wanted or self._model!r} is not connected" if wanted or self._model else "no phone"
            remedy = "plug it in and turn on USB debugging (adb devices)"
            if self._address and wanted == self._address:
                sought += f" ({self._said.strip()})" if self._said else ""
                remedy = f"turn on Wi-Fi debugging on it and try: adb connect {shlex.quote(self._address)}"
            raise DeviceError(f"{sought}; connected: {listed}; {remedy}")
        if len(fitting) > 1:
            raise DeviceError(
                f"{len(fitting)} phones are connected: {listed}; give one as serial or model in the device's "
                "[options], or as ANDROID_SERIAL"
            )
        state = str(fitting[0].state)
        if state != "device":
            how = STATES.get(state, f"is in state {state}; start Android on it")
            raise DeviceError(f"phone {fitting[0].serial} {how}")
        return str(fitting[0].serial)

    def _has_model(self, device: Any) -> bool:
        if not self._model:
            return True
        return bool(device.tags.get("model") == re.sub(r"[^A-Za-z0-9]", "_", self._model))  # as adb prints it

    @contextmanager
    def _service(self, name: str, silence_seconds: float) -> Iterator[socket.socket]:
        with _lost():
            opened = _client().make_connection(timeout=CONNECT_SECONDS)
            connection: socket.socket = opened.conn
            with connection:
                for request in (f"host:transport:{self.serial}".encode(), name.encode()):
                    connection.sendall(b"%04x" % len(request) + request)
                    opened.check_okay()
                connection.settimeout(silence_seconds)
                yield connection


@contextmanager
def _lost() -> Iterator[None]:
    """What adbutils raises when the connection or the server breaks, as one error."""
    errors = require("adbutils.errors", "adb")
    try:
        yield
    except (errors.AdbError, OSError, EOFError, ValueError, subprocess.SubprocessError) as error:
        raise PhoneLostError(str(error) or type(error).__name__) from error


def _client() -> Any:
    """A client of the adb server, which is started where none runs."""
    adbutils = require("adbutils", "adb")
    if not _has_server():
        _start_server(adbutils.adb_path)
    return adbutils.AdbClient(socket_timeout=ANSWER_SECONDS)


def _listed(client: Any, *, extended: bool = False) -> Sequence[Any]:
    """The phones that the server knows."""
    errors = require("adbutils.errors", "adb")
    for _ in range(QUESTIONS - 1):
        try:
            return list(client.list(extended=extended))
        except errors.AdbTimeout:
            continue
    return list(client.list(extended=extended))


def _has_server() -> bool:
    host = os.environ.get("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
    port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, ValueError):
        return False
    return True


def _start_server(adb_path: Callable[[], str]) -> None:
    """Starts adb's server; adbutils would do so too, but let it print among our output."""
    try:
        command = [adb_path(), "start-server"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise DeviceError(f"the adb server does not start ({error}); run: adb start-server") from error


def _send_request(file: RemoteFile) -> bytes:
    header = f"{file.path},{0o100000 | file.mode}".encode()
    request = bytearray(b"SEND" + struct.pack("<I", len(header)) + header)
    for start in range(0, len(file.content), PUSH_BYTES):
        chunk = file.content[start : start + PUSH_BYTES]
        request += b"DATA" + struct.pack("<I", len(chunk)) + chunk
    request += b"DONE" + struct.pack("<I", int(time.time()))
    return bytes(request)


def says_full(text: str) -> bool:
    """Whether the phone's words for an error are those of a full disk."""
    return "No space" in text or "ENOSPC" in text or "quota" in text.lower()


def _check_answer(connection: socket.socket, path: str) -> None:
    kind, size = struct.unpack("<4sI", _exactly(connection, 8))
    if kind == b"OKAY":
        return
    text = _exactly(connection, min(size, 1000)).decode(errors="replace") if kind == b"FAIL" else repr(kind)
    if says_full(text):
        raise PhoneFullError(text)
    raise DeviceError(f"the phone does not take {path!r}: {text}; give a folder that its shell user can write")


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the phone closed the connection")
        data += part
    return data
