"""Measures a candidate or a winner in turn with a reference network."""

from dataclasses import asdict
from typing import Any

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import DeviceError
from mobilenas.export import random_weights, write_tflite
from mobilenas.latency import steady_runner
from mobilenas.run.folder import RunFolder
from mobilenas.run.result import Measured
from mobilenas.runners import Device, Failure, TimingProtocol, open_runner

REFERENCE = "mobilenet_v2"
PROTOCOL = TimingProtocol(visits=15, runs=200, visit_seconds=0.12)
"""Of the candidates and of the winner: about six seconds with the reference network."""


def measure_interleaved(folder: RunFolder, key: str, device: Device, arch: Arch, model: bytes) -> Measured:
    """Times a file in turn with the reference network; journalled under `key`.

    Raises:
        DeviceError: If the device fails or refuses one of them.
    """

    def ask() -> dict[str, Any]:
        reference = models.get(REFERENCE, resolution=arch.resolution, num_classes=arch.num_classes).graph()
        files = [model, write_tflite(reference, random_weights(reference))]
        with open_runner(device) as runner:
            timings = steady_runner(device, runner).measure(files, PROTOCOL)
        own, other = timings
        if isinstance(own, Failure) or isinstance(other, Failure):
            reason = next(t.reason for t in timings if isinstance(t, Failure))
            raise DeviceError(f"{device.name} does not run {arch.name}: {reason}")
        return asdict(
            Measured(
                latency_ms=own.unit.milliseconds(own.seen_us),
                p10_ms=own.unit.show(own.p10_us),
                p90_ms=own.unit.show(own.p90_us),
                reference_ms=other.unit.milliseconds(other.seen_us),
                delegates=own.delegates,
            )
        )

    return Measured.from_dict(folder.once(key, ask), where=f"{folder.path / 'journal.jsonl'}: {key}")
