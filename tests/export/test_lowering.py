"""Every op kind: LiteRT loads it, XNNPACK takes all of it, and it computes what torch computes."""

import numpy as np
import pytest
from cases import CASES
from hypothesis import given
from hypothesis import strategies as st
from litert import difference, exported, images, plan, reference

from mobilenas.errors import InputError
from mobilenas.export import expected_operators, lower, random_weights, read_tflite, write_tflite
from mobilenas.export.large_windows import MOST_TAPS, pieces
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


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        ((7, 7), [((0, 3), (0, 7)), ((3, 6), (0, 7)), ((6, 7), (0, 7))]),
        ((9, 9), [((0, 5), (0, 5)), ((0, 5), (5, 9)), ((5, 9), (0, 5)), ((5, 9), (5, 9))]),
        ((6, 5), [((0, 5), (0, 5)), ((5, 6), (0, 5))]),
        ((1, 31), [((0, 1), (0, 16)), ((0, 1), (16, 31))]),
    ],
)
def test_pieces_by_hand(kernel, found):
    assert pieces(kernel) == found


@given(st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_pieces_cover_every_pixel_once_and_none_is_too_large(kernel):
    seen = np.zeros(kernel, int)
    for (top, bottom), (left, right) in pieces(kernel):
        assert 1 <= (bottom - top) * (right - left) <= MOST_TAPS
        seen[top:bottom, left:right] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("kernel", [(26, 1), (6, 6), (13, 5), (19, 19), (23, 23)])
@pytest.mark.parametrize("padding", ["same", "valid", ((2, 0), (5, 1))])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_large_windows_are_sums_of_smaller_ones(process, kernel, padding, stride):
    """23 x 23 takes more than sixteen pieces, and stays whole."""
    spec = OpSpec(
        OpKind.DEPTHWISE_CONV2D,
        ((29, 27, 3),),
        6,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        activation="relu",
    )
    graph = single_op(spec)
    weights = random_weights(graph)
    for dtype in ("float32", "int8"):
        model = write_tflite(graph, weights, dtype=dtype)
        operators, *rest = plan(process, model)
        assert (operators, rest) == (expected_operators(graph, dtype), [1, []])
        assert operators.count("DEPTHWISE_CONV_2D") == (1 if kernel == (23, 23) else len(pieces(kernel)))
        network = read_tflite(model)
        assert [node.spec for node in network.graph.nodes] == [spec]
        assert (network.dtype, network.other_forms) == (dtype, {})
    inputs = images(graph)
    (found,), (wanted,) = exported(write_tflite(graph, weights), inputs), reference(graph, weights, inputs)
    assert difference(found, wanted) <= 1e-5
