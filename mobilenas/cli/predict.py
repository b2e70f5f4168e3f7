"""Predicts the latency of networks from the device's table."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mobilenas.cli.arguments import AnyModels, BenchmarkBinary, DeviceName, Json, resolve_device
from mobilenas.cli.network import LoadedNetwork, resolve_network
from mobilenas.cli.output import note, print_json, print_table, progress_bar
from mobilenas.cli.predicted import beyond, without_row
from mobilenas.export import DTYPES
from mobilenas.graph import OpSpec
from mobilenas.latency import (
    Latency,
    LatencyPredictor,
    LatencyTable,
    load_predictor,
    measured_excerpts,
    up_to_date_table,
)
from mobilenas.runners import Device, Unit, open_runner

SHOWN_OPS = 12


def run(
    model: AnyModels,
    device: DeviceName = "host",
    dtype: Annotated[
        str | None, typer.Option("--dtype", help=f"{', '.join(DTYPES)}; by default a file's own, else float32.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Measure ops that the table lacks, or interpolate them.")
    ] = True,
    benchmark_binary: BenchmarkBinary = None,
    json: Json = False,
) -> None:
    """Prints the latency, its 90 % interval and what each op costs; never runs the whole network."""
    target = resolve_device(device, benchmark_binary)
    networks = [resolve_network(name) for name in model]
    dtypes = [network.chosen_dtype(dtype) for network in networks]
    predictors: dict[str, LatencyPredictor] = {}
    for chosen in dict.fromkeys(dtypes):
        if not measure:
            predictors[chosen] = load_predictor(device, chosen, note=note)
            continue
        ops = [
            op
            for network, own in zip(networks, dtypes, strict=True)
            if own == chosen
            for op in network.graph.op_counts()
        ]
        with progress_bar(f"measuring ops on {target.name}") as progress:
            table = up_to_date_table(target, chosen, ops, progress=progress, note=note)
        if table.doubt:
            note(table.doubt)
        predictors[chosen] = LatencyPredictor(table)
    documents = [
        _document(network, _predicted(network, predictors[chosen], target, measure), predictors[chosen].table)
        for network, chosen in zip(networks, dtypes, strict=True)
    ]
    for network, document, chosen in zip(networks, documents, dtypes, strict=True):
        for remark in network.remarks():
            note(remark)
        if document["extrapolated"]:
            note(f"{network.name} is {beyond(predictors[chosen].table)}")
    if json:
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        for document in documents:
            _print(document, next(iter(predictors.values())).unit)


def _predicted(network: LoadedNetwork, predictor: LatencyPredictor, device: Device, measure: bool) -> Latency:
    """By the table; ops in a form that the table does not speak of are timed as they stand, where that can be."""
    latency = predictor.predict(network.graph)
    if not network.other_forms:
        return latency
    info, found, why = predictor.table.info, dict[OpSpec, float](), "was not asked"
    if measure and info.method == "measured" and open_runner(device).answers():
        found, why = measured_excerpts(device, network.other_forms, info.overhead_us), "does not run them by themselves"
    if count := sum(latency.counts.get(op, 0) for op in network.other_forms if op not in found):
        note(f"{network.name}: priced as if in the form that we write: {count} ops; {device.name} {why}")
    return predictor.predict(network.graph, found)


def _document(network: LoadedNetwork, latency: Latency, table: LatencyTable) -> dict[str, Any]:
    unit = latency.unit
    ops = [
        {
            "op": op.to_dict(),
            "count": latency.counts[op],
            f"latency_{unit.shown}": unit.show(cost.latency_us),
            "source": cost.source,
        }
        for op, cost in latency.by_op.items()
    ]
    return {
        "name": network.name,
        f"latency_{unit.shown}": unit.show(latency.latency_us),
        f"low_{unit.shown}": unit.show(latency.low_us),
        f"high_{unit.shown}": unit.show(latency.high_us),
        f"footprint_{unit.shown}": unit.show(latency.footprint_us),
        "method": table.info.method,
        "eras": [{"era": name, "latency_ms": ms} for name, ms in latency.eras.items()],
        "extrapolated": latency.extrapolated,
        "unmeasured": len(latency.unmeasured),
        "ops": ops,
        **network.of_file(),
    }


def _print(document: dict[str, Any], unit: Unit) -> None:
    shown, latency = unit.shown, f"latency_{unit.shown}"
    figure = "{:.3f}" if unit is Unit.MICROSECONDS else "{:,.0f}"
    missing, ops = document["unmeasured"], len(document["ops"])
    label = "" if document["method"] == "measured" else f"{_method(document)}, "
    low, high = (figure.format(document[f"{end}_{shown}"]) for end in ("low", "high"))
    print(f"{document['name']}: {figure.format(document[latency])} {shown} ({label}90 % interval {low} to {high})")
    if document["eras"]:
        first, *others = document["eras"]
        also = ", ".join(f"{era['era']}: {era['latency_ms']:.3f} ms" for era in others)
        print(f"speaks of the runtime of {first['era']}" + (f"; of {also}" if also else ""))
    dearest = sorted(document["ops"], key=lambda op: -op["count"] * op[latency])
    rows = [
        (
            *_columns(op["op"]),
            op["count"],
            op["count"] * op[latency],
            op["source"],
        )
        for op in dearest[:SHOWN_OPS]
    ]
    print_table(("op", "inputs", "out", "count", shown, "source"), rows)
    rest = dearest[SHOWN_OPS:]
    if rest:
        sum_of_rest = figure.format(sum(op["count"] * op[latency] for op in rest))
        print(f"... and {len(rest)} cheaper ops, {sum_of_rest} {shown} (--json)")
    if missing:
        note(f"{missing} of {ops} ops {without_row(document['method'])}")


def _method(document: dict[str, Any]) -> str:
    """Where a figure is from, for its heading; a table may have nothing of the network."""
    missing, ops, method = document["unmeasured"], len(document["ops"]), str(document["method"])
    if missing == ops:
        return f"estimated, since none of its ops was {method}"
    return f"{method} but for {missing} of {ops} ops" if missing else method


def _columns(op: Mapping[str, Any]) -> tuple[str, str, int]:
    """Kind, inputs and output channels; of a block its first input and its last output."""
    ops = op.get("ops", [op])
    kind = op["kind"] if len(ops) == 1 else f"block of {len(ops)}"
    return kind, "+".join("x".join(map(str, shape)) for shape in ops[0]["in_shapes"]), ops[-1]["out_channels"]
