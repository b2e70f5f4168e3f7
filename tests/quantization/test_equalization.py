"""What is equalised computes the same, and its channels are alike."""

import numpy as np
import pytest

from mobilenas import models
from mobilenas.export import folded_network, random_weights
from mobilenas.graph import GraphBuilder, OpGraph
from mobilenas.nn import outputs
from mobilenas.quantization.equalization import equalized


def pointwise(activation: str) -> OpGraph:
    builder = GraphBuilder((1, 1, 1))
    x = builder.conv2d(builder.inputs[0], 2, name="first", batch_norm=False, bias=True)
    x = builder.activation(x, activation, name="between")
    return builder.finish(builder.conv2d(x, 1, name="second", batch_norm=False, bias=True))


WEIGHTS = {
    "first.weight": np.array([4.0, 1.0], np.float32).reshape(2, 1, 1, 1),
    "first.bias": np.zeros(2, np.float32),
    "second.weight": np.array([1.0, 1.0], np.float32).reshape(1, 2, 1, 1),
    "second.bias": np.zeros(1, np.float32),
}
ONES = np.ones((1, 1, 1, 1), np.float32)


def test_by_hand():
    """Largest values 4 and 1, equal columns: factors 2 and 1, and divided by their median 1.5."""
    found = equalized(pointwise("relu"), WEIGHTS, ONES)
    np.testing.assert_allclose(found["first.weight"].ravel(), [4 / (2 / 1.5), 1 / (1 / 1.5)])
    np.testing.assert_allclose(found["second.weight"].ravel(), [2 / 1.5, 1 / 1.5])
    assert WEIGHTS["first.weight"].ravel().tolist() == [4, 1]


@pytest.mark.parametrize("activation", ["hard_swish", "relu6", "sigmoid", "silu"])
def test_what_does_not_scale_is_left_alone(activation):
    found = equalized(pointwise(activation), WEIGHTS, ONES)
    for name, value in WEIGHTS.items():
        np.testing.assert_array_equal(found[name], value)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v2", "mnasnet_a1", "efficientnet_b0"])
def test_networks_compute_the_same_with_other_weights(name):
    graph = models.get(name, resolution=32, num_classes=10).graph()
    graph, weights = folded_network(graph, random_weights(graph))
    images = np.random.default_rng(0).standard_normal((4, 32, 32, 3)).astype(np.float32)
    found = equalized(graph, weights, images)
    changed = [key for key, value in weights.items() if not np.array_equal(found[key], value)]
    assert len(changed) > len(weights) / 4
    exact, same = outputs(graph, weights, images, exact=True), outputs(graph, found, images, exact=True)
    np.testing.assert_allclose(same, exact, atol=1e-5 * np.abs(exact).max())
