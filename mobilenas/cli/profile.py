"""Measures the ops of a space or of networks on a device, into its latency table."""

from typing import Annotated

import typer

from mobilenas.cli.arguments import (
    DeviceName,
    Dtype,
    Json,
    Resolution,
    check_dtype,
    positive,
    resolve_device,
    resolve_model,
)
from mobilenas.cli.output import note, print_json, progress_bar
from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.latency import table_path, up_to_date_table
from mobilenas.spaces import SearchSpace, open_space


def run(
    device: DeviceName = "host",
    space: Annotated[str | None, typer.Option(help="A search space; mnasnet when no model is given.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A network; may be given several times.")] = None,
    dtype: Dtype = "float32",
    resolution: Resolution = None,
    classes: Annotated[int, typer.Option(help="Number of classes of the space's networks.")] = 1000,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Keep what was measured before, or measure everything anew.")
    ] = True,
    json: Json = False,
) -> None:
    """Measures what the table lacks; an interrupted run goes on where it stopped."""
    positive("classes", classes)
    if resolution is not None:
        positive("resolution", resolution)
    target = resolve_device(device)
    ops, chosen = _ops(space, model or [], resolution, classes)
    with progress_bar(f"profiling {target.name}") as progress:
        table = up_to_date_table(
            target, check_dtype(dtype), ops, space=chosen, fresh=not resume, progress=progress, note=note
        )
    path = table_path(target, dtype)
    calibration = table.calibration
    if json:
        print_json(
            {
                "path": str(path),
                "ops": len(table),
                "networks": calibration.networks,
                "scale": calibration.scale,
                "us_per_mb": calibration.us_per_mb,
                "knee_mb": calibration.knee_mb,
                "error": calibration.error,
            }
        )
        return
    print(f"{path}: {len(table)} ops, calibrated on {calibration.networks} networks")
    print(
        f"latency = {calibration.scale:.3f} x sum of ops + {calibration.us_per_mb:.1f} us per MB of weights beyond "
        f"{calibration.knee_mb:.1f} MB; held-out error {100 * calibration.error:.1f} %"
    )


def _ops(
    space: str | None, model: list[str], resolution: int | None, classes: int
) -> tuple[list[OpSpec], SearchSpace | None]:
    if space and model:
        raise InputError("--space and --model exclude each other; give one of them")
    if model:
        archs = [resolve_model(name).resized(resolution=resolution) for name in model]
        return [op for arch in archs for op in arch.graph().op_counts()], None
    chosen = open_space(space or "mnasnet", resolution=224 if resolution is None else resolution, num_classes=classes)
    return sorted(chosen.distinct_ops(), key=str), chosen
