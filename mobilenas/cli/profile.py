"""Measures the ops of a space or of networks on a device, into its latency table."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import (
    BenchmarkBinary,
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
from mobilenas.errors import DeviceError, FieldError, InputError
from mobilenas.graph import OpSpec
from mobilenas.latency import (
    TRANSFER_NETWORKS,
    TRANSFER_OPS,
    LatencyTable,
    load_table,
    table_path,
    transferred_table,
    up_to_date_table,
)
from mobilenas.runners import Device, open_runner
from mobilenas.spaces import SearchSpace, open_space


def run(
    device: DeviceName = "host",
    space: Annotated[str | None, typer.Option(help="A search space; mnasnet when no model is given.")] = None,
    model: Annotated[list[str] | None, typer.Option(help="A network; may be given several times.")] = None,
    dtype: Dtype = "float32",
    resolution: Resolution = None,
    classes: Annotated[
        int | None, typer.Option(help="Number of classes; of a space 1000, of a model its own unless given.")
    ] = None,
    share: Annotated[
        float | None,
        typer.Option(help="Measure only this share of the space's ops, the most telling ones; interpolate the others."),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Make the table from this one (DEVICE, DEVICE.DTYPE or a .csv) and a few measurements."
        ),
    ] = None,
    networks: Annotated[
        int | None, typer.Option(help=f"How many networks --from measures; {TRANSFER_NETWORKS} unless given.")
    ] = None,
    ops: Annotated[int | None, typer.Option(help=f"How many ops --from measures; {TRANSFER_OPS} unless given.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--fresh", help="Keep what was measured before, or measure everything anew.")
    ] = True,
    benchmark_binary: BenchmarkBinary = None,
    json: Json = False,
) -> None:
    """Measures what the table lacks; an interrupted run goes on where it stopped."""
    for name, value in (("classes", classes), ("resolution", resolution)):
        if value is not None:
            positive(name, value)
    if share is not None and not 0 < share <= 1:
        raise FieldError("share", share, "a number above 0, at most 1")
    target = resolve_device(device, benchmark_binary)
    _require_connection(target)
    path = table_path(target, check_dtype(dtype))
    if ops is not None and ops < 0:
        raise FieldError("ops", ops, "a whole number from 0")
    if source is None and (networks, ops) != (None, None):
        raise InputError("--networks and --ops say how much --from measures; give --from, or leave them out")
    if source is not None and (model or share is not None):
        raise InputError("--from makes a table for a space from all of another; leave out --model and --share")
    wanted, chosen = _ops(space, model or [], resolution, classes)
    if share is not None and chosen is None:
        raise InputError("--share needs a space and not single models; leave out one of them")
    with progress_bar(f"profiling {target.name}") as progress:
        if source is None:
            table = up_to_date_table(
                target, dtype, wanted, space=chosen, share=share, fresh=not resume, progress=progress, note=note
            )
        else:
            other = _source(source)
            if path.exists() and resume:
                raise InputError(f"{path} exists already; give --fresh to replace it")
            table = transferred_table(
                target,
                dtype,
                other,
                space=chosen,
                networks=TRANSFER_NETWORKS if networks is None else networks,
                ops=TRANSFER_OPS if ops is None else ops,
                progress=progress,
                note=note,
            )
    if table.doubt:
        note(table.doubt)
    calibration = table.calibration
    if json:
        print_json(
            {
                "path": str(path),
                "ops": len(table),
                "networks": calibration.networks,
                "scale": calibration.scale,
                "us_per_mb": calibration.us_per_mb,
                "cache_mb": calibration.cache_mb,
                "error": calibration.error,
                "depthwise": calibration.depthwise,
                "activation": calibration.activation,
                "unit": table.info.unit,
            }
        )
        return
    print(f"{path}: {len(table)} ops, calibrated on {calibration.networks} networks")
    print(
        f"latency = {calibration.scale:.3f} x (ops + {calibration.depthwise:.2f} x depthwise convolutions + "
        f"{calibration.activation:.2f} x activations) + {calibration.us_per_mb:.1f} {table.info.unit} per MB of "
        f"weights and activations beyond {calibration.cache_mb:.1f} MB; held-out error {100 * calibration.error:.1f} %"
    )


def _require_connection(target: Device) -> None:
    if not open_runner(target).has_connection:
        raise DeviceError(
            f"device {target.name} has no connection, so nothing can be measured on it; make a table with: "
            f"mobilenas calibrate FILE --device {target.name}"
        )


def _source(name: str) -> LatencyTable:
    """The table that `--from` names."""
    if name.endswith(".csv"):
        return LatencyTable.load(Path(name))
    device, _, dtype = name.partition(".")
    table = load_table(resolve_device(device), check_dtype(dtype or "float32"))
    if table is None:
        raise InputError(f"{name} has no table; give a device that has one (mobilenas devices) or a .csv")
    return table


def _ops(
    space: str | None, model: list[str], resolution: int | None, classes: int | None
) -> tuple[list[OpSpec], SearchSpace | None]:
    if space and model:
        raise InputError("--space and --model exclude each other; give one of them")
    if model:
        archs = [resolve_model(name).resized(resolution=resolution, num_classes=classes) for name in model]
        return [op for arch in archs for op in arch.graph().op_counts()], None
    chosen = open_space(
        space or "mnasnet",
        resolution=224 if resolution is None else resolution,
        num_classes=1000 if classes is None else classes,
    )
    return sorted(chosen.distinct_ops(), key=str), chosen
