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


def test_an_image_as_output() -> None:
    graph = network(scores=False)
    assert outputs(graph, random_weights(graph), np.zeros((2, 6, 5, 3), np.float32)).shape == (2, 4, 3, 3)


def test_images_and_weights_that_do_not_fit() -> None:
    graph = network(scores=True)
    with pytest.raises(InputError, match="images of shape"):
        outputs(graph, random_weights(graph), np.zeros((1, 3, 6, 5), np.float32))
    with pytest.raises(InputError, match=r"conv\.weight is missing"):
        outputs(graph, {}, np.zeros((1, 6, 5, 3), np.float32))
