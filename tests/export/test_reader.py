"""What `write_tflite` writes is read as it was; other writers' forms by hand."""

from dataclasses import replace

import pytest
from cases import CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import graphs

from mobilenas import models
from mobilenas.export import DTYPES, lower, random_weights, read_tflite, write_tflite
from mobilenas.export.tflite_op import Constant, Input, Parameter, Result
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode, single_op

CONVOLUTIONS = (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D)


def bare(graph: OpGraph) -> tuple:
    """A graph without the names of its nodes."""
    return graph.input_shapes, [(node.spec, node.inputs, node.bias) for node in graph.nodes], graph.outputs


def padding_merged(graph: OpGraph) -> OpGraph:
    """Zeros that are padded for one convolution alone belong to it: in a file there is no telling them apart."""
    first = len(graph.input_shapes)
    readers: dict[int, list[OpNode]] = {i: [] for i in range(first + len(graph.nodes))}
    for node in graph.nodes:
        for i in node.inputs:
            readers[i].append(node)
    place, pads, nodes = {i: i for i in range(first)}, {}, []
    for value, node in enumerate(graph.nodes, first):
        if node.spec.kind is OpKind.PAD and value not in graph.outputs and len(readers[value]) == 1:
            (reader,) = readers[value]
            if reader.spec.kind in CONVOLUTIONS and reader.spec.explicit_padding == ((0, 0), (0, 0)):
                place[value], pads[value] = place[node.inputs[0]], node.spec
                continue
        spec, pad = node.spec, pads.get(node.inputs[0])
        if pad:
            spec = replace(spec, in_shapes=pad.in_shapes, padding=pad.padding)
        place[value] = first + len(nodes)
        nodes.append(replace(node, spec=spec, inputs=tuple(place[i] for i in node.inputs)))
    return OpGraph(graph.input_shapes, tuple(nodes), tuple(place[i] for i in graph.outputs))


def flattened(graph: OpGraph, dtype: str) -> tuple[list, list]:
    """The operators of a whole file: two ops that `lower` writes alike cannot be told apart."""
    values: list = [("input", i) for i in range(len(graph.input_shapes))]
    operators: list = []
    for node in graph.nodes:
        results: list = []
        for op in lower(node.spec, dtype):
            operands = []
            for operand in op.inputs:
                match operand:
                    case Input(index):
                        operands.append(values[node.inputs[index]])
                    case Result(index):
                        operands.append(results[index])
                    case Parameter(name):
                        operands.append(name)
                    case Constant(value):
                        operands.append((value.dtype.str, value.shape, value.tobytes()))
            results.append(("operator", len(operators)))
            operators.append((op.code, operands, op.out_shape, dict(op.options)))
        values.append(results[-1])
    return operators, [values[i] for i in graph.outputs]


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graph=graphs(), dtype=st.sampled_from(DTYPES), float_io=st.booleans())
def test_random_graphs_are_read_as_they_were_written(graph, dtype, float_io):
    network = read_tflite(write_tflite(graph, random_weights(graph), dtype=dtype, float_io=float_io))
    assert network.graph.input_shapes == graph.input_shapes
    assert flattened(network.graph, dtype) == flattened(padding_merged(graph), dtype)
    assert network.graph.macs == graph.macs
    assert network.graph.params == graph.folded().params
    assert (network.left_out, network.warnings) == ({}, ())
    if any(node.spec.kind in WEIGHTED for node in graph.nodes):
        assert network.dtype == dtype


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", models.names())
def test_published_networks_are_read_as_they_were_written(name, dtype):
    graph = models.get(name, resolution=96).graph()
    network = read_tflite(write_tflite(graph, random_weights(graph), dtype=dtype))
    assert bare(network.graph) == bare(graph.folded())
    assert (network.dtype, network.left_out, network.warnings) == (dtype, {}, ())
    assert network.graph.macs == graph.macs
    assert network.graph.params == graph.folded().params


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", OpKind)
def test_every_form_of_every_kind(kind, dtype):
    for spec in CASES[kind]:
        graph = single_op(spec)
        network = read_tflite(write_tflite(graph, random_weights(graph), dtype=dtype))
        assert flattened(network.graph, dtype) == flattened(graph, dtype), spec
        assert (len(network.graph.nodes), network.graph.macs) == (1, graph.macs), spec


def test_names_are_kept():
    graph = models.get("mobilenet_v3_small", resolution=64).graph()
    network = read_tflite(write_tflite(graph, random_weights(graph)))
    assert [node.name for node in network.graph.nodes] == [node.name for node in graph.nodes]
