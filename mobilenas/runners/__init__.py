"""How models are timed on devices: one runner a file, named as a device's `runner`."""

from mobilenas.errors import FieldError
from mobilenas.registry import Registry
from mobilenas.runners._device import Device, known_devices
from mobilenas.runners._litert_process import LiteRTProcess, ModelError
from mobilenas.runners._onnx_process import onnx_process
from mobilenas.runners._patience import Patience
from mobilenas.runners._timing import MOST_SLOWNESS, Failure, Timing, TimingProtocol, response, undisturbed
from mobilenas.runners._unit import Unit
from mobilenas.runners.runner import Runner

RUNNERS: Registry[Runner] = Registry("mobilenas.runners", Runner, "runner")


def open_runner(device: Device) -> Runner:
    """The runner of a device, not yet connected.

    Raises:
        FieldError: If the device names a runner that does not exist.
        InputError: If the device's options are not accepted.
    """
    if device.runner not in RUNNERS:
        raise FieldError("runner", device.runner, " or ".join(RUNNERS), f"device {device.name}")
    return RUNNERS[device.runner](device)


__all__ = [
    "MOST_SLOWNESS",
    "RUNNERS",
    "Device",
    "Failure",
    "LiteRTProcess",
    "ModelError",
    "Patience",
    "Runner",
    "Timing",
    "TimingProtocol",
    "Unit",
    "known_devices",
    "onnx_process",
    "open_runner",
    "response",
    "undisturbed",
]
