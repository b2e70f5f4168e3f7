"""An aarch64 processor that is not there: real kernels under an emulator that counts their instructions."""

import hashlib
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mobilenas.errors import DeviceError
from mobilenas.runners._agent_runner import AgentRunner
from mobilenas.runners._device import Device
from mobilenas.runners._litert_process import LiteRTProcess, ModelError
from mobilenas.runners._local_transport import LocalTransport
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners._unit import Unit
from mobilenas.runners.runner import differences
from mobilenas.runners.sysroot import SET_UP, Sysroot
from mobilenas.settings import Settings, check, check_path

START_SECONDS = 300.0
SLOWDOWN = 20
"""Times as long as a device may take, so may its emulation, before a visit is a hang."""


@dataclass(frozen=True, kw_only=True)
class EmulatedOptions(Settings):
    """Options of the emulated runner.

    Attributes:
        sysroot: Folder that `python -m mobilenas.runners.sysroot` made; by default the one in `$MOBILENAS_HOME`.
    """

    sysroot: str = ""

    def __post_init__(self) -> None:
        check_path("sysroot", self.sysroot)


class EmulatedRunner(AgentRunner):
    """Counts the instructions of LiteRT's aarch64 kernels under qemu-aarch64.

    Counts are not time: they know no caches and no clock. They are the same in every run and on every machine with the
    same runtime, whatever else the machine does, so there is no lock, and a model is run once while the runner is open:
    later visits give what the first one gave.
    """

    unit: ClassVar[Unit] = Unit.INSTRUCTIONS
    is_here = True

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._options = EmulatedOptions.from_dict(device.options, where="options")
        check(device.threads == 1, "threads", device.threads, "1: instructions are counted of one thread")
        self._counted: dict[bytes, Timing] = {}

    def _open(self, stack: ExitStack) -> LiteRTProcess:
        sysroot = self._sysroot()
        counter = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mobilenas-"))) / "instructions"
        counter.write_bytes(bytes(8))
        transport = LocalTransport(
            sysroot.command(),
            environment=sysroot.environment(counter),
            name="LiteRT under qemu-aarch64",
            remedy=SET_UP,
            start_seconds=START_SECONDS,
        )
        return LiteRTProcess(transport, counter=str(counter))

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), **self._here(), "pinning": "none", "governor": "none"}

    def answers(self) -> bool:
        try:
            self._sysroot()
        except DeviceError:
            return False
        return True

    def mismatch(self, measured: Mapping[str, str]) -> str:
        try:
            return differences(measured, self._here())
        except DeviceError:
            return ""  # it cannot run here, but what it counted elsewhere holds

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        return [self._count(model, protocol) for model in models]

    def _count(self, model: bytes, protocol: TimingProtocol) -> Timing | Failure:
        key = hashlib.sha256(model).digest()
        if key not in self._counted:
            patience_seconds = SLOWDOWN * protocol.timeout_seconds
            try:
                self._counted[key] = self._visit(
                    model, timeout_seconds=patience_seconds, warmup_runs=1, runs=1, seconds=1.0, waits=False
                )
            except ModelError as error:
                return Failure(str(error))
        return self._counted[key]

    def _here(self) -> Mapping[str, str]:
        sysroot = self._sysroot()
        return {"cpu": f"{sysroot.cpu}, emulated", "runtime": sysroot.contents.runtime}

    def _sysroot(self) -> Sysroot:
        return Sysroot.load(Path(self._options.sysroot).expanduser() if self._options.sysroot else None)
