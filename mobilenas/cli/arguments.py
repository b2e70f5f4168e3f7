"""Arguments that several commands share."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import FieldError, InputError
from mobilenas.export import DTYPES
from mobilenas.registry import unknown
from mobilenas.runners import Device

Model = Annotated[str, typer.Argument(help="A published network (mobilenas models) or an architecture file (.json).")]
Models = Annotated[
    list[str], typer.Argument(metavar="MODEL...", help="Published networks or architecture files (.json).")
]
DeviceName = Annotated[str, typer.Option("--device", help="A device (mobilenas devices) or the path of its .toml.")]
BenchmarkBinary = Annotated[
    str | None,
    typer.Option("--benchmark-binary", help="TFLite's benchmark_model, for a phone (docs/adding_a_device.md)."),
]
Dtype = Annotated[str, typer.Option("--dtype", help=f"Element type: {', '.join(DTYPES)}.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
WeightsFile = Annotated[Path | None, typer.Option("--weights", help="A .safetensors file; random weights without it.")]
Data = Annotated[
    str,
    typer.Option(
        "--data", help="A folder of images by class, digits, a torchvision data set by name, or an .npz file."
    ),
]
Resolution = Annotated[int | None, typer.Option("--resolution", help="Input size in pixels.")]
Number = TypeVar("Number", int, float)


def resolve_model(name: str) -> Arch:
    """The architecture of a MODEL argument.

    Raises:
        InputError: If it is neither a published name nor a valid architecture file.
    """
    if name.endswith(".json"):
        return Arch.load(Path(name))
    if name.endswith(".tflite"):
        raise InputError(f"{name}: this command takes a published network or an architecture file (.json)")
    return models.get(name)


def resolve_device(name: str | None, benchmark_binary: str | None = None) -> Device:
    """The device of a DEVICE option; a binary that is given takes the place of the one in its file."""
    device = Device.load(name or "host")
    if benchmark_binary is None:
        return device
    return replace(device, options={**device.options, "benchmark_binary": benchmark_binary})


def check_dtype(dtype: str) -> str:
    """Raises `InputError` unless the element type is one that can be exported."""
    if dtype not in DTYPES:
        raise InputError(unknown("dtype", dtype, list(DTYPES)))
    return dtype


def positive(field: str, value: Number) -> Number:
    """Raises `FieldError` unless a number is finite and above 0."""
    if not (math.isfinite(value) and value > 0):
        raise FieldError(field, value, "a number above 0")
    return value
