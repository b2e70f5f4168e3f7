"""AgentRunner: what runners have in common that time models with the agent script."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from mobilenas.runners._device import Device
from mobilenas.runners._litert_process import LiteRTProcess, ModelError
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners.runner import Runner


class AgentRunner(Runner):
    """A runner whose models are timed by the agent; where that runs is the subclass's."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._stack = ExitStack()
        self._hello: Mapping[str, Any] = {}

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

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        """Times models; their visits are interleaved."""
        times: list[list[list[float]]] = [[] for _ in models]
        delegates = [0] * len(models)
        failures: dict[int, Failure] = {}
        for _ in range(protocol.visits):
            for i, model in enumerate(models):
                if i in failures:
                    continue
                try:
                    answer = self._visit(
                        model,
                        timeout_seconds=protocol.timeout_seconds,
                        warmup_runs=protocol.warmup_runs,
                        runs=protocol.runs,
                        seconds=protocol.visit_seconds,
                    )
                except ModelError as error:
                    failures[i] = Failure(str(error))
                else:
                    times[i].append(answer["times"])
                    delegates[i] = answer["delegates"]
        return [failures.get(i) or Timing.from_visits(times[i], delegates[i], self.unit) for i in range(len(models))]

    def _visit(
        self, model: bytes, *, timeout_seconds: float, warmup_runs: int, runs: int, seconds: float
    ) -> Mapping[str, Any]:
        """What the agent says of one visit.

        Raises:
            ModelError: If the model fails.
        """
        return self._process.request(
            "visit", model, timeout_seconds=timeout_seconds, warmup_runs=warmup_runs, runs=runs, seconds=seconds
        )[0]
