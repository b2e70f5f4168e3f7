"""Measures candidates or a winner in turn with a reference network."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import DeviceError
from mobilenas.export import random_weights, write_tflite
from mobilenas.latency import steady_runner
from mobilenas.run.folder import RunFolder
from mobilenas.run.result import Measured
from mobilenas.runners import Device, Failure, Timing, open_runner

REFERENCE = "mobilenet_v2"


def measure_interleaved(
    folder: RunFolder, key: str, device: Device, networks: Sequence[tuple[Arch, bytes]]
) -> list[Measured]:
    """Times files in turn with each other and the reference network; journalled under `key`.

    Args:
        folder: The run's.
        key: Names the measurement.
        device: Where.
        networks: At least one, each with its file.

    Raises:
        DeviceError: If the device fails or refuses one of them.
    """

    def ask() -> dict[str, Any] | list[dict[str, Any]]:
        arch = networks[0][0]
        reference = models.get(REFERENCE, resolution=arch.resolution, num_classes=arch.num_classes).graph()
        files = [*(model for _, model in networks), write_tflite(reference, random_weights(reference))]
        with open_runner(device) as runner:
            steady = steady_runner(device, runner)
            timings = steady.measure(files, steady.target_protocol)
        names = [*(each.name for each, _ in networks), REFERENCE]
        fine = []
        for name, timing in zip(names, timings, strict=True):
            if isinstance(timing, Failure):
                raise DeviceError(f"{device.name} does not run {name}: {timing.reason}")
            fine.append(timing)
        found = [asdict(_measured(own, fine[-1])) for own in fine[:-1]]
        return found[0] if len(found) == 1 else found

    def is_list(answer: object) -> bool:
        return len(networks) == 1 or (isinstance(answer, list) and len(answer) == len(networks))

    answer = folder.once(key, ask, is_list)
    where = f"{folder.path / 'journal.jsonl'}: {key}"
    return [Measured.from_dict(each, where=where) for each in ([answer] if len(networks) == 1 else answer)]


def _measured(own: Timing, reference: Timing) -> Measured:
    return Measured(
        latency_ms=own.unit.milliseconds(own.seen_us),
        p10_ms=own.unit.show(own.p10_us),
        p90_ms=own.unit.show(own.p90_us),
        reference_ms=reference.unit.milliseconds(reference.seen_us),
        delegates=own.delegates,
    )
