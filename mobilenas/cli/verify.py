"""Checks an exported file: parity with torch, one delegate, accuracy, size, latency."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mobilenas.arch import Arch
from mobilenas.cli.arguments import (
    Dtype,
    Json,
    OptionalData,
    WeightsSource,
    check_dtype,
    positive,
    resolve_device,
    resolve_weights,
)
from mobilenas.cli.converter import Via, open_module, warn_of_delegates
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.errors import InputError
from mobilenas.export import Metadata, random_weights
from mobilenas.extras import require
from mobilenas.graph import Network, OpGraph
from mobilenas.latency import LatencyPredictor, load_table, steady_runner
from mobilenas.runners import Device, open_runner
from mobilenas.verification import Check, Report, latency_check, measure_file, verify_file
from mobilenas.verification.accuracy import MAX_DROP, Labelled, check_drop, held_out
from mobilenas.verification.checked_export import metadata_of
from mobilenas.verification.onnx_file import verify_onnx


def run(
    file: Annotated[Path, typer.Argument(help="A .tflite or .onnx file.")],
    against: Annotated[str, typer.Option(help="The network it was exported from.")],
    weights: WeightsSource = None,
    dtype: Dtype = "float32",
    float_io: Annotated[bool, typer.Option("--float-io", help="It was exported with --float-io.")] = False,
    fine_tuned: Annotated[
        bool,
        typer.Option("--fine-tuned", help="It was exported with --fine-tune: its classes may be others, but right."),
    ] = False,
    data: OptionalData = None,
    max_drop: Annotated[
        float, typer.Option(help="Accuracy it may lose on the test images of --data; 0.01 is one point.")
    ] = MAX_DROP,
    max_size_mb: Annotated[
        float | None, typer.Option(help="Size it must not exceed, in MB of 1,000,000 bytes.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Measure it there.")] = None,
    target_ms: Annotated[
        float | None, typer.Option(help="Latency it must not exceed on DEVICE; by default the predicted one.")
    ] = None,
    via: Via = None,
    json: Json = False,
) -> None:
    """Prints every check; exit code 5 when one fails. Without --weights the random ones of `export` are expected."""
    for name, value in (("target-ms", target_ms), ("max-size-mb", max_size_mb)):
        if value is not None:
            positive(name, value)
    check_dtype(dtype)
    check_drop(max_drop)
    if data is None and max_drop != MAX_DROP:
        raise InputError("--max-drop belongs to --data, whose test images accuracy is compared on; give both")
    if fine_tuned and dtype != "int8":
        raise InputError(f"--fine-tuned belongs to int8, and this is {dtype}; leave it out, or give --dtype int8")
    target = resolve_device(device) if device is not None or target_ms is not None else None
    if target is not None:
        open_runner(target).unit.check_is_time(f"device {target.name}")
    try:
        model = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; give a .tflite or .onnx file") from error
    graph = None
    if via is not None:
        refused = {
            f"--dtype {dtype}": dtype != "float32",
            "--float-io": float_io,
            "--data": data,
        }
        if target is not None and target_ms is None:
            raise InputError(
                f"no latency was promised of what --via {via} writes; give --target-ms, or leave out --device"
            )
        report = _of_converter(via, file, model, against, weights, refused)
    else:
        arch, state = resolve_weights(against, weights)
        graph = arch.graph()
        state = random_weights(graph) if state is None else state
        labelled, metadata = _labelled(data, arch, max_drop)
        if file.suffix == ".onnx":
            if target is not None or float_io or dtype != "float32":
                raise InputError(
                    f"{file}: an ONNX file is float32 and not timed; leave out --device, --dtype and --float-io"
                )
            report = verify_onnx(model, graph, state, labelled=labelled, metadata=metadata)
        else:
            if dtype == "int8" and labelled is None:
                note("of an int8 file, weights are compared; what it computes is checked on real images: give --data")
            report = verify_file(
                model,
                graph,
                state,
                dtype=dtype,
                float_io=float_io,
                labelled=labelled,
                fine_tuned=fine_tuned,
                metadata=metadata,
            )
    if max_size_mb is not None:
        small = len(model) <= 1e6 * max_size_mb
        report = Report((*report.checks, Check("size limit", small, f"{len(model):,} bytes", f"{max_size_mb:g} MB")))
    if target is not None:
        report = Report((*report.checks, _latency(model, graph, target, dtype, target_ms)))
    if json:
        print_json(report.to_dict())
    else:
        print_table(
            ("check", "passed", "found", "promised"), [(c.name, c.passed, c.found, c.wanted) for c in report.checks]
        )
    report.require(str(file))


def _labelled(data: str | None, arch: Arch | Network, max_drop: float) -> tuple[Labelled, Metadata] | tuple[None, None]:
    """The images that a file is judged on, and what it should say of them."""
    if data is None:
        return None, None
    require("torch", "train")
    from mobilenas.training import load_data

    images = load_data(data, resolution=arch.resolution)
    metadata = metadata_of(images, arch)  # it must be that network's data
    return held_out(images.test, max_drop), metadata


def _of_converter(
    via: str, file: Path, model: bytes, against: str, weights: str | None, refused: dict[str, Any]
) -> Report:
    """The checks of a file that a converter wrote."""
    module = open_module(via, against, weights, refused)
    from mobilenas.verification.converted import verify_converted  # needs torch

    report = verify_converted(model, module)
    warn_of_delegates(str(file), report)
    return report


def _latency(model: bytes, graph: OpGraph | None, device: Device, dtype: str, target_ms: float | None) -> Check:
    """Measured against the target, or against the upper end of what the device's table predicts."""
    if target_ms is None and graph is not None:
        table = load_table(device, dtype)
        if table is None:
            raise InputError(
                f"{device.name} has no {dtype} table to promise a latency; give --target-ms, or run: "
                f"mobilenas profile --device {device.name} --dtype {dtype}"
            )
        target_ms = LatencyPredictor(table).predict(graph).high_ms
    assert target_ms is not None  # --via demands one
    with open_runner(device) as runner:
        steady = steady_runner(device, runner)
        check = latency_check(measure_file(model, steady), target_ms)
    if drift := steady.drift():
        note(f"{drift}: this latency is of a disturbed device, or the table is outdated")
    return check
