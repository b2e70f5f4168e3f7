"""LiteRTProcess: the runtime in a process of its own, so that its crash or hang is an answer and not our end."""

import json
import queue
import threading
from collections import OrderedDict
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from mobilenas.runners._agent_process import AgentProcess, Transport
from mobilenas.runners._local_transport import LocalTransport

KEEP_BYTES = 2**30
"""Of models that stay with the process, so that a model that comes again is not sent again.

The ops and calibration networks of the MnasNet space are 0.7 GB; of fewer none would stay, since each round visits all.
"""


class ModelError(Exception):
    """The runtime refused the model, crashed on it, or did not come back."""


class LiteRTProcess:
    """Starts the agent script when it is first needed, and again after it was lost.

    Args:
        transport: How it is started; by default as a child on this machine.
        threads: Threads of the interpreter.
        pin: Bind the process to as many processors where the system can.
        counter: File whose first eight bytes are its clock, instead of the time.
        keep_bytes: Of models that stay with it.
        gate: A short model that the process runs before and after others to see whether the device is at its best.
    """

    def __init__(
        self,
        transport: Transport | None = None,
        *,
        threads: int = 1,
        pin: bool = False,
        counter: str = "",
        keep_bytes: int = KEEP_BYTES,
        gate: bytes = b"",
    ) -> None:
        self._transport = transport or LocalTransport()
        self._settings = {"threads": threads, "pin": pin, "counter": counter}
        self._keep_bytes, self._gate = keep_bytes, gate
        self._agent: AgentProcess | None = None
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
        """Starts the process anew and returns what it says of itself.

        Raises:
            DeviceError: If the runtime cannot be started.
        """
        self.close()
        self._agent = agent = self._transport.start()
        self._answers = queue.Queue()
        threading.Thread(target=_read_answers, args=(agent, self._answers), daemon=True).start()
        try:
            hello = self._exchange({"command": "hello", **self._settings}, b"", self._transport.start_seconds)[0]
            if self._gate:
                self._exchange({"command": "watch"}, self._gate, self._transport.start_seconds)
            return hello
        except ModelError as error:
            raise self._transport.does_not_start(agent.last_words() or str(error)) from error

    def request(
        self, command: str, model: bytes, *, timeout_seconds: float, data: bytes = b"", **fields: float
    ) -> tuple[Mapping[str, Any], bytes]:
        """Asks something about one model, loading it first if the process does not have it.

        Raises:
            ModelError: If the runtime refuses the model, crashes or hangs; the next request starts a fresh process.
            DeviceError: If the runtime cannot be started at all, or the way to it is lost.
        """
        if self._agent is None or self._agent.has_ended():
            self.hello()
        if model in self._loaded:
            self._loaded.move_to_end(model)
        else:
            self._load(model, timeout_seconds)
        return self._exchange({"command": command, "id": self._loaded[model], **fields}, data, timeout_seconds)

    def _load(self, model: bytes, timeout_seconds: float) -> None:
        while self._loaded and self._loaded_bytes + len(model) > self._keep_bytes:
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
        if self._agent is not None:
            self._agent.kill()
            self._agent = None

    def _exchange(
        self, request: Mapping[str, Any], payload: bytes, timeout_seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        agent = self._agent
        if agent is None:
            raise ModelError("the runtime is not running")
        try:
            line = json.dumps({**request, "bytes": len(payload)}).encode() + b"\n"
            agent.send(line + payload, timeout_seconds)
            answer = self._answers.get(timeout=timeout_seconds)
        except (queue.Empty, TimeoutError):
            self.close()
            raise ModelError(f"no answer in {timeout_seconds:g} s") from None
        except OSError:
            answer = None
        if answer is None:
            try:
                ended = agent.how_it_ended()
            finally:
                self.close()
            raise ModelError(f"the runtime ended with {ended}")
        if "error" in answer[0]:
            raise ModelError(str(answer[0]["error"]))
        return answer


def _read_answers(agent: AgentProcess, answers: "queue.Queue[Any]") -> None:
    while line := agent.read_line():
        try:
            answer = json.loads(line)
            answers.put((answer, agent.read(answer["bytes"])))
        except (ValueError, KeyError, TypeError):
            agent.kill()  # whatever that is, it is not the agent
    answers.put(None)
