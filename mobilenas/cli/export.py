"""Writes a network as a file for phones, and checks it."""

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mobilenas.arch import Arch
from mobilenas.cli.arguments import Json, Model, OptionalData, WeightsSource, check_dtype, resolve_weights
from mobilenas.cli.converter import Via, open_module, warn_of_delegates
from mobilenas.cli.output import note, print_json
from mobilenas.errors import InputError, VerificationError
from mobilenas.export import OPSET, Weights, random_weights, write_onnx
from mobilenas.export.weights import check_one_output
from mobilenas.extras import require
from mobilenas.graph import Network
from mobilenas.registry import unknown
from mobilenas.storage import write_atomically
from mobilenas.verification.accuracy import MAX_DROP, held_out
from mobilenas.verification.checked_export import (
    CALIBRATION_IMAGES,
    CheckedFile,
    ExportSettings,
    checked_export,
    metadata_of,
)
from mobilenas.verification.onnx_file import verify_onnx
from mobilenas.verification.report import Report

if TYPE_CHECKING:
    from mobilenas.training import ImageData

FORMATS = ("tflite", "onnx")
WORST = 3
FORMAT_HELP = f"""tflite: for Android, iOS and boards, by LiteRT; it is what predict, measure and verify speak of.
onnx: for onnxruntime on other systems, float32 only, opset {OPSET}; needs the extra onnx."""
DTYPE_HELP = """int8: the fastest on nearly every phone and a quarter of the size; with --data it loses up to a
point of accuracy (--fine-tune gives most of it back), without it gets made-up ranges, for timing alone.
float16: half the size of float32, equally fast, the same accuracy.
float32: exact; to compare with, or where int8 loses too much."""


def run(
    model: Model,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    weights: WeightsSource = None,
    format: Annotated[str, typer.Option(help=FORMAT_HELP)] = "tflite",
    dtype: Annotated[str, typer.Option("--dtype", help=DTYPE_HELP)] = "float32",
    data: OptionalData = None,
    calibration_images: Annotated[
        int, typer.Option(help="Training images, drawn at random, that int8 is quantized with.")
    ] = CALIBRATION_IMAGES,
    float_io: Annotated[
        bool, typer.Option("--float-io", help="Float inputs and outputs of an int8 file; it converts them itself.")
    ] = False,
    fine_tune: Annotated[int, typer.Option(help="Quantization-aware epochs on the training images of --data.")] = 0,
    max_drop: Annotated[float, typer.Option(help="Accuracy that the file may lose; 0.01 is one point.")] = MAX_DROP,
    verify: Annotated[bool, typer.Option(help="Check the file before it is written.")] = True,
    seed: Annotated[int, typer.Option(help="Every random stream derives from it.")] = 0,
    via: Via = None,
    json: Json = False,
) -> None:
    """Writes the file, batch norm folded, once it has passed the checks of: mobilenas verify."""
    if format not in FORMATS:
        raise InputError(unknown("format", format, list(FORMATS)))
    settings = ExportSettings(
        dtype=check_dtype(dtype),
        float_io=float_io,
        calibration_images=calibration_images,
        fine_tuning_epochs=fine_tune,
        max_drop=max_drop,
        seed=seed,
    )
    _check_fit(settings, out, format, data, verify)
    if via is not None:
        refused = {f"--format {format}": format != "tflite", f"--dtype {dtype}": dtype != "float32", "--data": data}
        name, found = _converted(via, model, weights, refused, verify)
    else:
        name, found = _written(model, weights, format, settings, data, verify)
    if not found.report.passed:
        raise _refusal(found.report, out, settings)
    write_atomically(out, found.model)
    if settings.fine_tuning_epochs and not found.quantization["fine_tuned"]:
        note(f"{out} is the file without fine-tuning: {found.quantization['steps'][-1]}")
    if via is not None:
        warn_of_delegates(str(out), found.report)
    size = {"path": str(out), "size_bytes": len(found.model), "format": format, "dtype": dtype, "name": name}
    if json:
        checks = {"verification": found.report.to_dict()} if verify else {}
        print_json({**size, **found.quantization, **checks})
    else:
        given = {"--weights": weights, "--data": data, "--via": via}
        options = [word for name, value in given.items() if value is not None for word in (name, value)]
        _print(out, found, settings, [model, *options], verify)


def _written(
    model: str, weights: str | None, format: str, settings: ExportSettings, data: str | None, verify: bool
) -> tuple[str, CheckedFile]:
    """The network's name and its file, written from its graph."""
    arch, state = resolve_weights(model, weights)
    check_one_output(arch.graph())
    images = _images(data, arch)
    if state is None:
        note("no --weights: the file gets random ones; good for timing, not for use")
    state = random_weights(arch.graph()) if state is None else state
    if format == "onnx":
        return arch.name, _onnx(arch, state, images, settings.max_drop, verify)
    return arch.name, _tflite(arch, state, settings, images, verify)


def _converted(
    via: str, model: str, weights: str | None, refused: dict[str, Any], verify: bool
) -> tuple[str, CheckedFile]:
    """The module's name and its file, as a converter writes it."""
    module = open_module(via, model, weights, refused)
    from mobilenas.verification.converted import converted_export  # needs torch

    return module.name, converted_export(module, verify=verify)


def _check_fit(settings: ExportSettings, out: Path, format: str, data: str | None, verify: bool) -> None:
    """Options that say nothing here are refused, not ignored."""
    if settings.calibration_images != CALIBRATION_IMAGES and (settings.dtype != "int8" or data is None):
        raise InputError("--calibration-images belongs to --dtype int8 with --data; give both")
    if settings.seed and (settings.dtype != "int8" or data is None):
        raise InputError("--seed belongs to --dtype int8 with --data, whose images it draws; give both")
    if settings.max_drop != MAX_DROP and (data is None or not verify):
        raise InputError("--max-drop belongs to --data, whose test images the file is checked on; give both")
    if format == "onnx" and settings.dtype != "float32":
        raise InputError(f"onnx files are float32, not {settings.dtype}; give --format tflite for {settings.dtype}")
    if settings.float_io and settings.dtype != "int8":
        raise InputError(f"--float-io belongs to int8; inputs and outputs of {settings.dtype} are float32 anyway")
    if settings.fine_tuning_epochs and (settings.dtype != "int8" or data is None):
        raise InputError("--fine-tune belongs to --dtype int8 with --data; give both")
    if out.suffix[1:] in FORMATS and out.suffix[1:] != format:
        raise InputError(
            f"{out} would be of the format {format}, and verify goes by the ending; give --format {out.suffix[1:]}"
        )


def _refusal(report: Report, out: Path, settings: ExportSettings) -> VerificationError:
    """The error for a file that is not written, with what may help."""
    failed = next(check for check in report.checks if not check.passed)
    more = (
        "without --fine-tune it fails too; give more epochs of it"
        if settings.fine_tuning_epochs
        else "give --fine-tune 4"
    )
    advice = f"; {more}, --dtype float16 or another --max-drop" if settings.dtype == "int8" else ""
    text = f"{out} is not written: {failed.name}: {failed.found}; promised: {failed.wanted}"
    return VerificationError(text + advice)


def _images(data: str | None, arch: Arch | Network) -> "ImageData | None":
    if data is None:
        return None
    require("torch", "train")
    from mobilenas.training import load_data

    return load_data(data, resolution=arch.resolution)


def _tflite(
    arch: Arch | Network, weights: Weights, settings: ExportSettings, data: "ImageData | None", verify: bool
) -> CheckedFile:
    if settings.dtype == "int8" and data is None:
        note("int8 with made-up ranges of activations; good for timing, not for use: --data calibrates it")
    has_torch = find_spec("torch") is not None
    if verify and not has_torch:
        note('parity is not checked: torch is not installed; run: pip install "mobilenas[train]"')
    return checked_export(arch, weights, settings, data=data, verify=verify, compare=has_torch)


def _onnx(
    arch: Arch | Network, weights: Weights, data: "ImageData | None", max_drop: float, verify: bool
) -> CheckedFile:
    metadata = None if data is None else metadata_of(data, arch)
    model = write_onnx(arch.graph(), weights, description=f"mobilenas {arch.name}", metadata=metadata)
    labelled = None if data is None else held_out(data.test, max_drop)
    if not verify:
        return CheckedFile(model, Report(()))
    return CheckedFile(model, verify_onnx(model, arch.graph(), weights, labelled=labelled, metadata=metadata))


def _print(out: Path, found: CheckedFile, settings: ExportSettings, against: list[str], verify: bool) -> None:
    quantization: dict[str, Any] = found.quantization
    if quantization:
        sample = quantization["calibration"]
        steps = ", ".join(quantization["steps"]) or "nothing more helped"
        print(f"quantized with {sample['images']} training images of {sample['data']} (seed {sample['seed']}); {steps}")
        worst = sorted(quantization["layers"], key=lambda layer: -layer["own"])[:WORST]
        names = ", ".join(f"{layer['name']} {100 * layer['own']:.1f} %" for layer in worst)
        print(f"layers that lose most by their own rounding: {names} (all: --json)")
    if verify:
        for check in found.report.checks:
            print(f"{check.name}: {check.found} ({check.wanted})")
    again = ["mobilenas", "verify", str(out), "--against", *against]
    if settings.dtype != "float32":
        again += ["--dtype", settings.dtype]
    if settings.max_drop != MAX_DROP:
        again += ["--max-drop", f"{settings.max_drop:g}"]
    flags = {"--float-io": settings.float_io, "--fine-tuned": quantization.get("fine_tuned", False)}
    again += [flag for flag, given in flags.items() if given]
    print(f"{out}: {len(found.model):,} bytes; check it again: {shlex.join(again)}")
