"""Runner: how models are timed on a device."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

from mobilenas.runners._device import Device
from mobilenas.runners._patience import Patience
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners._unit import Unit

UNKNOWN = "unknown"
"""What a table says of what nobody recorded."""


def differences(measured: Mapping[str, str], here: Mapping[str, str]) -> str:
    """In what `measured` is not as `here`, which names what counts; empty if in nothing.

    What a table of somebody else's figures does not know is no difference.
    """
    unlike = {key: now for key, now in here.items() if measured[key] not in (now, UNKNOWN)}
    return ", ".join(f"{key} {measured[key]}, here {now}" for key, now in unlike.items())


class Runner(ABC):
    """An open connection to one device; nobody else measures there while it is open.

    Use it as a context manager: entering takes the device's lock and connects, leaving releases both.

    Args:
        device: The device; the runner reads its `options`.

    Attributes:
        patience: How a disturbed device is waited for.
        least_us: What takes less is too short for the device's clock: an op is repeated inside one model.
        unit: What its figures are counted in.
        usual_gate_us: What its gate, a model that shows whether the device is at its best, takes then, as an earlier
            session found; 0 where nobody knows.

    Raises:
        InputError: If the options are not accepted.
    """

    unit: ClassVar[Unit] = Unit.MICROSECONDS
    has_connection: ClassVar[bool] = True
    """Whether there is any way to the device, be it off now; False: all that is known of it is its table."""
    is_here: ClassVar[bool] = False
    """Whether it runs on this machine: it can always be measured, and others' figures are not of it."""
    has_gate: ClassVar[bool] = False
    """Whether its visits can wait for quiet moments of the processor, and cost little.

    Ops wait for them. Networks, which run longer than any moment is quiet, are visited often instead, and never again.
    """
    patience: Patience = Patience()
    least_us: float = 0.0
    usual_gate_us: float = 0.0

    @property
    def gate_us(self) -> float:
        """What the gate takes at its best in this session; 0 before it has run, and where there is none."""
        return 0.0

    @abstractmethod
    def __init__(self, device: Device) -> None: ...

    @abstractmethod
    def __enter__(self) -> Self:
        """Connects.

        Raises:
            DeviceError: If the device is absent, busy or does not work.
        """

    @abstractmethod
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @abstractmethod
    def environment(self) -> Mapping[str, str]:
        """Where it is measured: `cpu`, `runtime` with version, `threads`, `pinning`, `governor`."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the device could be used now. Takes no lock and starts nothing that lasts."""

    @abstractmethod
    def mismatch(self, measured: Mapping[str, str]) -> str:
        """Why a table with this environment was not measured on this device; empty if it fits. Does not connect."""

    @abstractmethod
    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        """Times models: in one trip, their visits interleaved.

        Args:
            models: TFLite files.
            protocol: How.

        Returns:
            One entry a model, in order. A model that crashes or hangs the runtime fails alone.

        Raises:
            DeviceError: If the device itself is lost.
        """
