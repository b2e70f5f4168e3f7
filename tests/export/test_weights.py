"""Weights: folded by hand, and every broken file an error that says what is wrong."""

import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from mobilenas.errors import InputError
from mobilenas.export import random_weights, read_weights
from mobilenas.export.weights import folded, read_tensors
from mobilenas.graph import GraphBuilder, OpGraph


def graph_of(*, bias: bool = True, batch_norm: bool = True) -> OpGraph:
    builder = GraphBuilder((2, 2, 1), bn_epsilon=0.25)
    x = builder.conv2d(builder.inputs[0], 2, name="conv", bias=bias, batch_norm=batch_norm)
    return builder.finish(x)


GRAPH = graph_of()


def weights_of(graph: OpGraph) -> dict[str, np.ndarray]:
    values = {
        "conv.weight": [[[[2.0]]], [[[-3.0]]]],
        "conv.bias": [1.0, 4.0],
        "conv.batch_norm.weight": [3.0, 1.0],
        "conv.batch_norm.bias": [0.5, -1.0],
        "conv.batch_norm.running_mean": [2.0, 0.0],
        "conv.batch_norm.running_var": [2.0, 0.0],
    }
    return {name: np.array(values[name], np.float32) for name in graph.state_shapes()}


@pytest.mark.parametrize(
    ("settings", "weight", "bias"),
    [
        # factors 3 / sqrt(2.25) = 2 and 1 / sqrt(0.25) = 2; bias 0.5 + (1 - 2) * 2 and -1 + (4 - 0) * 2
        ({"bias": True, "batch_norm": True}, [4.0, -6.0], [-1.5, 7.0]),
        ({"bias": False, "batch_norm": True}, [4.0, -6.0], [-3.5, -1.0]),
        ({"bias": True, "batch_norm": False}, [2.0, -3.0], [1.0, 4.0]),
        ({"bias": False, "batch_norm": False}, [2.0, -3.0], [0.0, 0.0]),
    ],
)
def test_folded_by_hand(settings, weight, bias):
    graph = graph_of(**settings)
    found, shift = folded(graph.nodes[0], weights_of(graph))
    assert (found.dtype, shift.dtype) == (np.float32, np.float32)
    assert found.shape == (2, 1, 1, 1)
    assert found.ravel().tolist() == weight
    assert shift.tolist() == bias


def test_random_weights_are_the_same_for_the_same_seed():
    first, again, other = random_weights(GRAPH, 5), random_weights(GRAPH, 5), random_weights(GRAPH, 6)
    assert all(np.array_equal(first[name], again[name]) for name in GRAPH.state_shapes())
    assert not np.array_equal(first["conv.weight"], other["conv.weight"])


def test_random_weights_of_a_layer_larger_than_the_pool():
    builder = GraphBuilder((1, 1, 1500))
    graph = builder.finish(builder.fully_connected(builder.inputs[0], 1000, name="fc"))
    weight = random_weights(graph)["fc.weight"]
    assert weight.shape == (1000, 1500)
    assert weight.std() == pytest.approx(1500**-0.5, rel=0.02)


def test_read_weights_gives_back_what_was_saved(tmp_path):
    weights = weights_of(GRAPH)
    path = tmp_path / "w.safetensors"
    save_file({**weights, "conv.batch_norm.num_batches_tracked": np.array(3)}, path)
    found = read_weights(path, GRAPH)
    assert list(found) == list(GRAPH.state_shapes())
    assert all(np.array_equal(found[name], weights[name]) for name in weights)


def test_half_precision_files_become_float32(tmp_path):
    save_file({name: value.astype(np.float16) for name, value in weights_of(GRAPH).items()}, tmp_path / "w")
    assert {value.dtype for value in read_weights(tmp_path / "w", GRAPH).values()} == {np.dtype(np.float32)}


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    """1.5 is 0x3FC00000, -2 is 0xC0000000."""
    content = header({"x": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}) + bytes([0xC0, 0x3F, 0x00, 0xC0])
    (tmp_path / "w.safetensors").write_bytes(content)
    assert read_tensors(tmp_path / "w.safetensors")["x"].tolist() == [1.5, -2.0]


def change(name: str, value: object) -> dict[str, np.ndarray]:
    return {**weights_of(GRAPH), name: np.array(value, np.float32)}


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({k: v for k, v in weights_of(GRAPH).items() if k != "conv.bias"}, ["conv.bias is missing"]),
        (change("tail.weight", [1.0]), ["tail.weight is not in the network"]),
        (change("conv.weight", [[[[2.0, 1.0]]]]), ["conv.weight has shape (1, 1, 1, 2)", "(2, 1, 1, 1)"]),
        (change("conv.bias", [1.0, np.nan]), ["conv.bias holds values that are not finite"]),
        (change("conv.batch_norm.bias", [np.inf, 0.0]), ["conv.batch_norm.bias holds values that are not finite"]),
        (change("conv.batch_norm.running_var", [-1.0, 1.0]), ["conv.batch_norm.running_var holds values below 0"]),
        ({"other": np.zeros(1, np.float32)}, ["conv.weight is missing", "and 4 more"]),
        ({**weights_of(GRAPH), "conv.bias": np.array([1, 2], np.complex64)}, ["conv.bias"]),
        ({**weights_of(GRAPH), "conv.bias": np.array([1e300, 2], np.float64)}, ["conv.bias holds values that are not"]),
    ],
    ids=["missing", "extra", "shape", "nan", "infinite", "variance", "all", "complex", "too large"],
)
def test_weights_that_do_not_fit(tmp_path, weights, words):
    path = tmp_path / "w.safetensors"
    save_file(weights, path)
    with pytest.raises(InputError) as error:
        read_weights(path, GRAPH)
    assert str(path) in str(error.value)
    assert [word for word in words if word not in str(error.value)] == []


def header(entries: object, length: int | None = None) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


TENSOR = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BROKEN = {
    "empty": b"",
    "short": b"\x01\x02",
    "huge header": header({}, 2**63),
    "header beyond the end": header({}, 1000),
    "no object": header([1, 2]),
    "no JSON": struct.pack("<Q", 4) + b"\xff\xfe{}",
    "deep": struct.pack("<Q", 100_000) + b"[" * 100_000,
    "offsets beyond the end": header({"conv.bias": {**TENSOR, "data_offsets": [0, 2**60]}}),
    "unknown dtype": header({"conv.bias": {**TENSOR, "dtype": "X9"}}) + bytes(8),
    "shape of overflow": header({"conv.bias": {**TENSOR, "shape": [2**40, 2**40]}}) + bytes(8),
    "entry is a number": header({"conv.bias": 3}) + bytes(8),
    "float8": header({"conv.bias": {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}}) + bytes(2),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_broken_files(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"w\.safetensors"):
        read_weights(path, GRAPH)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(weights_of(GRAPH), path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_weights(path, GRAPH)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.safetensors"):
        read_weights(tmp_path / "none.safetensors", GRAPH)
    with pytest.raises(InputError):
        read_weights(tmp_path, GRAPH)


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes(tmp_path_factory, content, prefixed):
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(content)) + content if prefixed else content)
    with pytest.raises(InputError):
        read_weights(path, GRAPH)
