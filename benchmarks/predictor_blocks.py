"""Measures the blocks of `predictor_data.py`'s networks, each in a model of its own: what a table of blocks would hold.

    python benchmarks/predictor_blocks.py

Writes `results/predictor_blocks.float32.1.csv.gz`: a network's name and the sum of its blocks in microseconds.
`predictor_error.py errors` fits a line to some of these sums, as users of block tables do, and sets it beside ours.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import replace

from _record import RESULTS
from predictor_data import networks

from mobilenas.export import random_weights, write_tflite
from mobilenas.graph import BlockSpan, OpGraph
from mobilenas.latency import SteadyRunner
from mobilenas.latency.op_key import OpKey, key_of
from mobilenas.latency.profiling import CHUNK, OP_PROTOCOL, OP_VISITS
from mobilenas.latency.sentinel import Visit
from mobilenas.runners import Device, Failure, open_runner

FILE = RESULTS / "predictor_blocks.float32.1.csv.gz"


def block_graph(graph: OpGraph, span: BlockSpan) -> OpGraph:
    """One block of a network as a graph of its own; it reads one value."""
    first = span.start + len(graph.input_shapes)
    (read,) = {i for node in graph.nodes[span.start : span.stop] for i in node.inputs if i < first}
    place = {read: 0} | {first + i: 1 + i for i in range(span.stop - span.start)}
    nodes = tuple(
        replace(node, inputs=tuple(place[i] for i in node.inputs)) for node in graph.nodes[span.start : span.stop]
    )
    return OpGraph((graph.value_shapes[read],), nodes, (len(nodes),))


def blocks(graph: OpGraph) -> Iterator[tuple[OpKey, OpGraph]]:
    for span in graph.spans:
        part = block_graph(graph, span)
        yield key_of(node.spec for node in part.nodes), part


def main() -> None:
    graphs = networks(40, 120, 120, 60)
    distinct = {key: part for graph in graphs.values() for key, part in blocks(graph)}
    keys = list(distinct)
    visits: dict[OpKey, list[Visit]] = {key: [] for key in keys}
    with open_runner(Device.load("host")) as runner:
        steady = SteadyRunner(runner)
        for number in range(OP_VISITS):
            for start in range(0, len(keys), CHUNK):
                chunk = keys[start : start + CHUNK]
                files = [write_tflite(distinct[key], random_weights(distinct[key])) for key in chunk]
                for key, timing in zip(chunk, steady.visit(files, OP_PROTOCOL, steady.block), strict=True):
                    if isinstance(timing, Failure):
                        raise SystemExit(f"{key}: {timing.reason}")
                    visits[key].append(Visit.of(timing))
                print(f"\rvisit {number + 1}: {start + len(chunk)}/{len(keys)} blocks", end="", flush=True)
    block_us = dict(zip(visits, steady.ops_us(list(visits.values())), strict=True))
    with gzip.open(FILE, "wt", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["network", "block_sum_us"])
        writer.writerows(
            [name, f"{sum(block_us[key] for key, _ in blocks(graph)):.2f}"] for name, graph in graphs.items()
        )
    print(f"\n{len(keys)} distinct blocks of {len(graphs)} networks")


if __name__ == "__main__":
    main()
