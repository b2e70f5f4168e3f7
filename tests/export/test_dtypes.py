"""float16 and int8: one delegate with nothing outside, and the numbers are those of the network."""

import numpy as np
import pytest
from cases import CASES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from int8_runs import int8_outputs, observed_ranges, on_the_grid
from litert import difference, exported, images, plan, reference, without_reshape
from published_names import published_names
from strategies import graphs

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import expected_operators, lower, output_shapes, random_weights, write_micro_model, write_tflite
from mobilenas.graph import GraphBuilder, OpGraph, OpKind, OpSpec, single_op
from mobilenas.verification.parity import rounded_network

STEPS = {
    **dict.fromkeys(OpKind, 1.0),
    **dict.fromkeys((OpKind.PAD, OpKind.SLICE, OpKind.CHANNEL_SHUFFLE, OpKind.UPSAMPLE, OpKind.RELU), 0.01),
    OpKind.GELU: 2.0,
    **dict.fromkeys((OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.FULLY_CONNECTED, OpKind.AVG_POOL2D), 4.0),
}
"""Accepted error by kind, in steps of the output: weights and inner results are rounded too, what is copied is not."""


@pytest.mark.parametrize("kind", OpKind)
def test_float16_ops(kind, process):
    for spec in CASES[kind]:
        graph = single_op(spec)
        weights = random_weights(graph)
        model = write_tflite(graph, weights, dtype="float16")
        assert plan(process, model) == (expected_operators(graph, "float16"), 1, []), spec
        inputs = images(graph)
        (found,), (wanted,) = exported(model, inputs), reference(*rounded_network(graph, weights), inputs)
        assert difference(found, wanted) <= 1e-5, spec


@pytest.mark.parametrize("kind", OpKind)
def test_int8_ops(kind, process):
    for spec in CASES[kind]:
        graph = single_op(spec)
        weights = random_weights(graph)
        inputs = [on_the_grid(value, (value.min(), value.max())) for value in images(graph)]
        model = write_tflite(graph, weights, dtype="int8", ranges=observed_ranges(graph, weights, [inputs]))
        for file in (model, write_micro_model(spec, dtype="int8")):
            assert plan(process, file) == (expected_operators(graph, "int8"), 1, []), spec
        ((found, scale),), (wanted,) = int8_outputs(model, inputs), reference(graph, weights, inputs)
        assert [found.shape] == output_shapes(graph, "int8"), spec
        assert np.abs(found.reshape(wanted.shape) - wanted).max() <= STEPS[kind] * scale, spec


@pytest.mark.parametrize(
    ("spec", "float16", "int8"),
    [
        (OpSpec(OpKind.CONV2D, ((8, 8, 3),), 4), ["DEQUANTIZE", "DEQUANTIZE", "CONV_2D"], ["CONV_2D"]),
        (
            OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 9, 4),), 4, kernel_size=(5, 5)),
            ["DEQUANTIZE", "DEQUANTIZE", "DEPTHWISE_CONV_2D"],
            ["DEPTHWISE_CONV_2D"],
        ),
        (
            OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 9, 4),), 4, kernel_size=(2, 13), padding=((1, 0), (6, 6))),
            ["DEQUANTIZE"] * 3 + ["PAD", "SLICE", "DEPTHWISE_CONV_2D", "SLICE", "DEPTHWISE_CONV_2D", "ADD"],
            ["DEQUANTIZE", "PAD", "SLICE", "DEPTHWISE_CONV_2D", "SLICE", "DEPTHWISE_CONV_2D", "ADD", "QUANTIZE"],
        ),
        (OpSpec(OpKind.HARD_SWISH, ((1, 1, 4),), 4), ["HARD_SWISH"], ["ADD", "MUL", "MUL"]),
        (OpSpec(OpKind.RELU6, ((2, 2, 4),), 4), ["RELU6"], ["MAX_POOL_2D"]),
        (OpSpec(OpKind.SIGMOID, ((1, 1, 4),), 4), ["LOGISTIC"], ["LOGISTIC", "QUANTIZE"]),
        (
            OpSpec(OpKind.AVG_POOL2D, ((9, 9, 4),), 4, kernel_size=(3, 3), padding="valid"),
            ["AVERAGE_POOL_2D"],
            ["DEPTHWISE_CONV_2D"],
        ),
        (
            OpSpec(OpKind.AVG_POOL2D, ((9, 9, 4),), 4, kernel_size=(3, 3)),
            ["AVERAGE_POOL_2D"],
            ["DEPTHWISE_CONV_2D", "MUL"],
        ),
    ],
)
def test_operators_by_hand(spec, float16, int8):
    assert [op.code for op in lower(spec, "float16")] == float16
    assert [op.code for op in lower(spec, "int8")] == int8


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graph=graphs(), seed=st.integers(0, 99))
def test_random_float16_graphs(process, graph, seed):
    weights = random_weights(graph, seed)
    model = write_tflite(graph, weights, dtype="float16")
    operators, delegates, undelegated = plan(process, model)
    assert without_reshape(operators) == without_reshape(expected_operators(graph, "float16"))
    assert (delegates, undelegated) == (1, [])
    inputs = images(graph)
    wanted = reference(*rounded_network(graph, weights), inputs)
    assert max(difference(a, b) for a, b in zip(exported(model, inputs), wanted, strict=True)) <= 1e-5


def names_of(graph: OpGraph) -> list[str]:
    return [f"input_{i}" for i in range(len(graph.input_shapes))] + [node.name for node in graph.nodes]


@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(graph=graphs(), seed=st.integers(0, 10**6), decades=st.sampled_from([0, 1, 3]), float_io=st.booleans())
def test_random_int8_graphs_with_ranges_of_any_size(process, graph, seed, decades, float_io):
    """Ranges that no network has, and many that are only 0: still all of it is XNNPACK's."""
    rng = np.random.default_rng(seed)
    names = names_of(graph)
    low, high = rng.integers(0, 2, (2, len(names))) * 10 ** rng.uniform(-decades, decades, (2, len(names)))
    ranges = {name: (-float(low[i]), float(high[i])) for i, name in enumerate(names)}
    model = write_tflite(graph, random_weights(graph, seed), dtype="int8", ranges=ranges, float_io=float_io)
    operators, delegates, undelegated = plan(process, model)
    assert without_reshape(operators) == without_reshape(expected_operators(graph, "int8", float_io=float_io))
    assert (delegates, undelegated) == (1, [])


@pytest.mark.parametrize("name", published_names())
@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_published_networks(name, dtype, process):
    graph = models.get(name, resolution=96).graph()
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype=dtype)
    assert plan(process, model) == (expected_operators(graph, dtype), 1, [])
    assert graph.weight_bytes(dtype) < len(model) < 1.35 * graph.weight_bytes(dtype)
    inputs = images(graph)
    (wanted,) = reference(graph, weights, inputs)
    if dtype == "float16":
        assert difference(exported(model, inputs)[0], wanted) <= 1e-2
    else:
        ranges = observed_ranges(graph, weights, [inputs])
        ((found, _),) = int8_outputs(write_tflite(graph, weights, dtype=dtype, ranges=ranges), inputs)
        assert np.sqrt(np.mean((found - wanted) ** 2)) <= 0.05 * (wanted.max() - wanted.min())


def test_float_inputs_and_outputs_compute_the_same(process):
    graph = models.get("mobilenet_v3_small", resolution=64, num_classes=10).graph()
    weights, inputs = random_weights(graph), images(graph)
    ranges = observed_ranges(graph, weights, [inputs])
    plain = write_tflite(graph, weights, dtype="int8", ranges=ranges)
    outside = write_tflite(graph, weights, dtype="int8", ranges=ranges, float_io=True)
    operators, delegates, undelegated = plan(process, outside)
    assert (operators[0], operators[-1], delegates, undelegated) == ("QUANTIZE", "DEQUANTIZE", 1, [])
    np.testing.assert_allclose(exported(outside, inputs)[0], int8_outputs(plain, inputs)[0][0], rtol=1e-6)


def test_values_joined_with_a_sigmoid(process):
    """LOGISTIC has a scale of its own, a concatenation one for all."""
    builder = GraphBuilder((4, 4, 3))
    x = builder.inputs[0]
    graph = builder.finish(builder.concat(x, builder.activation(x, "sigmoid", name="gate"), name="concat"))
    inputs = images(graph)
    ranges = observed_ranges(graph, {}, [inputs])
    model = write_tflite(graph, {}, dtype="int8", ranges=ranges)
    assert plan(process, model) == (["LOGISTIC", "QUANTIZE", "CONCATENATION"], 1, [])
    ((found, scale),), (wanted,) = int8_outputs(model, inputs), reference(graph, {}, inputs)
    assert np.abs(found - wanted).max() <= scale


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_activations_behind_a_fully_connected_layer(dtype, process):
    builder = GraphBuilder((2, 2, 3))
    x = builder.fully_connected(builder.inputs[0], 8, name="fc", activation="hard_swish")
    graph = builder.finish(builder.fully_connected(x, 4, name="out", activation="silu"))
    model = write_tflite(graph, random_weights(graph), dtype=dtype)
    assert plan(process, model) == (expected_operators(graph, dtype), 1, [])  # no RESHAPE
    assert output_shapes(graph, dtype) == [(1, 4)]


def test_a_weight_that_float16_cannot_hold():
    graph = single_op(OpSpec(OpKind.CONV2D, ((2, 2, 1),), 1))
    weights = {"op.weight": np.full((1, 1, 1, 1), 7e4, np.float32), "op.bias": np.zeros(1, np.float32)}
    with pytest.raises(InputError, match="op holds 70000, but float16 ends at 65504"):
        write_tflite(graph, weights, dtype="float16")
