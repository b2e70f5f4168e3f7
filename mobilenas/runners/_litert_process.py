"""LiteRTProcess: the runtime in a process of its own, so that its crash or hang is an answer and not our end."""

import json
import queue
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mobilenas.errors import DeviceError

AGENT = Path(__file__).with_name("_litert_agent.py")
START_SECONDS = 60.0
KEEP_BYTES = 2**29
"""Of models that stay with the process, so that a model that comes again is not sent again."""


class ModelError(Exception):
    """The runtime refused the model, crashed on it, or did not come back."""


class LiteRTProcess:
    """Starts the agent script when it is first needed, and again after it was lost.

    Args:
        threads: Threads of the interpreter.
        pin: Bind the process to as many processors where the system can.
        command: How to start Python there; the agent script is appended.
    """

    def __init__(self, *, threads: int = 1, pin: bool = False, command: Sequence[str] = (sys.executable,)) -> None:
        self._threads, self._pin, self._command = threads, pin, [*command, str(AGENT)]
        self._process: subprocess.Popen[bytes] | None = None
        self._answers: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
        self._loaded: OrderedDict[bytes, int] = OrderedDict()
        self._loaded_bytes, self._sent = 0, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def hello(self) -> dict[str, Any]:
        """Starts the process if need be and returns what it says of itself.

        Raises:
            DeviceError: If the runtime cannot be started.
        """
        self.close()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._answers = queue.Queue()
        stderr: list[bytes] = []
        threading.Thread(target=_read_answers, args=(self._process, self._answers), daemon=True).start()
        threading.Thread(target=_drain, args=(self._process, stderr), daemon=True).start()
        request = {"command": "hello", "threads": self._threads, "pin": self._pin}
        try:
            return self._exchange(request, b"", START_SECONDS)[0]
        except ModelError as error:
            last = b"".join(stderr).decode(errors="replace").strip().splitlines()[-1:]
            raise DeviceError(
                f"LiteRT does not start: {last[0] if last else error}; reinstall ai-edge-litert"
            ) from error

    def request(
        self, command: str, model: bytes, *, timeout_seconds: float, data: bytes = b"", **fields: float
    ) -> tuple[Mapping[str, Any], bytes]:
        """Asks something about one model, loading it first if the process does not have it.

        Raises:
            ModelError: If the runtime refuses the model, crashes or hangs; the next request starts a fresh process.
            DeviceError: If the runtime cannot be started at all.
        """
        if self._process is None or self._process.poll() is not None:
            self.hello()
        if model in self._loaded:
            self._loaded.move_to_end(model)
        else:
            self._load(model, timeout_seconds)
        return self._exchange({"command": command, "id": self._loaded[model], **fields}, data, timeout_seconds)

    def _load(self, model: bytes, timeout_seconds: float) -> None:
        while self._loaded and self._loaded_bytes + len(model) > KEEP_BYTES:
            oldest, number = self._loaded.popitem(last=False)
            self._loaded_bytes -= len(oldest)
            self._exchange({"command": "drop", "id": number}, b"", timeout_seconds)
        self._sent += 1
        self._exchange({"command": "load", "id": self._sent}, model, timeout_seconds)
        self._loaded[model] = self._sent
        self._loaded_bytes += len(model)

    def close(self) -> None:
        """Ends the process; a later request starts another."""
        self._loaded.clear()
        self._loaded_bytes = 0
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
                if pipe and pipe is not self._process.stdout:
                    _close_quietly(pipe)
            self._process = None

    def _exchange(
        self, request: Mapping[str, Any], payload: bytes, timeout_seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        process = self._process
        if process is None or process.stdin is None:
            raise ModelError("the runtime is not running")
        try:
            process.stdin.write(json.dumps({**request, "bytes": len(payload)}).encode() + b"\n")
            process.stdin.write(payload)
            process.stdin.flush()
            answer = self._answers.get(timeout=timeout_seconds)
        except queue.Empty:
            self.close()
            raise ModelError(f"no answer in {timeout_seconds:g} s") from None
        except OSError:
            answer = None
        if answer is None:
            code = process.wait()
            self.close()
            raise ModelError(f"the runtime ended with {_exit_words(code)}")
        if "error" in answer[0]:
            raise ModelError(str(answer[0]["error"]))
        return answer


def _read_answers(process: "subprocess.Popen[bytes]", answers: "queue.Queue[Any]") -> None:
    stream = process.stdout
    if stream is None:
        return
    with stream:
        while line := stream.readline():
            try:
                answer = json.loads(line)
                answers.put((answer, stream.read(answer["bytes"])))
            except (ValueError, KeyError, TypeError):
                break
    answers.put(None)


def _drain(process: "subprocess.Popen[bytes]", lines: list[bytes]) -> None:
    """Keeps the last lines of standard error, so that the pipe never fills."""
    stream = process.stderr
    if stream is None:
        return
    try:
        for line in stream:
            lines.append(line)
            del lines[:-20]
    except ValueError:
        pass  # closed while reading: the process is gone


def _close_quietly(pipe: Any) -> None:
    with suppress(OSError):  # unsent bytes of a dead process
        pipe.close()


def _exit_words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
