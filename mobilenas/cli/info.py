"""Counts parameters, MACs and memory of a network."""

from typing import Any

from mobilenas.cli.arguments import AnyModel, Json
from mobilenas.cli.network import LoadedNetwork, resolve_network
from mobilenas.cli.output import note, print_json, print_table


def run(model: AnyModel, json: Json = False) -> None:
    """Prints what a network holds, op by op; of a .tflite file also what in it will run slowly."""
    network = resolve_network(model)
    document = describe(network)
    for remark in network.remarks():
        note(remark)
    if json:
        print_json(document)
        return
    kind = f", {network.dtype}" if network.dtype else ""
    print(f"{network.name}: {network.resolution} px, {network.num_classes} classes{kind}")
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


def describe(network: LoadedNetwork) -> dict[str, Any]:
    """The document of `mobilenas info`; `macs` and `params` of an op are those of all its occurrences.

    That of a file has its `dtype`, the `warnings` of its operators, and those that are `left_out` of the graph. Its
    `params` are those it stores, batch norms folded.
    """
    graph = network.graph
    params: dict[Any, int] = {}
    for node in graph.nodes:
        params[node.spec] = params.get(node.spec, 0) + node.params
    return {
        "name": network.name,
        "params": graph.params,
        "macs": graph.macs,
        "peak_memory_bytes": graph.peak_memory_bytes(network.dtype or "float32"),
        "resolution": network.resolution,
        "num_classes": network.num_classes,
        **network.of_file(),
        "ops": [
            {**op.to_dict(), "count": count, "macs": count * op.macs, "params": params[op]}
            for op, count in graph.op_counts().items()
        ],
    }


def _shapes(shapes: list[list[int]]) -> str:
    return " + ".join("x".join(map(str, shape)) for shape in shapes)


def _pair(pair: list[int]) -> str:
    return "x".join(map(str, pair))
