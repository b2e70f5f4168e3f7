"""A file's operators: any option, constant or subgraph that is not the network's is noticed without running it."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.export import DTYPES, TfliteFile, expected_operators, random_weights, write_tflite
from mobilenas.spaces import SPACES, open_space
from mobilenas.verification.operators import operators_check

NETWORKS = {
    name: models.get(name, resolution=64, num_classes=10).graph() for name in ("mobilenet_v3_small", "mixnet_s")
} | {
    activation: Arch.from_dict(
        {
            "name": "small",
            "resolution": 24,
            "num_classes": 7,
            "padding": "symmetric",
            "stem": {"type": "conv_bn_act", "out_channels": 9, "kernel_size": 3, "stride": 2, "activation": activation},
            "stages": [[{"type": "mbconv", "out_channels": 9, "expanded_channels": 18, "kernel_size": 5}]],
            "head": {"type": "pool_linear"},
        }
    ).graph()
    for activation in ("gelu", "silu", "relu")
}


def written(graph, dtype, **options):
    ranges = dict.fromkeys(["input_0", *(node.name for node in graph.nodes)], (-3.0, 3.0)) if dtype == "int8" else None
    return TfliteFile.parse(write_tflite(graph, random_weights(graph), dtype=dtype, ranges=ranges, **options))


def check(file, graph, dtype, float_io=False):
    return operators_check(file, [each.code for each in file.operators], graph, dtype, float_io=float_io)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NETWORKS)
def test_a_good_file_passes(name, dtype):
    graph = NETWORKS[name]
    found = operators_check(written(graph, dtype), expected_operators(graph, dtype), graph, dtype, float_io=False)
    assert found.passed, found
    assert found.found == f"{len(expected_operators(graph, dtype))}, unexpected: none"


@pytest.mark.parametrize("name", sorted(SPACES))
def test_good_files_of_every_space_pass(name):
    space = open_space(name, resolution=32, num_classes=10)
    for seed in range(3):
        graph = space.decode(space.sample(np.random.default_rng(seed))).graph()
        for dtype in ("float32", "int8"):
            assert check(written(graph, dtype), graph, dtype).passed


def test_with_inputs_and_outputs_in_float():
    graph = NETWORKS["mobilenet_v3_small"]
    file = written(graph, "int8", float_io=True)
    assert check(file, graph, "int8", float_io=True).passed
    assert not check(file, graph, "int8").passed


CHANGED = {
    "padding": lambda value: "SAME" if value == "VALID" else "VALID",
    "fusedActivationFunction": lambda value: "NONE" if value != "NONE" else "RELU",
    "keepDims": lambda value: not value,
}


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "gelu"])
def test_any_other_option_is_noticed(name, dtype):
    graph = NETWORKS[name]
    file, changes = written(graph, dtype), 0
    for i, operator in enumerate(file.operators):
        for field, value in operator.options.items():
            options = {**operator.options, field: CHANGED.get(field, lambda number: number + 1)(value)}
            operators = (*file.operators[:i], replace(operator, options=options), *file.operators[i + 1 :])
            found = check(replace(file, operators=operators), graph, dtype)
            assert not found.passed
            assert f"{operator.code} with {field} {options[field]}, not " in found.found
            changes += 1
    assert changes > 20


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_any_other_constant_is_noticed(dtype):
    """Of the network's hard-swishes and of its means: not what are its weights."""
    graph = NETWORKS["mobilenet_v3_small"]
    file, changes = written(graph, dtype), 0
    weighted = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
    for operator in file.operators:
        for number in operator.inputs if operator.code not in weighted else ():
            if not file.is_constant(number):
                continue
            start, size = file.buffers[file.tensors[number].buffer]
            data = bytearray(file.data)
            data[start : start + size] = (np.frombuffer(data[start : start + size], np.int8) ^ 3).tobytes()
            tensor = file.tensors[number]
            for damaged in (
                replace(file, data=bytes(data)),
                *([exchanged(file, number, scale=(2 * tensor.scale[0],))] if tensor.scale else []),
            ):
                found = check(damaged, graph, dtype)
                assert not found.passed
                assert found.found.endswith(f"{operator.code} with another constant")
                changes += 1
    assert changes > 5


@pytest.mark.parametrize(
    "changes",
    [{"scale": (float("nan"),)}, {"scale": (1.0, 2.0)}, {"scale": (1.0, 2.0), "axis": 9}, {"zero_point": (1, 2, 3)}],
)
def test_a_constant_quantized_in_no_way_that_fits_is_noticed(changes):
    graph = NETWORKS["mobilenet_v3_small"]
    file = written(graph, "int8")
    operator = next(each for each in file.operators if each.code == "ADD" and file.is_constant(each.inputs[1]))
    assert "another constant" in check(exchanged(file, operator.inputs[1], **changes), graph, "int8").found


def exchanged(file, number, **changes):
    tensors = list(file.tensors)
    tensors[number] = replace(tensors[number], **changes)
    return replace(file, tensors=tuple(tensors))


def test_a_second_subgraph_is_noticed():
    graph = NETWORKS["relu"]
    found = check(replace(written(graph, "float32"), subgraphs=2), graph, "float32")
    assert not found.passed
    assert found.found.endswith("in 2 subgraphs")
