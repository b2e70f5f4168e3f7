"""Whole files: random graphs, published networks, and the bytes themselves."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from litert import difference, exported, images, plan, reference, without_reshape
from published_names import published_names
from strategies import graphs

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import expected_operators, random_weights, write_micro_model, write_tflite
from mobilenas.graph import GraphBuilder, OpGraph, OpKind, OpNode, OpSpec, single_op


def trained_like(graph: OpGraph, seed: int) -> dict[str, np.ndarray]:
    """Weights whose batch norms have statistics, scales and shifts as training leaves them."""
    rng = np.random.default_rng(seed)
    weights = random_weights(graph, seed)
    for name, value in weights.items():
        if name.endswith("running_var"):
            weights[name] = rng.uniform(0.25, 4, value.shape).astype(np.float32)
        elif name.endswith("running_mean"):
            weights[name] = rng.normal(0, 0.5, value.shape).astype(np.float32)
        elif name.endswith("batch_norm.weight"):
            weights[name] = (rng.uniform(0.5, 2, value.shape) * rng.choice([-1, 1, 1, 1], value.shape)).astype(
                np.float32
            )
    return weights


def parity(graph: OpGraph, weights: dict[str, np.ndarray]) -> float:
    inputs = images(graph)
    found = exported(write_tflite(graph, weights), inputs)
    return max(difference(a, b) for a, b in zip(found, reference(graph, weights, inputs), strict=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graph=graphs(), seed=st.integers(0, 99))
def test_random_graphs(process, graph, seed):
    weights = trained_like(graph, seed)
    operators, delegates, undelegated = plan(process, write_tflite(graph, weights))
    assert without_reshape(operators) == without_reshape(expected_operators(graph))
    assert parity(graph, weights) <= 1e-5
    assert (delegates, undelegated) == (1, [])


@pytest.mark.parametrize("name", published_names())
def test_published_networks(name, process):
    graph = models.get(name, resolution=96).graph()
    model = write_tflite(graph, random_weights(graph))
    assert plan(process, model) == (expected_operators(graph), 1, [])
    assert parity(graph, random_weights(graph, 1)) <= 1e-5
    assert parity(graph, trained_like(graph, 2)) <= 3e-5  # a hundred layers with channels of very unlike size


@pytest.mark.parametrize("name", published_names())
def test_random_weights_are_tame(name):
    graph = models.get(name, resolution=96).graph()
    weights = random_weights(graph, 3)
    assert {key: value.shape for key, value in weights.items()} == graph.state_shapes()
    assert all(value.dtype == np.float32 for value in weights.values())
    (out,) = exported(write_tflite(graph, weights), images(graph))
    assert np.isfinite(out).all()
    assert 1e-3 < np.abs(out).max() < 1e3


def test_every_buffer_is_aligned_and_the_signature_names_inputs_and_outputs():
    graph = models.get("mobilenet_v3_small", resolution=64).graph()
    model = write_tflite(graph, random_weights(graph), description="a file")
    root = schema.Model.GetRootAsModel(model, 0)
    filled = [root.Buffers(i) for i in range(root.BuffersLength()) if root.Buffers(i).DataLength()]
    offsets = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in filled]
    assert len(offsets) > 50
    assert [offset % 16 for offset in offsets] == [0] * len(offsets)
    assert sum(buffer.DataLength() for buffer in filled) < len(model) < sum(b.DataLength() for b in filled) + 200_000
    assert root.Description() == b"a file"
    signature = root.SignatureDefs(0)
    names = signature.SignatureKey(), signature.Inputs(0).Name(), signature.Outputs(0).Name()
    assert names == (b"serving_default", b"input_0", b"output_0")


def test_weights_stand_in_the_file_once_and_folded():
    graph = models.get("mobilenet_v2", resolution=64, num_classes=10).graph()
    size = len(write_tflite(graph, random_weights(graph)))
    assert graph.weight_bytes() < size < 1.02 * graph.weight_bytes()


def test_nodes_that_share_weights(process):
    spec = OpSpec(OpKind.CONV2D, ((4, 4, 3),), 3, kernel_size=(3, 3))
    nodes = tuple(OpNode(f"step_{i}", spec, (i,), bias=True, weight_name="shared") for i in range(3))
    graph = OpGraph(((4, 4, 3),), nodes, (3,))
    weights = random_weights(graph)
    assert sorted(weights) == ["shared.bias", "shared.weight"]
    assert plan(process, write_tflite(graph, weights))[1:] == (1, [])
    assert parity(graph, weights) <= 1e-5


def test_what_follows_a_fully_connected_layer_is_an_image_again(process):
    builder = GraphBuilder((4, 4, 3))
    x = builder.fully_connected(builder.inputs[0], 3, name="fc", activation="hard_swish")
    x = builder.conv2d(x, 5, name="conv", batch_norm=False)
    graph = builder.finish(builder.mul(x, x, name="square"))
    model = write_tflite(graph, random_weights(graph))
    operators, delegates, undelegated = plan(process, model)
    assert operators == ["FULLY_CONNECTED", "HARD_SWISH", "RESHAPE", "CONV_2D", "MUL"]
    assert (delegates, undelegated) == (1, [])
    assert parity(graph, random_weights(graph)) <= 1e-5


def test_copies_of_an_op_are_one_delegate_with_an_output_each(process):
    for kind, channels, copies in ((OpKind.CONV2D, 8, 5), (OpKind.HARD_SWISH, 3, 4), (OpKind.MEAN, 3, 2)):
        spec = OpSpec(kind, ((4, 4, 3),), channels)
        answer, _ = process.request("inspect", write_micro_model(spec, copies=copies), timeout_seconds=30)
        assert answer["operators"].count("DELEGATE") == 1
        assert answer["undelegated"] == []
        assert len(answer["outputs"]) == copies


def test_the_same_input_gives_the_same_bytes():
    spec = OpSpec(OpKind.CONV2D, ((4, 4, 3),), 3, kernel_size=(3, 3))
    assert write_micro_model(spec, seed=1) == write_micro_model(spec, seed=1)
    assert write_micro_model(spec, seed=1) != write_micro_model(spec, seed=2)


def test_an_unknown_dtype_is_refused():
    graph = models.get("mobilenet_v2", resolution=32).graph()
    with pytest.raises(InputError, match="int7"):
        write_tflite(graph, random_weights(graph), dtype="int7")


def test_a_network_that_no_file_holds_is_refused_before_its_weights_are_made():
    graph = single_op(OpSpec(OpKind.FULLY_CONNECTED, ((1, 1, 60_000),), 60_000))
    with pytest.raises(InputError, match=r"14\.4 GB of float32 weights; a \.tflite file holds at most 2\.1 GB"):
        random_weights(graph)
    with pytest.raises(InputError, match=r"3\.6 GB of int8 weights"):
        write_tflite(graph, {}, dtype="int8")
