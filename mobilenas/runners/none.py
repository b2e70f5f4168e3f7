"""A device that nothing is connected to: all that is known of it stands in its latency table."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

from mobilenas.errors import DeviceError, FieldError
from mobilenas.runners._device import Device
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners.runner import Runner


class NoRunner(Runner):
    """Never answers; whoever wants to measure is told what can be had instead. It has no options."""

    has_connection: ClassVar[bool] = False

    def __init__(self, device: Device) -> None:
        if device.options:
            raise FieldError("options", dict(device.options), "none: there is no connection to set up")
        self._device = device

    def __enter__(self) -> Self:
        raise self._absent()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def environment(self) -> Mapping[str, str]:
        raise self._absent()

    def answers(self) -> bool:
        return False

    def mismatch(self, measured: Mapping[str, str]) -> str:
        return ""

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        raise self._absent()

    def _absent(self) -> DeviceError:
        name = self._device.name
        return DeviceError(
            f"device {name} has no connection, so nothing can be measured on it; from its table: "
            f"mobilenas predict MODEL --device {name}"
        )
