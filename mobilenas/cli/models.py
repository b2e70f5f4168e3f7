"""Lists the published networks; with a device, those that meet a latency target there."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mobilenas import models
from mobilenas.cli.accuracy_plot import plot_accuracy, plot_format
from mobilenas.cli.arguments import Dtype, Json, check_dtype, positive
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.cli.predicted import beyond, described, without_row
from mobilenas.errors import InputError, TargetError
from mobilenas.latency import LatencyPredictor, LatencyTable, load_predictor

UNSHOWN = ("method", "era", "extrapolated")
"""What stands in the JSON of each network, and is said once to people."""


def run(
    device: Annotated[str | None, typer.Option(help="Predict their latency there, from its table.")] = None,
    target_ms: Annotated[
        float | None,
        typer.Option(help="List only those whose upper end of the interval meets this, as search asks by default."),
    ] = None,
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
        for remark in _remarks(rows, predictor.table):
            note(remark)
        if target_ms is not None:
            note(f"listed: at most {target_ms:g} ms at the upper end of the interval, as search asks by default")


def _row(name: str) -> dict[str, Any]:
    graph, published = models.get(name).graph(), models.published(name)
    return {"name": name, "params": graph.params, "macs": graph.macs, "top1": published.top1}


def _remarks(rows: Sequence[dict[str, Any]], table: LatencyTable) -> Iterator[str]:
    """What `predict` says of each of them: of which runtime the table speaks, and how many lack ops there."""
    eras = list(table.rates.eras.items()) if table.rates else []
    for era, factor in eras[1:]:
        yield f"it speaks of the runtime of {eras[0][0]}; with that of {era} it is {factor:.3g} times as much"
    if lacking := sum(row["unmeasured"] > 0 for row in rows):
        yield f"{lacking} of {len(rows)} networks have ops that {without_row(table.info.method)}"
    if extrapolated := sum(row["extrapolated"] for row in rows):
        yield f"{extrapolated} of {len(rows)} networks are {beyond(table)}"


def _predicted(predictor: LatencyPredictor, target_ms: float | None) -> list[dict[str, Any]]:
    """The networks by rising latency, each at its own resolution; those of the Pareto front are marked."""
    found, table = [], predictor.table
    for name in models.names():
        latency = predictor.predict(models.get(name).graph())
        times = {"latency_ms": latency.ms, "low_ms": latency.low_ms, "high_ms": latency.high_ms}
        how = {"unmeasured": len(latency.unmeasured), "method": table.info.method, "era": table.era}
        found.append({**_row(name), **times, **how, "extrapolated": latency.extrapolated})
    found.sort(key=lambda row: (row["latency_ms"], -(row["top1"] or 0.0)))
    fitting = [row for row in found if target_ms is None or row["high_ms"] <= target_ms]
    if not fitting:
        nearest, where = min(found, key=lambda row: row["high_ms"]), predictor.table.info.device
        raise TargetError(
            f"no published network is predicted to meet {target_ms:g} ms on {where}: the nearest is "
            f"{nearest['name']} with {nearest['latency_ms']:.3g} ms, at most {nearest['high_ms']:.3g}; "
            "give a higher --target-ms"
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
