import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.graph import GraphBuilder
from mobilenas.nn import observed_ranges


def test_ranges_by_hand() -> None:
    builder = GraphBuilder((1, 1, 1))
    x = builder.conv2d(builder.inputs[0], 2, name="conv", batch_norm=False, bias=True)
    graph = builder.finish(builder.activation(x, "relu", name="relu"))
    weights = {
        "conv.weight": np.array([2.0, -1.0], np.float32).reshape(2, 1, 1, 1),
        "conv.bias": np.ones(2, np.float32),
    }
    images = np.linspace(-1, 3, 20, dtype=np.float32).reshape(20, 1, 1, 1)  # more than two batches
    assert observed_ranges(graph, weights, images) == {"input_0": (-1, 3), "conv": (-2, 7), "relu": (0, 7)}
    with pytest.raises(InputError, match=r"conv\.bias is missing"):
        observed_ranges(graph, {"conv.weight": weights["conv.weight"]}, images)
