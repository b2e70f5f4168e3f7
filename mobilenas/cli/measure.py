"""Measures whole networks on a device, interleaved."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import (
    DeviceName,
    Dtype,
    Json,
    Models,
    check_dtype,
    positive,
    resolve_device,
    resolve_model,
)
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.errors import DeviceError, InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.runners import Failure, TimingProtocol, open_runner
from mobilenas.verification import check_is_tflite

VISITS = 12


def run(
    model: Models,
    device: DeviceName = "host",
    dtype: Dtype = "float32",
    seconds: Annotated[float, typer.Option(help="Time for each network.")] = 8.0,
    json: Json = False,
) -> None:
    """Prints the measured latency of networks or .tflite files; an architecture gets random weights."""
    positive("seconds", seconds)
    target = resolve_device(device)
    files = [_file(name, check_dtype(dtype)) for name in model]
    protocol = TimingProtocol(visits=VISITS, runs=1000, visit_seconds=max(0.8 * seconds / VISITS, 0.001))
    with open_runner(target) as runner:
        timings = runner.measure(files, protocol)
    documents = []
    for name, timing in zip(model, timings, strict=True):
        if isinstance(timing, Failure):
            raise DeviceError(f"{name}: {target.name} does not run it: {timing.reason}")
        documents.append(
            {
                "name": name,
                "latency_ms": timing.latency_us / 1e3,
                "p10_ms": timing.p10_us / 1e3,
                "p90_ms": timing.p90_us / 1e3,
                "runs": timing.runs,
                "delegates": timing.delegates,
            }
        )
        if timing.delegates != 1:
            note(f"{name}: {timing.delegates} delegate partitions instead of 1: parts of it run on slow kernels")
    if json:
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        print_table(list(documents[0]), [list(document.values()) for document in documents])


def _file(name: str, dtype: str) -> bytes:
    if not name.endswith(".tflite"):
        graph = resolve_model(name).graph()
        return write_tflite(graph, random_weights(graph), dtype=dtype)
    try:
        data = Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}; give a .tflite file") from error
    try:
        check_is_tflite(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return data
