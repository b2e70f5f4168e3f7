import numpy as np
import pytest
import torch

from mobilenas.errors import InputError
from mobilenas.export.weights import random_weights
from mobilenas.graph import GraphBuilder, OpGraph
from mobilenas.nn import GraphModule, outputs, set_weights


def network(*, scores: bool) -> OpGraph:
    builder = GraphBuilder((6, 5, 3))
    x = builder.conv2d(builder.inputs[0], 4, name="conv", kernel_size=3, stride=2)
    return builder.finish(builder.fully_connected(x, 2, name="fc") if scores else x)


def test_channels_last_in_and_batches_of_any_size() -> None:
    graph = network(scores=True)
    weights = random_weights(graph)
    images = np.random.default_rng(0).standard_normal((130, 6, 5, 3)).astype(np.float32)
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    with torch.no_grad():
        expected = module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()
    found = outputs(graph, weights, images)
    assert found.shape == (130, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_several_outputs_are_refused() -> None:
    builder = GraphBuilder((6, 5, 3))
    x = builder.conv2d(builder.inputs[0], 4, name="conv")
    graph = builder.finish(x, builder.mean(x, name="mean"))
    with pytest.raises(InputError, match="the network gives 2 outputs"):
        outputs(graph, random_weights(graph), np.zeros((1, 6, 5, 3), np.float32))


def test_exact_outputs_are_float64_to_the_end() -> None:
    """1 + 2**-30 is lost in float32, and with it what the fully connected layer makes of it."""
    builder = GraphBuilder((1, 1, 2))
    graph = builder.finish(builder.fully_connected(builder.inputs[0], 1, name="fc"))
    weights = {"fc.weight": np.array([[1.0, 2.0**-30]], np.float32), "fc.bias": np.array([-1.0], np.float32)}
    images = np.ones((70, 1, 1, 2), np.float32)
    exact = outputs(graph, weights, images, exact=True)
    assert exact.dtype == np.float64
    np.testing.assert_array_equal(exact, np.full((70, 1), 2.0**-30))
    found = outputs(graph, weights, images)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.zeros((70, 1), np.float32))


def test_an_image_as_output() -> None:
    graph = network(scores=False)
    assert outputs(graph, random_weights(graph), np.zeros((2, 6, 5, 3), np.float32)).shape == (2, 4, 3, 3)


def test_images_and_weights_that_do_not_fit() -> None:
    graph = network(scores=True)
    with pytest.raises(InputError, match="images of shape"):
        outputs(graph, random_weights(graph), np.zeros((1, 3, 6, 5), np.float32))
    with pytest.raises(InputError, match=r"conv\.weight is missing"):
        outputs(graph, {}, np.zeros((1, 6, 5, 3), np.float32))
