"""Lists the published networks; with a device, those that meet a latency target there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mobilenas import models
from mobilenas.cli.accuracy_plot import plot_accuracy, plot_format
from mobilenas.cli.arguments import Dtype, Json, check_dtype, positive
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.cli.predicted import beyond_fitted, described
from mobilenas.errors import InputError, TargetError
from mobilenas.latency import LatencyPredictor, load_predictor

UNSHOWN = ("method", "era", "extrapolated")
"""What stands in the JSON of each network, and is said once to people."""


def run(
    device: Annotated[str | None, typer.Option(help="Predict their latency there, from its table.")] = None,
    target_ms: Annotated[float | None, typer.Option(help="List only those predicted to meet this.")] = None,
    dtype: Dtype = "float32",
    plot: Annotated[
        Path | None, typer.Option(help="Draw accuracy against latency into this file (.png, .svg, .pdf).")
    ] = None,
    json: Json = False,
) -> None:
    """Prints name, parameters, MACs and published accuracy of every network; latency where a device is given."""
    check_dtype(dtype)
    if device is None:
        if target_ms is not None or plot is not None:
            raise InputError(
                f"--{'plot' if target_ms is None else 'target-ms'} needs --device; give one, such as pixel1"
            )
        rows = [_row(name) for name in models.names()]
    else:
        if target_ms is not None:
            positive("target-ms", target_ms)
        format = plot_format(plot) if plot is not None else ""
        predictor = load_predictor(device, dtype, note=note)
        rows = _predicted(predictor, target_ms)
        if plot is not None:
            plot_accuracy(rows, plot, format, device=predictor.table.info.device, target_ms=target_ms)
            note(f"{plot}: accuracy against latency")
    if json:
        print_json(rows)
        return
    shown = [name for name in rows[0] if name not in UNSHOWN]
    print_table(shown, [[row[name] for name in shown] for row in rows])
    if device is not None:
        how = described(predictor.table.info.method, predictor.table.era)
        note(f"latency is {how}, with a 90 % interval; pareto: no faster one is as accurate")
        if beyond := sum(row["extrapolated"] for row in rows):
            note(f"{beyond} of them are {beyond_fitted(predictor.table)}")


def _row(name: str) -> dict[str, Any]:
    graph, published = models.get(name).graph(), models.published(name)
    return {"name": name, "params": graph.params, "macs": graph.macs, "top1": published.top1}


def _predicted(predictor: LatencyPredictor, target_ms: float | None) -> list[dict[str, Any]]:
    """The networks by rising latency, each at its own resolution; those of the Pareto front are marked."""
    found, table = [], predictor.table
    for name in models.names():
        latency = predictor.predict(models.get(name).graph())
        times = {"latency_ms": latency.ms, "low_ms": latency.low_ms, "high_ms": latency.high_ms}
        how = {"method": table.info.method, "era": table.era, "extrapolated": latency.extrapolated}
        found.append({**_row(name), **times, **how})
    found.sort(key=lambda row: (row["latency_ms"], -(row["top1"] or 0.0)))
    fitting = [row for row in found if target_ms is None or row["latency_ms"] <= target_ms]
    if not fitting:
        nearest, where = found[0], predictor.table.info.device
        raise TargetError(
            f"no published network is predicted to meet {target_ms:g} ms on {where}: the nearest is "
            f"{nearest['name']} with {nearest['latency_ms']:.3g} ms; give a higher --target-ms"
        )
    return mark_front(fitting)


def mark_front(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with `pareto`: whether every faster one is less accurate.

    Args:
        rows: By rising `latency_ms`; `top1` is None where none was published.
    """
    best, marked = 0.0, []
    for row in rows:
        top1 = row["top1"] or 0.0
        marked.append({**row, "pareto": top1 > best})
        best = max(best, top1)
    return marked
