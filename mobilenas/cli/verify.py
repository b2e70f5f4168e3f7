"""Checks an exported file: parity with torch, one delegate, latency."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import (
    Dtype,
    Json,
    WeightsSource,
    check_dtype,
    positive,
    resolve_device,
    resolve_weights,
)
from mobilenas.cli.output import print_json, print_table
from mobilenas.errors import InputError
from mobilenas.export import random_weights
from mobilenas.latency import steady_runner
from mobilenas.runners import open_runner
from mobilenas.verification import Report, latency_check, measure_file, verify_file


def run(
    file: Annotated[Path, typer.Argument(help="A .tflite file.")],
    against: Annotated[str, typer.Option(help="The network it was exported from.")],
    weights: WeightsSource = None,
    dtype: Dtype = "float32",
    device: Annotated[str | None, typer.Option(help="Measure it there.")] = None,
    target_ms: Annotated[float | None, typer.Option(help="Latency it must not exceed on DEVICE.")] = None,
    json: Json = False,
) -> None:
    """Prints every check; exit code 5 when one fails. Without --weights the random ones of `export` are expected."""
    target = resolve_device(device)
    if target_ms is not None:
        positive("target-ms", target_ms)
        open_runner(target).unit.check_is_time(f"device {target.name}")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}; give a .tflite file") from error
    model, state = resolve_weights(against, weights)
    graph = model.graph()
    state = random_weights(graph) if state is None else state
    report = verify_file(data, graph, state, dtype=check_dtype(dtype))
    if target_ms is not None:
        with open_runner(target) as runner:
            check = latency_check(measure_file(data, steady_runner(target, runner)), target_ms)
        report = Report((*report.checks, check))
    if json:
        print_json(report.to_dict())
    else:
        print_table(
            ("check", "passed", "found", "promised"), [(c.name, c.passed, c.found, c.wanted) for c in report.checks]
        )
    report.require(str(file))
