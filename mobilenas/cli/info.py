"""Counts parameters, MACs and memory of a network."""

from typing import Any

from mobilenas.arch import Arch
from mobilenas.cli.arguments import Json, Model, resolve_model
from mobilenas.cli.output import print_json, print_table
from mobilenas.graph import Network


def run(model: Model, json: Json = False) -> None:
    """Prints what a network holds, op by op."""
    arch = resolve_model(model)
    document = describe(arch)
    if json:
        print_json(document)
        return
    print(f"{arch.name}: {arch.resolution} px, {arch.num_classes} classes")
    print(f"{document['params']:,} params, {document['macs']:,} MACs, {document['peak_memory_bytes']:,} B peak memory")
    columns = ("op", "inputs", "out", "kernel", "stride", "count", "macs", "params")
    rows = [
        (
            op["kind"],
            _shapes(op["in_shapes"]),
            op["out_channels"],
            _pair(op["kernel_size"]),
            _pair(op["stride"]),
            op["count"],
            op["macs"],
            op["params"],
        )
        for op in document["ops"]
    ]
    print_table(columns, rows)


def describe(arch: Arch | Network) -> dict[str, Any]:
    """The document of `mobilenas info`; `macs` and `params` of an op are those of all its occurrences."""
    graph = arch.graph()
    params: dict[Any, int] = {}
    for node in graph.nodes:
        params[node.spec] = params.get(node.spec, 0) + node.params
    return {
        "name": arch.name,
        "params": graph.params,
        "macs": graph.macs,
        "peak_memory_bytes": graph.peak_memory_bytes(),
        "resolution": arch.resolution,
        "num_classes": arch.num_classes,
        "ops": [
            {**op.to_dict(), "count": count, "macs": count * op.macs, "params": params[op]}
            for op, count in graph.op_counts().items()
        ],
    }


def _shapes(shapes: list[list[int]]) -> str:
    return " + ".join("x".join(map(str, shape)) for shape in shapes)


def _pair(pair: list[int]) -> str:
    return "x".join(map(str, pair))
