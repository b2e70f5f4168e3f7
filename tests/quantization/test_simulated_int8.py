import numpy as np
import pytest
import torch
from cases import CASES
from int8_runs import int8_outputs, observed_ranges
from litert import images

from mobilenas import models
from mobilenas.export import folded_network, random_weights, write_tflite
from mobilenas.graph import GraphBuilder, OpGraph, OpKind, single_op
from mobilenas.quantization.simulated_int8 import SimulatedInt8

ONE_INPUT = [kind for kind in OpKind if kind not in (OpKind.ADD, OpKind.MUL, OpKind.CONCAT)]


def both(graph: OpGraph, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    """What the simulation and LiteRT give, and a step of the output."""
    graph, weights = folded_network(graph, random_weights(graph, seed))
    inputs = images(graph, seed)
    ranges = observed_ranges(graph, weights, [inputs])
    ((wanted, step),) = int8_outputs(write_tflite(graph, weights, dtype="int8", ranges=ranges), inputs)
    with torch.inference_mode():
        x = torch.from_numpy(inputs[0]).permute(0, 3, 1, 2)
        found = SimulatedInt8(graph, weights, ranges)(x)
    if wanted.ndim == 4:
        wanted = wanted.transpose(0, 3, 1, 2)
    return found.numpy(), wanted.reshape(found.shape), step


@pytest.mark.parametrize("kind", ONE_INPUT)
def test_every_op_rounds_as_the_file_does(kind):
    for spec in CASES[kind]:
        found, wanted, step = both(single_op(spec))
        assert np.abs(found - wanted).max() <= 1.01 * step, spec  # ties are rounded to either side
        assert (np.abs(found - wanted) > 0.01 * step).mean() <= 0.1 or found.size < 40, spec


def test_a_slice_that_begins_inside():
    builder = GraphBuilder((5, 7, 8))
    found, wanted, step = both(builder.finish(builder.slice(builder.inputs[0], 3, name="slice", first_channel=4)))
    assert np.abs(found - wanted).max() <= 1.01 * step


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v2", "efficientnet_b0", "mnasnet_a1"])
def test_networks_are_as_near_as_roundings_that_differ_by_one_step_allow(name):
    found, wanted, step = both(models.get(name, resolution=64, num_classes=10).graph())
    assert np.abs(found - wanted).max() <= 12 * step
