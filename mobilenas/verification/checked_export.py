"""checked_export: from a network to a file that has passed the gate."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.export import Metadata, Weights, write_tflite
from mobilenas.graph import Network
from mobilenas.runners import LiteRTProcess
from mobilenas.settings import Settings, check
from mobilenas.verification.accuracy import MAX_DROP, Labelled, check_drop, held_out
from mobilenas.verification.report import Report
from mobilenas.verification.verify import verify_file

if TYPE_CHECKING:
    from mobilenas.quantization import CalibrationSample, Quantized
    from mobilenas.training import ImageData

CALIBRATION_IMAGES = 256
REPORTED_IMAGES = 64
"""Of the calibration images, those that the errors of the layers are measured on."""


@dataclass(frozen=True, kw_only=True)
class ExportSettings(Settings):
    """How a network becomes a `.tflite` file.

    Attributes:
        dtype: Element type.
        float_io: Whether inputs and outputs of an int8 file are float32.
        calibration_images: Training images that an int8 file is quantized with, drawn with `seed`.
        fine_tuning_epochs: Quantization-aware epochs on the training images; 0 for none.
        max_drop: Accuracy that the file may lose, [0, 1].
        seed: Of everything random.

    Raises:
        FieldError: If a number is out of range.
    """

    dtype: str = "float32"
    float_io: bool = False
    calibration_images: int = CALIBRATION_IMAGES
    fine_tuning_epochs: int = 0
    max_drop: float = MAX_DROP
    seed: int = 0

    def __post_init__(self) -> None:
        count, epochs = self.calibration_images, self.fine_tuning_epochs
        check(2 <= count <= 100_000, "calibration_images", count, "a whole number from 2 to 100000")
        check(0 <= epochs <= 10_000, "fine_tuning_epochs", epochs, "a whole number from 0 to 10000")
        check(0 <= self.seed < 2**32, "seed", self.seed, "a whole number from 0 to 4294967295")
        check_drop(self.max_drop)


@dataclass(frozen=True, slots=True)
class CheckedFile:
    """A file and what is known of it.

    Attributes:
        model: The file.
        report: The gate's checks.
        quantization: Of a calibrated int8 file: the sample, the steps, the error, and every layer's.
    """

    model: bytes
    report: Report
    quantization: dict[str, Any] = field(default_factory=dict)


def checked_export(
    arch: Arch | Network,
    weights: Weights,
    settings: ExportSettings,
    *,
    data: "ImageData | None" = None,
    labelled: Labelled | None = None,
    checkpoint: Path | None = None,
    pause: Callable[[], None] = lambda: None,
    runtime: LiteRTProcess | None = None,
    verify: bool = True,
    compare: bool = True,
) -> CheckedFile:
    """Writes a network as a `.tflite` file and checks it.

    With data, the file says its labels and normalisation, int8 is quantized with training images, and accuracy is
    compared on held-out ones. Without, int8 gets made-up ranges: it takes the time of a real one, computes nothing
    useful, and only its form and its weights are checked. A fine-tuned file that fails gives way to the one without
    fine-tuning, if that passes.

    Args:
        arch: The network.
        weights: Its state dict.
        settings: How.
        data: Labelled images at its resolution.
        labelled: Held-out images; by default those of `data`.
        checkpoint: Where an interrupted fine-tuning goes on from.
        pause: Called before every step of a fine-tuning.
        runtime: A LiteRT process to use; by default one is started.
        verify: Whether to check the file; without, the report is empty and LiteRT sees nothing of it.
        compare: Whether to compare what the file computes with torch, which must be installed then.

    Raises:
        InputError: If data do not fit the network, an extra is missing, or the dtype is not known.
        VerificationError: If LiteRT does not run the file.
    """
    metadata = None if data is None else metadata_of(data, arch)
    graph, description = arch.graph(), f"mobilenas {arch.name}"
    if labelled is None and data is not None and verify and compare:
        labelled = held_out(data.test, settings.max_drop)

    def checked(model: bytes, quantization: dict[str, Any]) -> CheckedFile:
        if not verify:
            return CheckedFile(model, Report(()), quantization)
        report = verify_file(
            model,
            graph,
            weights,
            dtype=settings.dtype,
            float_io=settings.float_io,
            labelled=labelled,
            fine_tuned=quantization.get("fine_tuned", False),
            metadata=metadata,
            compare=compare,
            runtime=runtime,
        )
        return CheckedFile(model, report, quantization)

    def checked_int8(found: "Quantized", sample: "CalibrationSample") -> CheckedFile:
        model = found.write(float_io=settings.float_io, description=description, metadata=metadata)
        return checked(model, _quantization(found, sample))

    if settings.dtype != "int8" or data is None:
        model = write_tflite(
            graph,
            weights,
            dtype=settings.dtype,
            float_io=settings.float_io,
            description=description,
            metadata=metadata,
        )
        return checked(model, {})
    plain, tuned, sample = _quantized(arch, weights, settings, data, checkpoint, pause)
    found = checked_int8(tuned, sample)
    if tuned.fine_tuned and not found.report.passed:
        failed = next(check for check in found.report.checks if not check.passed)
        step = f"fine-tuning of {settings.fine_tuning_epochs} epochs did not pass ({failed.name}: {failed.found})"
        without = checked_int8(replace(plain, steps=(*plain.steps, step)), sample)
        found = without if without.report.passed else found
    return found


def metadata_of(data: "ImageData", arch: Arch | Network) -> Metadata:
    """Labels and normalisation of a data set.

    Raises:
        InputError: If the network has another number of classes or another resolution.
    """
    if (arch.num_classes, arch.resolution) != (data.num_classes, data.resolution):
        raise InputError(
            f"{data.name} has {data.num_classes} classes at {data.resolution} pixels, {arch.name} has "
            f"{arch.num_classes} at {arch.resolution}; give the data that it was trained on"
        )
    labels = tuple(" ".join(name.split()) or "?" for name in data.class_names)
    return Metadata(labels=labels, mean=data.mean, std=data.std)


def _quantized(
    arch: Arch | Network,
    weights: Weights,
    settings: ExportSettings,
    data: "ImageData",
    checkpoint: Path | None,
    pause: Callable[[], None],
) -> tuple["Quantized", "Quantized", "CalibrationSample"]:
    """The network without fine-tuning and with it, the same where none is wanted, and the images it is made with."""
    from mobilenas.quantization import calibration_sample, fine_tuned, fine_tuning_recipe, quantize
    from mobilenas.training import default_recipe

    sample = calibration_sample(data, settings.calibration_images, seed=settings.seed)
    plain = quantize(arch.graph(), weights, sample.images)
    if not settings.fine_tuning_epochs:
        return plain, plain, sample
    usual = default_recipe(len(data.train), data.resolution, settings.fine_tuning_epochs)
    recipe = fine_tuning_recipe(usual, settings.fine_tuning_epochs)
    tuned = fine_tuned(plain, data, recipe, seed=settings.seed, checkpoint=checkpoint, pause=pause)
    return plain, tuned, sample


def _quantization(found: "Quantized", sample: "CalibrationSample") -> dict[str, Any]:
    """What documents say of a calibrated int8 file."""
    from mobilenas.quantization import layer_errors

    layers = layer_errors(found.network(), sample.images[:REPORTED_IMAGES])
    return {
        "calibration": sample.to_dict(),
        "fine_tuned": found.fine_tuned,
        "steps": list(found.steps),
        "error": found.error,
        "layers": [{"name": e.name, "kind": e.kind, "own": e.own, "total": e.total} for e in layers],
    }
