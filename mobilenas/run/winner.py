"""From a candidate to a file that was measured: measure, train, export, verify."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import DeviceError, InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.latency import steady_runner
from mobilenas.nn import GraphModule, initialize, observed_ranges, outputs, save_weights, state_arrays
from mobilenas.run.folder import RunFolder
from mobilenas.run.result import Measured
from mobilenas.runners import Device, Failure, LiteRTProcess, TimingProtocol, in_ms, open_runner
from mobilenas.training import ImageData, Recipe, train
from mobilenas.verification import Report, run_model, verify_file

REFERENCE = "mobilenet_v2"
CALIBRATION_IMAGES = 256
"""Training images that the ranges of an int8 file come from."""
PROTOCOL = TimingProtocol(visits=15, runs=200, visit_seconds=0.12)
"""Of the candidates and of the winner: about six seconds with the reference network."""


@dataclass(frozen=True)
class Winner:
    """A trained and exported network.

    Attributes:
        model: The exported file.
        test_accuracy: On held-out images, by torch, [0, 1].
        exported_accuracy: Of the file on the same images, by LiteRT.
        agreement: Share of the images on which both name the same class.
        report: The gate's checks.
    """

    model: bytes
    test_accuracy: float
    exported_accuracy: float
    agreement: float
    report: Report


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
                latency_ms=own.latency_us / 1e3,
                p10_ms=in_ms(own.p10_us),
                p90_ms=in_ms(own.p90_us),
                reference_ms=other.latency_us / 1e3,
                delegates=own.delegates,
            )
        )

    return Measured.from_dict(folder.once(key, ask), where=f"{folder.path / 'journal.jsonl'}: {key}")


def train_and_export(
    folder: RunFolder,
    name: str,
    arch: Arch,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    dtype: str,
    pause: Callable[[], None],
) -> Winner:
    """Trains a network from scratch, exports it and holds the file against torch on every held-out image.

    An int8 file is quantized with the ranges that training images give.
    Training goes on from `checkpoints/<name>.safetensors` where a killed run left one.

    Raises:
        InputError: If the training diverged, or the folder cannot be written.
    """
    graph = arch.graph()
    module = GraphModule(graph)
    initialize(module, seed)
    result = train(module, data, recipe, seed=seed, checkpoint=folder.checkpoint(name), pause=pause, judge_epochs=False)
    if result.status != "ok":
        raise InputError(
            f"training of the winner {arch.name} diverged after {len(result.history)} of {recipe.epochs} epochs; "
            "start a new run with another --final-epochs or --seed"
        )
    save_weights(module, folder.checkpoint("best"))
    weights = state_arrays(module)
    ranges = observed_ranges(graph, weights, _calibration_images(data)) if dtype == "int8" else None
    model = write_tflite(graph, weights, dtype=dtype, ranges=ranges, description=f"mobilenas {arch.name}")
    images, labels = data.test.arrays()
    with LiteRTProcess() as process:
        report = verify_file(model, graph, weights, dtype=dtype, images=images, runtime=process)
        exported = run_model(process, model, images).argmax(-1)
    expected = outputs(graph, weights, images).argmax(-1)
    return Winner(
        model=model,
        test_accuracy=float(np.mean(expected == labels)),
        exported_accuracy=float(np.mean(exported == labels)),
        agreement=float(np.mean(exported == expected)),
        report=report,
    )


def _calibration_images(data: ImageData) -> npt.NDArray[np.float32]:
    """The first training images, as an exported file takes them."""
    first, _ = next(data.train.batches(CALIBRATION_IMAGES))
    return first.permute(0, 2, 3, 1).contiguous().numpy()
