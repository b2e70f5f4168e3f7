"""An int8 file is told from one of other weights without an image."""

from dataclasses import replace

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import graphs

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, folded_network, random_weights, write_tflite
from mobilenas.graph import GraphBuilder, OpGraph
from mobilenas.nn import observed_ranges
from mobilenas.quantization import Quantized
from mobilenas.quantization.bias_correction import bias_corrected
from mobilenas.quantization.equalization import equalized
from mobilenas.verification import verify_file
from mobilenas.verification.int8_weights import weights_checks

NETWORKS = ("mobilenet_v2", "mobilenet_v3_small", "mnasnet_a1", "proxylessnas_mobile")


def network(name: str = "mobilenet_v3_small") -> OpGraph:
    return models.get(name, resolution=32, num_classes=10).graph()


def failed(model, graph, weights, **options) -> list[str]:
    return [
        check.name for check in weights_checks(TfliteFile.parse(model), graph, weights, **options) if not check.passed
    ]


def quantized(graph: OpGraph, weights) -> Quantized:
    """Equalised and bias corrected, whether that helps or not."""
    images = np.random.default_rng(0).standard_normal((8, 32, 32, 3)).astype(np.float32)
    folded, state = folded_network(graph, weights)
    state = equalized(folded, state, images)
    found = Quantized(folded, state, observed_ranges(folded, state, images))
    return replace(found, weights=bias_corrected(found.network(), images))


@pytest.mark.parametrize("name", NETWORKS)
def test_rounding_equalisation_and_bias_correction_pass(name):
    graph = network(name)
    weights = random_weights(graph)
    for model in (write_tflite(graph, weights, dtype="int8"), quantized(graph, weights).write()):
        found, biases = weights_checks(TfliteFile.parse(model), graph, weights)
        assert found.passed
        assert biases.passed
        assert 0.9 < float(found.found.split()[0]) < 1.2  # of what rounding makes


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", range(4))
def test_a_change_of_one_layer_fails(name, seed):
    graph = network(name)
    weights = random_weights(graph)
    model = quantized(graph, weights).write()
    rng = np.random.default_rng(seed)
    layer = rng.choice([node.weight_name for node in graph.weighted_nodes()])
    was = weights[f"{layer}.weight"]
    changes = {
        "signs alone": np.sign(was) * np.abs(was).mean(),
        "one weight the other way": np.where(np.abs(was) == np.abs(was).max(), -was, was),
        "5 % of noise": was * (1 + 0.05 * rng.standard_normal(was.shape)),
        "half of it 10 % larger": was * np.where(np.arange(len(was)) % 2, 1.1, 1).reshape(-1, *[1] * (was.ndim - 1)),
        "channels in another order": was[::-1],
        "none": np.zeros_like(was),
    }
    for change, value in changes.items():
        other = {**weights, f"{layer}.weight": value.astype(np.float32)}
        assert "weights" in failed(model, graph, other), (layer, change)
        assert "weights" in failed(write_tflite(graph, other, dtype="int8"), graph, weights), (layer, change, "in file")


@pytest.mark.parametrize("name", NETWORKS)
def test_zeros_hide_nothing(name):
    graph = network(name)
    weights, others = random_weights(graph), random_weights(graph, 7)
    zeros = {name: value * (value.ndim < 2) for name, value in weights.items()}
    assert "weights" in failed(write_tflite(graph, zeros, dtype="int8"), graph, weights)
    assert "weights" in failed(write_tflite(graph, weights, dtype="int8"), graph, zeros)
    others["stem.conv.weight"] = 0 * others["stem.conv.weight"]
    assert "weights" in failed(write_tflite(graph, others, dtype="int8"), graph, weights)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("share", [1e-3, 1e-6, 1e-7, 1e-9, 1e-12])
def test_channels_that_are_all_but_dead_break_nothing(name, share):
    """Few steps are left of their weights, and so little is known of their factors."""
    graph = network(name)
    weights = random_weights(graph)
    for node in graph.weighted_nodes():
        if node.batch_norm is not None:
            weights[f"{node.weight_name}.batch_norm.weight"][::7] *= share
            weights[f"{node.weight_name}.batch_norm.bias"][::7] += 1
    for model in (write_tflite(graph, weights, dtype="int8"), quantized(graph, weights).write()):
        assert failed(model, graph, weights) == []


@settings(max_examples=40, deadline=None)
@given(graphs(), st.integers(0, 10_000), st.booleans())
def test_random_graphs(graph, seed, float_io):
    weights = random_weights(graph, seed)
    assert failed(write_tflite(graph, weights, dtype="int8", float_io=float_io), graph, weights) == []
    if any(weights[f"{node.weight_name}.weight"].size > 100 for node in graph.weighted_nodes()):
        others = random_weights(graph, seed + 1)
        assert "weights" in failed(write_tflite(graph, others, dtype="int8"), graph, weights)


def test_other_biases_fail():
    graph = network()
    weights = random_weights(graph)
    model = quantized(graph, weights).write()
    named = [node.weight_name for node in graph.weighted_nodes() if node.batch_norm is None]
    assert len(named) > 2
    for name in named:
        assert failed(model, graph, {**weights, f"{name}.bias": 0 * weights[f"{name}.bias"] + 3}) == ["biases"]


def test_two_channels_that_swap_their_places_everywhere_are_the_same_network_and_fail_as_other_weights():
    builder = GraphBuilder((4, 4, 3))
    x = builder.conv2d(builder.inputs[0], 2, name="first", batch_norm=False, bias=True)
    graph = builder.finish(builder.conv2d(x, 2, name="second", batch_norm=False, bias=True))
    weights = random_weights(graph)
    swapped = {
        **weights,
        "first.weight": weights["first.weight"][::-1],
        "first.bias": weights["first.bias"][::-1],
        "second.weight": weights["second.weight"][:, ::-1],
    }
    assert "weights" in failed(write_tflite(graph, swapped, dtype="int8"), graph, weights)


def test_dead_channels_say_nothing_and_break_nothing():
    """Their factor is not known: the weights that read them are not compared."""
    graph = network("mobilenet_v2")
    weights = random_weights(graph)
    for name in ("stem.conv", "stages.0.0.depthwise", "stages.1.0.project"):
        weights[f"{name}.weight"][::3] = 0
    assert failed(quantized(graph, weights).write(), graph, weights) == []


def test_what_was_trained_on_is_compared_by_its_signs():
    graph = network()
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    moved = {
        name: (value * (1 + 0.2 * np.random.default_rng(0).standard_normal(value.shape))).astype(np.float32)
        if value.ndim > 1
        else value
        for name, value in weights.items()
    }
    assert failed(model, graph, moved) == ["weights"]
    assert failed(model, graph, moved, fine_tuned=True) == []
    assert failed(model, graph, random_weights(graph, 1), fine_tuned=True) == ["weights"]


@pytest.mark.parametrize("name", NETWORKS)
def test_one_other_layer_fails_in_what_was_trained_on(name):
    graph = network(name)
    weights = random_weights(graph)
    assert failed(quantized(graph, weights).write(), graph, weights, fine_tuned=True) == []
    for layer in [node.weight_name for node in graph.weighted_nodes()][:: len(graph.nodes) // 12]:
        was = weights[f"{layer}.weight"]
        for value in (was[::-1], np.zeros_like(was)):
            other = {**weights, f"{layer}.weight": value}
            file = write_tflite(graph, other, dtype="int8")
            (found,) = weights_checks(TfliteFile.parse(file), graph, weights, fine_tuned=True)
            assert not found.passed, (layer, found)


def test_weights_that_are_not_finite_fail():
    graph = network()
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    weights["head.classifier.weight"][3, 5] = np.nan
    (check,) = weights_checks(TfliteFile.parse(model), graph, weights)
    assert not check.passed
    assert "head.classifier" in check.found


def test_what_computes_in_float32_has_weights_and_biases_that_are_compared():
    builder = GraphBuilder((9, 9, 4))
    x = builder.depthwise_conv2d(builder.inputs[0], kernel_size=7, name="wide", padding=((3, 3), (3, 3)))
    graph = builder.finish(builder.conv2d(x, 6, name="next"))
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    assert failed(model, graph, weights) == []
    scaled = {**weights, "wide.weight": weights["wide.weight"] * np.linspace(0.5, 2, 4).reshape(-1, 1, 1, 1)}
    assert "weights" in failed(model, graph, {**weights, "wide.weight": weights["wide.weight"][::-1]})
    assert "weights" in failed(write_tflite(graph, scaled, dtype="int8"), graph, weights)
    shifted = {**weights, "wide.batch_norm.bias": weights["wide.batch_norm.bias"] + 3}
    assert "biases" in failed(write_tflite(graph, shifted, dtype="int8"), graph, weights)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.float32(np.nan), np.float32(np.inf), np.uint32(0x7F800001)])
def test_weights_in_float32_that_are_not_finite_fail(value):
    builder = GraphBuilder((9, 9, 4))
    graph = builder.finish(builder.depthwise_conv2d(builder.inputs[0], kernel_size=7, name="wide"))
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    file = TfliteFile.parse(model)
    operator = [found for found in file.operators if found.code == "DEPTHWISE_CONV_2D"][1]
    start, _ = file.buffers[file.tensors[operator.inputs[1]].buffer]
    broken = bytearray(model)
    broken[start + 8 : start + 12] = value.tobytes()
    (check,) = weights_checks(TfliteFile.parse(bytes(broken)), graph, weights)
    assert not check.passed
    assert "wide has weights or biases that are not finite" in check.found


def test_the_gate_compares_weights_without_images():
    graph = network()
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    assert verify_file(model, graph, weights, dtype="int8").passed
    report = verify_file(model, graph, random_weights(graph, 1), dtype="int8")
    assert "weights" in [check.name for check in report.checks if not check.passed]


def test_a_padded_large_window_behind_a_vector_passes():
    """DEQUANTIZE, RESHAPE, PAD and SLICE stand between the int8 tensor and the weights."""
    builder = GraphBuilder((3, 1, 6))
    x = builder.fully_connected(builder.inputs[0], 6, name="fc", activation="hard_sigmoid", bias=False)
    x = builder.depthwise_conv2d(
        x, kernel_size=(9, 3), stride=(3, 3), padding=((7, 5), (2, 2)), name="d", activation="sigmoid"
    )
    graph = builder.finish(x)
    weights = random_weights(graph)
    assert failed(write_tflite(graph, weights, dtype="int8"), graph, weights) == []


@pytest.mark.parametrize("field", ["inputs", "outputs"])
@pytest.mark.parametrize("value", [[], [-1]])
def test_operators_that_read_or_give_nothing_fail_and_raise_nothing(field, value):
    builder = GraphBuilder((9, 9, 4))
    graph = builder.finish(builder.depthwise_conv2d(builder.inputs[0], kernel_size=7, name="wide"))
    weights = random_weights(graph)
    model = write_tflite(graph, weights, dtype="int8")
    for number in range(len(TfliteFile.parse(model).operators)):
        packed = schema.ModelT.InitFromPackedBuf(model, 0)
        setattr(packed.subgraphs[0].operators[number], field, value)
        builder = flatbuffers.Builder(1024)
        builder.Finish(packed.Pack(builder), b"TFL3")
        if (field, value) == ("outputs", [-1]):
            with pytest.raises(InputError, match="damaged"):
                TfliteFile.parse(bytes(builder.Output()))
            continue
        checks = weights_checks(TfliteFile.parse(bytes(builder.Output())), graph, weights)
        assert all(check.found for check in checks)
