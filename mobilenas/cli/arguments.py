"""Arguments that several commands share."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.cli.output import note
from mobilenas.errors import FieldError, InputError
from mobilenas.export import DTYPES, Weights, read_weights
from mobilenas.extras import require
from mobilenas.graph import Network
from mobilenas.models.once_for_all import load_net_config
from mobilenas.pretrained import pretrained
from mobilenas.registry import unknown
from mobilenas.runners import Device

MODEL = "a published network (mobilenas models), an architecture file (.json), or module:function of a torch module"
Model = Annotated[str, typer.Argument(help=f"{MODEL[0].upper()}{MODEL[1:]}.")]
Models = Annotated[list[str], typer.Argument(metavar="MODEL...", help=f"Each {MODEL}.")]
FILE_MODEL = f"{MODEL}, or a .tflite file"
AnyModel = Annotated[str, typer.Argument(metavar="MODEL", help=f"{FILE_MODEL[0].upper()}{FILE_MODEL[1:]}.")]
AnyModels = Annotated[list[str], typer.Argument(metavar="MODEL...", help=f"Each {FILE_MODEL}.")]
DeviceName = Annotated[str, typer.Option("--device", help="A device (mobilenas devices) or the path of its .toml.")]
BenchmarkBinary = Annotated[
    str | None,
    typer.Option("--benchmark-binary", help="TFLite's benchmark_model, for a phone (docs/adding_a_device.md)."),
]
Dtype = Annotated[str, typer.Option("--dtype", help=f"Element type: {', '.join(DTYPES)}.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
WeightsSource = Annotated[
    str | None,
    typer.Option(
        "--weights",
        help="A .safetensors or .pth file, torchvision, timm, timm:NETWORK, or timm:NETWORK=FILE where a file does not "
        "say which network it is of; without it random, or the module's own.",
    ),
]
Data = Annotated[
    str,
    typer.Option(
        "--data", help="A folder of images by class, digits, a torchvision data set by name, or an .npz file."
    ),
]
OptionalData = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="What the network was trained on: a folder of images by class, digits, a torchvision data set, an .npz.",
    ),
]
Resolution = Annotated[int | None, typer.Option("--resolution", help="Input size in pixels.")]
Number = TypeVar("Number", int, float)


def resolve_model(name: str) -> Arch | Network:
    """The network of a MODEL argument.

    Raises:
        InputError: If it is no published name, no valid file and no module that can be traced.
    """
    if name.endswith(".json"):
        return Network.load(Path(name)) or Arch.load(Path(name))
    if name.endswith(".config"):
        return load_net_config(Path(name))
    if name.endswith(".tflite"):
        raise InputError(f"{name}: this command takes {MODEL}")
    return _foreign(name, None)[0] if ":" in name else models.get(name)


def is_published(name: str) -> bool:
    """Whether a MODEL argument is the name of a published network, and no file and no module."""
    return ":" not in name and not name.endswith((".json", ".config", ".tflite"))


def resolve_weights(
    name: str, weights: str | None, *, resolution: int | None = None, num_classes: int | None = None
) -> tuple[Arch | Network, Weights | None]:
    """The network of a MODEL argument and what --weights names for it.

    Args:
        name: MODEL.
        weights: --weights.
        resolution: What the network must have.
        num_classes: What the network must have; a classifier for another number is left out of a library's weights.

    Returns:
        The network, with the padding that the weights want, and the weights: None where none are named and none come
        with the model.

    Raises:
        InputError: If either cannot be had, or they do not fit.
    """
    if ":" in name:
        network, own = _foreign(name, weights)
        if num_classes not in (None, network.num_classes):
            network = network.resized(resolution=resolution, num_classes=num_classes)
            shapes = network.graph().state_shapes()
            own = {key: value for key, value in own.items() if value.shape == shapes[key]}
        return network.resized(resolution=resolution), own
    model = resolve_model(name).resized(resolution=resolution, num_classes=num_classes)
    if weights is None:
        return model, None
    if isinstance(model, Network):
        return model, read_weights(Path(weights), model.graph())
    return pretrained(model, weights, any_classes=num_classes is not None, note=note)


def _foreign(name: str, weights: str | None) -> tuple[Network, Weights]:
    require("torch", "train")
    from mobilenas.nn.tracing import foreign  # here, so that commands with other models need no torch

    found = foreign(name, weights)
    return found.network, found.weights


def resolve_device(name: str | None, benchmark_binary: str | None = None) -> Device:
    """The device of a DEVICE option; a binary that is given takes the place of the one in its file."""
    device = Device.load(name or "host")
    if benchmark_binary is None:
        return device
    if device.runner != "adb":
        raise InputError(
            f"--benchmark-binary is for phones, and the runner of device {device.name} is {device.runner}; leave it out"
        )
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
