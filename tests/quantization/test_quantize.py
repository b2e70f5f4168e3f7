"""From a trained network to an int8 file that is nearly as good."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.export import folded_network, random_weights
from mobilenas.graph import GraphBuilder
from mobilenas.nn import GraphModule, observed_ranges, outputs, state_arrays
from mobilenas.quantization import (
    Quantized,
    calibration_sample,
    fine_tuned,
    fine_tuning,
    fine_tuning_recipe,
    layer_errors,
    quantize,
)
from mobilenas.quantization.bias_correction import bias_corrected
from mobilenas.quantization.narrowing import narrowed_ranges
from mobilenas.quantization.quantize import STEPS
from mobilenas.quantization.simulated_int8 import SimulatedInt8
from mobilenas.training import Recipe, load_data, train

BLOCK = {"type": "mbconv", "kernel_size": 3, "se_channels": 8, "se_gate": "hard_sigmoid", "activation": "hard_swish"}
ARCH = Arch.from_dict(
    {
        "name": "small",
        "resolution": 16,
        "num_classes": 10,
        "stem": {"type": "conv_bn_act", "out_channels": 8, "kernel_size": 3, "stride": 2, "activation": "relu"},
        "stages": [[{**BLOCK, "out_channels": 16, "stride": 2, "expanded_channels": 32}]],
        "head": {"type": "conv_pool_linear", "out_channels": 32, "activation": "relu"},
    }
)
RECIPE = Recipe(epochs=3, batch_size=32, augmentation="none")


@pytest.fixture(scope="module")
def data():
    return load_data("digits", resolution=16)


@pytest.fixture(scope="module")
def weights(data):
    module = GraphModule(ARCH.graph())
    assert train(module, data, RECIPE, seed=0, judge_epochs=False).status == "ok"
    return state_arrays(module)


@pytest.fixture(scope="module")
def images(data):
    return calibration_sample(data, 64).images


def one_weight(bias: float) -> tuple[object, dict[str, np.ndarray]]:
    builder = GraphBuilder((1, 1, 1))
    graph = builder.finish(builder.conv2d(builder.inputs[0], 2, name="conv", batch_norm=False, bias=True))
    weights = {"conv.weight": np.full((2, 1, 1, 1), 0.5, np.float32), "conv.bias": np.array([bias, 0], np.float32)}
    return graph, weights


def test_errors_of_layers_by_hand():
    """Ranges 0 .. 255 / 255: steps of 1; half a step is rounded away in the output, the inputs are whole."""
    graph, weights = one_weight(0.0)
    network = SimulatedInt8(graph, weights, {"input_0": (0.0, 255.0), "conv": (0.0, 255.0)})
    images = np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1)
    (error,) = layer_errors(network, images)  # 0.5 -> 0 and 1.5 -> 2, in two channels
    assert (error.name, error.kind) == ("conv", "conv2d")
    assert error.own == error.total == pytest.approx(np.sqrt(0.25 / ((0.25 + 2.25) / 2)))


def test_bias_correction_by_hand():
    """The input 0.4 is rounded to 0 everywhere: the mean of what is lost is 0.5 * 0.4."""
    graph, weights = one_weight(1.0)
    network = SimulatedInt8(graph, weights, {"input_0": (0.0, 255.0), "conv": (0.0, 255.0)})
    found = bias_corrected(network, np.full((3, 1, 1, 1), 0.4, np.float32))
    np.testing.assert_allclose(found["conv.bias"], [1.2, 0.2], atol=1e-6)
    np.testing.assert_array_equal(network.parameter(0, "bias").detach().numpy(), weights["conv.bias"])


def test_a_range_is_narrowed_where_one_value_lies_far_out():
    builder = GraphBuilder((100, 100, 1))
    x = builder.conv2d(builder.inputs[0], 1, name="conv", batch_norm=False, bias=False)
    graph = builder.finish(builder.activation(x, "relu", name="out"))
    images = np.random.default_rng(0).uniform(0, 1, (2, 100, 100, 1)).astype(np.float32)
    images[0, 0, 0, 0] = 1.9
    weights = {"conv.weight": np.ones((1, 1, 1, 1), np.float32)}
    found = narrowed_ranges(graph, weights, observed_ranges(graph, weights, images), images)
    assert 1.0 <= found["conv"][1] < 1.9
    assert found["out"][1] == pytest.approx(1.9)  # the answer keeps its range
    flat = np.minimum(images, 1)
    assert narrowed_ranges(graph, weights, observed_ranges(graph, weights, flat), flat)["conv"][1] > 0.94


def test_a_trained_network_loses_little(data, weights, images):
    found = quantize(ARCH.graph(), weights, images)
    assert set(found.steps) <= set(STEPS)
    folded, state = folded_network(ARCH.graph(), weights)
    plain = Quantized(folded, state, observed_ranges(folded, state, images))
    x, _ = data.test.arrays()
    exact = outputs(ARCH.graph(), weights, x)

    def error(tried: Quantized) -> float:
        with torch.inference_mode():
            scores = tried.network()(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
        return float(np.square(scores - exact).mean() / np.square(exact).mean())

    assert error(found) <= 1.05 * error(plain)
    assert error(found) < 0.01
    last = layer_errors(found.network(), images)[-1]
    assert last.total == pytest.approx(found.error, rel=1.0)


def test_too_few_images():
    graph = ARCH.graph()
    with pytest.raises(InputError, match="1 images are not enough"):
        quantize(graph, random_weights(graph), np.zeros((1, 16, 16, 3), np.float32))


def test_weights_that_are_not_finite(weights, images):
    broken = {**weights, "head.classifier.bias": np.full(10, np.inf, np.float32)}
    with pytest.raises(InputError, match=r"^head\.classifier\.bias holds NaN or infinity"):
        quantize(ARCH.graph(), broken, images)


def test_fine_tuning_learns_in_the_operators_of_the_file(data, weights, images, tmp_path):
    found = quantize(ARCH.graph(), weights, images)
    nothing = np.zeros_like(found.weights["head.classifier.weight"])
    found = replace(found, weights={**found.weights, "head.classifier.weight": nothing})
    recipe = fine_tuning_recipe(RECIPE, 1)
    assert (recipe.epochs, recipe.warmup_epochs) == (1, 0)
    assert recipe.learning_rate == pytest.approx(RECIPE.learning_rate / 20)
    first = fine_tuned(found, data, recipe, seed=0, checkpoint=tmp_path / "c.safetensors")
    again = fine_tuned(found, data, recipe, seed=0, checkpoint=tmp_path / "c.safetensors")
    assert first.steps[-1] == "fine-tuning of 1 epochs"
    assert any(not np.array_equal(first.weights[name], value) for name, value in found.weights.items())
    for name, value in first.weights.items():
        np.testing.assert_array_equal(again.weights[name], value)
    diverging = replace(recipe, learning_rate=1e9)
    with pytest.raises(InputError, match="fine-tuning diverged"):
        fine_tuned(found, data, diverging, seed=0)


def test_fine_tuning_that_does_not_help_is_dropped(data, weights, images, monkeypatch):
    """Against a network that names every class, no training helps."""
    monkeypatch.setattr(fine_tuning, "accuracy", lambda network, split, *, pause: 1.0)
    found = quantize(ARCH.graph(), weights, images)
    kept = fine_tuned(found, data, fine_tuning_recipe(RECIPE, 1), seed=0)
    assert kept.steps[-1] == "fine-tuning of 1 epochs did not help"
    assert kept.weights is found.weights


def test_fine_tuning_that_is_only_as_good_is_dropped(data, weights, images):
    """With a learning rate of 0 nothing is learnt."""
    found = quantize(ARCH.graph(), weights, images)
    kept = fine_tuned(found, data, replace(fine_tuning_recipe(RECIPE, 1), learning_rate=0.0), seed=0)
    assert not kept.fine_tuned


def test_the_sample_is_drawn_at_random_and_says_so(data):
    found = calibration_sample(data, 50, seed=3)
    assert found.to_dict() == {"data": "digits", "images": 50, "split": "train", "seed": 3}
    assert found.images.shape == (50, 16, 16, 3)
    other = calibration_sample(data, 50, seed=4)
    assert not np.array_equal(found.images, other.images)
    assert calibration_sample(data, 10**5).count == len(data.train)
