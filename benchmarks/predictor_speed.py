"""Predictions a second: the compiled space against a plain dictionary of blocks, and one network at a time.

    python benchmarks/predictor_speed.py

The dictionary works as Once-for-All's latency table does: a key made of a block's settings and feature map, one look-up
a block, a Python sum a network; its values are this predictor's. Both answer the same genotypes in the same process.
"""

import timeit

import numpy as np
from _record import record

from mobilenas import models
from mobilenas.graph import OpGraph
from mobilenas.latency import Calibration, CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.spaces.mnasnet import MnasNetSpace

GENOTYPES, BY_DICTIONARY, REPEATS = 1_000_000, 500, 5


def main() -> None:
    space = MnasNetSpace(resolution=224)
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 300))) for op in sorted(space.distinct_ops(), key=str)}
    table = LatencyTable(TableInfo(device="made up", overhead_us=0.3), rows, calibration=Calibration(1.05, 17.0, 10.0))
    predictor = LatencyPredictor(table)
    compile_s = min(timeit.repeat(lambda: CompiledLatency(predictor, space), number=1, repeat=3))
    compiled = CompiledLatency(predictor, space)
    genotypes = space.sample_batch(GENOTYPES, rng)
    batch_s = min(timeit.repeat(lambda: compiled.latency_ms(genotypes), number=1, repeat=REPEATS))

    graphs = [space.decode(tuple(int(i) for i in genotype)).graph() for genotype in genotypes[:BY_DICTIONARY]]
    networks = [block_keys(graph) for graph in graphs]
    blocks: dict[str, float] = {}
    for graph, keys in zip(graphs, networks, strict=True):
        blocks |= {key_of(parts): block_us(graph, span, predictor) for span, parts in keys}
    settings = [[parts for _, parts in keys] for keys in networks]

    def by_dictionary() -> list[float]:
        return [sum(blocks[key_of(parts)] for parts in network) for network in settings]

    dictionary_s = min(timeit.repeat(by_dictionary, number=1, repeat=REPEATS)) / BY_DICTIONARY
    predictions = np.array([predictor.predict(graph).ms for graph in graphs])
    prepared = predictor.prepare(models.get("mobilenet_v3_large").graph())
    prepared_s = min(timeit.repeat(lambda: predictor.predict_us(prepared), number=1000, repeat=REPEATS)) / 1000
    record(
        "predictor_speed",
        {
            "compile_s": round(compile_s, 2),
            "genotypes_a_second": round(GENOTYPES / batch_s),
            "dictionary_of_blocks_a_second": round(1 / dictionary_s),
            "compiled_by_dictionary": round(GENOTYPES / batch_s * dictionary_s),
            "prepared_network_us": round(1e6 * prepared_s, 1),
            "largest_relative_difference_to_predict": float(
                np.abs(compiled.latency_ms(genotypes[:BY_DICTIONARY]) / predictions - 1).max()
            ),
        },
    )


Parts = tuple[str, int, int, int, int, int, int]


def block_keys(graph: OpGraph) -> list[tuple[slice, Parts]]:
    """Each block's nodes, and what a table of blocks is keyed by."""
    found = []
    for span in graph.spans:
        nodes = graph.nodes[span.start : span.stop]
        first, last = nodes[0].spec, nodes[-1].spec
        kernel = max(max(node.spec.kernel_size) for node in nodes)
        stride = max(max(node.spec.stride) for node in nodes)
        widest = max(node.spec.out_channels for node in nodes)
        parts = (
            "-".join(sorted({str(node.spec.kind) for node in nodes})),
            first.in_shapes[0][0],
            first.in_shapes[0][2],
            last.out_channels,
            widest,
            kernel,
            stride,
        )
        found.append((slice(span.start, span.stop), parts))
    return found


def key_of(parts: Parts) -> str:
    kinds, size, channels, out, widest, kernel, stride = parts
    return f"{kinds}-input:{size}x{size}x{channels}-output:{out}-expand:{widest}-kernel:{kernel}-stride:{stride}"


def block_us(graph: OpGraph, span: slice, predictor: LatencyPredictor) -> float:
    return sum(predictor.op_latency(node.spec).latency_us for node in graph.nodes[span])


if __name__ == "__main__":
    main()
