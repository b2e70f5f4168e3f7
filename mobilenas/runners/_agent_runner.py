"""AgentRunner: what runners have in common that time models with the agent script."""

import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np

from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners._device import Device
from mobilenas.runners._litert_process import LiteRTProcess, ModelError
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners.runner import Runner

MOST_WAIT_SECONDS = 2.0
"""What a visit waits for a quiet moment."""
FIRST_WAIT_SECONDS, WAIT_SHARE = 20.0, 2.0
"""What a session waits for them: so long, and so many times as long as it was not waiting."""


def gate_model() -> bytes:
    """What the agent runs before and after others: 2.4 million MACs that stay in any processor's cache."""
    return write_micro_model(OpSpec(OpKind.CONV2D, ((14, 14, 96),), 128))


class AgentRunner(Runner):
    """A runner whose models are timed by the agent; where that runs is the subclass's."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stack = ExitStack()
        self._hello: Mapping[str, Any] = {}
        self._wait_seconds = FIRST_WAIT_SECONDS
        self._gates_us: list[float] = []

    @abstractmethod
    def _open(self, stack: ExitStack) -> LiteRTProcess:
        """Takes the device's lock and connects; gives the agent, not yet started.

        Args:
            stack: What shall be released when the runner is closed.
        """

    def __enter__(self) -> Self:
        """Connects and starts the agent."""
        with ExitStack() as stack:
            self._process = self._open(stack)
            stack.callback(self._process.close)
            self._hello = self._process.hello()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the agent and disconnects."""
        self._stack.close()

    def environment(self) -> Mapping[str, str]:
        """What the agent says of the device."""
        hello = self._hello
        return {
            "cpu": hello["cpu"],
            "runtime": f"{hello['runtime']} {hello['runtime_version']}",
            "threads": str(self._device.threads),
            "pinning": f"cores {hello['cores']}" if hello["cores"] else "none",
            "governor": hello["governor"],
        }

    @property
    def gate_us(self) -> float:
        return float(np.median(self._gates_us)) if self._gates_us else 0.0

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        """Times models; their visits are interleaved."""
        visits: list[list[Timing]] = [[] for _ in models]
        failures: dict[int, Failure] = {}
        for _ in range(protocol.visits):
            for i, model in enumerate(models):
                if i in failures:
                    continue
                try:
                    timing = self._visit(
                        model,
                        timeout_seconds=protocol.timeout_seconds,
                        warmup_runs=protocol.warmup_runs,
                        runs=protocol.runs,
                        seconds=protocol.visit_seconds,
                        waits=protocol.waits,
                    )
                except ModelError as error:
                    failures[i] = Failure(str(error))
                else:
                    visits[i].append(timing)
        return [failures.get(i) or Timing.merged(visits[i]) for i in range(len(models))]

    def _visit(
        self, model: bytes, *, timeout_seconds: float, warmup_runs: int, runs: int, seconds: float, waits: bool
    ) -> Timing:
        """One visit; where it waits for a quiet moment, in one if it comes in time.

        Raises:
            ModelError: If the model fails.
        """
        start = time.monotonic()
        answer, _ = self._process.request(
            "visit",
            model,
            timeout_seconds=timeout_seconds,
            warmup_runs=warmup_runs,
            runs=runs,
            seconds=seconds,
            waits=waits,
            wait_seconds=min(MOST_WAIT_SECONDS, max(self._wait_seconds, 0.0)),
            gate_us=self.usual_gate_us,
        )
        if answer["gate_us"]:
            self._gates_us.append(answer["gate_us"])
        waited_seconds = float(answer["waited"])
        self._wait_seconds += WAIT_SHARE * (time.monotonic() - start - waited_seconds) - waited_seconds
        return Timing.from_visit(
            answer["times"],
            quiet=answer["quiet"],
            slowness=answer["slowness"],
            delegates=answer["delegates"],
            unit=self.unit,
        )
