"""Every op kind: LiteRT loads it, XNNPACK takes all of it, and it computes what torch computes."""

import numpy as np
import pytest
from cases import CASES
from litert import difference, exported, images, plan, reference

from mobilenas.errors import InputError
from mobilenas.export import expected_operators, lower, random_weights, write_tflite
from mobilenas.export.lowering import MAX_CONCATENATED
from mobilenas.graph import OpKind, OpSpec, single_op


@pytest.mark.parametrize("kind", OpKind)
def test_what_litert_runs_is_the_op(kind, process):
    """Every kind has cases, so that a new one without them fails here."""
    for spec in CASES[kind]:
        graph = single_op(spec)
        weights = random_weights(graph)
        model = write_tflite(graph, weights)
        assert plan(process, model) == (expected_operators(graph), 1, []), spec
        inputs = images(graph)
        (found,), (wanted,) = exported(model, inputs), reference(graph, weights, inputs)
        assert difference(found, wanted) <= 1e-5, spec


@pytest.mark.parametrize(
    ("spec", "codes"),
    [
        (OpSpec(OpKind.CONV2D, ((8, 8, 3),), 4, kernel_size=(3, 3), stride=(2, 2)), ["CONV_2D"]),
        (
            OpSpec(OpKind.CONV2D, ((8, 8, 3),), 4, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1))),
            ["PAD", "CONV_2D"],
        ),
        (OpSpec(OpKind.HARD_SIGMOID, ((1, 1, 4),), 4), ["ADD", "MUL"]),
        (OpSpec(OpKind.SILU, ((1, 1, 4),), 4), ["LOGISTIC", "MUL"]),
        (OpSpec(OpKind.HARD_SWISH, ((1, 1, 4),), 4), ["HARD_SWISH"]),
        (OpSpec(OpKind.GELU, ((1, 1, 4),), 4), ["GELU"]),
        (OpSpec(OpKind.UPSAMPLE, ((2, 3, 4),), 4, stride=(1, 2)), ["RESHAPE", "CONCATENATION", "RESHAPE"]),
        (OpSpec(OpKind.UPSAMPLE, ((2, 3, 4),), 4, stride=(2, 2)), 2 * ["RESHAPE", "CONCATENATION", "RESHAPE"]),
    ],
)
def test_operators_by_hand(spec, codes):
    assert [op.code for op in lower(spec)] == codes


@pytest.mark.parametrize("count", range(1, 3 * MAX_CONCATENATED))
def test_concatenations_of_any_number(count, process):
    spec = OpSpec(OpKind.CONCAT, tuple((2, 3, 1 + i % 3) for i in range(count)), sum(1 + i % 3 for i in range(count)))
    graph = single_op(spec)
    model = write_tflite(graph, {})
    assert plan(process, model)[1:] == (1, [])
    inputs = images(graph)
    np.testing.assert_array_equal(exported(model, inputs)[0], np.concatenate(inputs, 3))


def test_lower_refuses_an_unknown_dtype():
    with pytest.raises(InputError, match="float23"):
        lower(CASES[OpKind.RELU][0], "float23")


def test_padding_around_a_largest_value_is_never_the_largest(process):
    """All inputs are far below zero, so that a padding of zeros would win."""
    spec = OpSpec(OpKind.MAX_POOL2D, ((4, 4, 2),), 2, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 1)))
    graph = single_op(spec)
    model = write_tflite(graph, {})
    assert plan(process, model)[1:] == (1, [])
    (found,) = exported(model, [np.full((1, 4, 4, 2), -1e30, np.float32)])
    np.testing.assert_array_equal(found, np.full((1, 2, 2, 2), -1e30, np.float32))
