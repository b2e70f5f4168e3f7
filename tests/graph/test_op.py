import json

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from reference import counted_macs, run_op
from strategies import JSON_VALUES, KERNELS, PAIRS, graphs

from mobilenas.errors import InputError
from mobilenas.graph import OpGraph, OpKind, OpSpec, single_op
from mobilenas.graph.op import same_padding

CONV, DEPTHWISE, DENSE = OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.FULLY_CONNECTED
STEM = OpSpec(CONV, ((224, 224, 3),), 32, kernel_size=(3, 3), stride=(2, 2), activation="relu6")
MAP = ((4, 6, 8),)


@pytest.mark.parametrize(
    ("spec", "out_shape", "weights", "macs"),
    [
        (STEM, (112, 112, 32), 864, 10_838_016),
        (OpSpec(DEPTHWISE, ((112, 112, 32),), 32, (3, 3)), (112, 112, 32), 288, 3_612_672),
        (OpSpec(DEPTHWISE, ((7, 7, 960),), 960, (5, 5), (2, 2)), (4, 4, 960), 24_000, 384_000),
        (OpSpec(CONV, ((56, 56, 24),), 144), (56, 56, 144), 3_456, 10_838_016),
        (OpSpec(CONV, ((14, 14, 64),), 128, (3, 3), groups=4), (14, 14, 128), 18_432, 3_612_672),
        (OpSpec(CONV, ((10, 10, 8),), 8, (3, 3), dilation=(2, 2), padding="valid"), (6, 6, 8), 576, 20_736),
        (OpSpec(CONV, ((5, 9, 2),), 3, (1, 5), (1, 2), padding=((0, 0), (2, 2))), (5, 5, 3), 30, 750),
        (OpSpec(DENSE, ((1, 1, 1280),), 1000), (1, 1, 1000), 1_280_000, 1_280_000),
        (OpSpec(DENSE, ((7, 7, 4),), 10), (1, 1, 10), 1_960, 1_960),
        (OpSpec(OpKind.MAX_POOL2D, ((7, 7, 16),), 16, (3, 3), (2, 2)), (4, 4, 16), 0, 0),
        (OpSpec(OpKind.AVG_POOL2D, ((7, 7, 16),), 16, (3, 3), (2, 2), padding="valid"), (3, 3, 16), 0, 0),
        (OpSpec(OpKind.MEAN, ((7, 7, 1280),), 1280), (1, 1, 1280), 0, 0),
        (OpSpec(OpKind.MUL, ((14, 14, 96), (1, 1, 96)), 96), (14, 14, 96), 0, 0),
        (OpSpec(OpKind.CONCAT, ((4, 4, 3), (4, 4, 5)), 8), (4, 4, 8), 0, 0),
        (OpSpec(OpKind.SLICE, ((4, 4, 8),), 5), (4, 4, 5), 0, 0),
        (OpSpec(OpKind.CHANNEL_SHUFFLE, ((4, 4, 8),), 8, groups=2), (4, 4, 8), 0, 0),
        (OpSpec(OpKind.PAD, ((4, 4, 8),), 8, padding=((0, 1), (2, 3))), (5, 9, 8), 0, 0),
    ],
)
def test_shapes_weights_and_multiply_adds_by_hand(spec, out_shape, weights, macs):
    assert spec.out_shape == out_shape
    assert spec.weight_count == weights
    assert spec.macs == macs


def test_bytes_by_hand():
    # 864 weights and 32 biases; 224 * 224 * 3 = 150,528 values in, 112 * 112 * 32 = 401,408 out
    assert [STEM.weight_bytes(dtype) for dtype in ("float32", "float16", "int8")] == [3584, 1792, 992]
    assert [STEM.activation_bytes(dtype) for dtype in ("float32", "float16", "int8")] == [2_207_744, 2_207_744, 551_936]
    mul = OpSpec(OpKind.MUL, ((14, 14, 96), (1, 1, 96)), 96)
    assert mul.weight_bytes() == 0
    assert mul.activation_bytes() == 4 * (18_816 + 96 + 18_816)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "dilation", "padding"),
    [
        (224, 3, 2, 1, (0, 1)),
        (225, 3, 2, 1, (1, 1)),
        (7, 5, 2, 1, (2, 2)),
        (6, 5, 2, 1, (1, 2)),
        (56, 3, 1, 1, (1, 1)),
        (10, 3, 1, 2, (2, 2)),
        (5, 4, 1, 1, (1, 2)),
        (8, 1, 2, 1, (0, 0)),
        (1, 3, 1, 1, (1, 1)),
    ],
)
def test_tf_same_padding(size, kernel, stride, dilation, padding):
    assert same_padding(size, kernel, stride, dilation) == padding


@given(graphs())
def test_shapes_and_values_agree_with_torch(graph: OpGraph):
    for node in graph.nodes:
        inputs = [torch.rand(1, c, h, w) for h, w, c in node.spec.in_shapes]
        out = run_op(node.spec, *inputs)
        assert tuple(out.shape) == (1, node.spec.out_shape[2], *node.spec.out_shape[:2])
        assert torch.isfinite(out).all()


@given(graphs())
def test_multiply_adds_agree_with_counting(graph: OpGraph):
    for spec in graph.op_counts():
        weighted = spec.kind in (CONV, DEPTHWISE, DENSE)
        assert spec.macs == (counted_macs(spec) if weighted else 0)


PADDINGS = st.one_of(
    st.sampled_from(["same", "valid"]),
    st.tuples(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.tuples(st.integers(0, 4), st.integers(0, 4))),
)


def amounts(padding, sizes, kernel, stride, dilation):
    """((top, bottom), (left, right)) as TF and torch would take it, before any normalisation."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        return padding
    pads = []
    for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        # the smallest total that gives ceil(n / s) windows, the odd one after
        total = next(t for t in range(100) if (n + t - (k - 1) * d - 1) // s + 1 >= -(-n // s))
        pads.append((total // 2, total - total // 2))
    return tuple(pads)


@given(st.tuples(st.integers(1, 9), st.integers(1, 9)), KERNELS, PAIRS, PAIRS, PADDINGS, PADDINGS)
def test_one_key_for_equal_padding_and_another_for_another_result(sizes, kernel, stride, dilation, first, second):
    specs, results, pads = [], [], []
    image = torch.rand(1, 1, *sizes) + 1
    weight = torch.rand(1, 1, *kernel) + 1
    for padding in (first, second):
        pad = amounts(padding, sizes, kernel, stride, dilation)
        reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
        assume(all(size + sum(sides) >= r for size, sides, r in zip(sizes, pad, reach, strict=True)))
        specs.append(OpSpec(CONV, ((*sizes, 1),), 1, kernel, stride, dilation, padding=padding))
        (top, bottom), (left, right) = pad
        pads.append(pad)
        results.append(F.conv2d(F.pad(image, (left, right, top, bottom)), weight, stride=stride, dilation=dilation))
        assert specs[-1].out_shape == (*results[-1].shape[2:], 1)
    if pads[0] == pads[1]:
        assert specs[0] == specs[1]
        assert hash(specs[0]) == hash(specs[1])
    if results[0].shape != results[1].shape or not torch.equal(*results):
        assert specs[0] != specs[1]


def test_explicit_padding_that_equals_same_is_same():
    even, odd = ((224, 224, 3),), ((225, 225, 3),)
    symmetric = ((1, 1), (1, 1))
    assert OpSpec(CONV, odd, 8, (3, 3), (2, 2), padding=symmetric).padding == "same"
    assert OpSpec(CONV, even, 8, (3, 3), (2, 2), padding=symmetric).padding == symmetric
    assert OpSpec(CONV, even, 8, (3, 3), (2, 2), padding=((0, 1), (0, 1))).padding == "same"
    assert OpSpec(CONV, even, 8, padding="valid").padding == "same"
    assert OpSpec(CONV, even, 8, (3, 3), padding=((0, 0), (0, 0))).padding == "valid"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": CONV, "in_shapes": (), "out_channels": 8}, "of every input"),
        ({"kind": CONV, "in_shapes": ((4, 6),), "out_channels": 8}, "of every input"),
        ({"kind": CONV, "in_shapes": ((4, 0, 8),), "out_channels": 8}, "whole number from 1"),
        ({"kind": CONV, "in_shapes": ((4, 6, True),), "out_channels": 8}, "whole number from 1"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 0}, "whole number from 1"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8.0}, "whole number from 1"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 2**31}, "to 2147483647"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "kernel_size": (3,)}, "height, width"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "stride": (0, 1)}, "whole number from 1"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "padding": "full"}, "'same', 'valid'"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "padding": ((0, -1), (0, 0))}, "'same', 'valid'"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "padding": ((0, 0),)}, "'same', 'valid'"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "activation": "silu"}, "cannot be fused"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 8, "groups": 3}, "divide by groups"),
        ({"kind": CONV, "in_shapes": MAP, "out_channels": 7, "groups": 2}, "divide by groups"),
        (
            {"kind": CONV, "in_shapes": MAP, "out_channels": 8, "kernel_size": (5, 5), "padding": "valid"},
            "does not fit",
        ),
        ({"kind": CONV, "in_shapes": (*MAP, *MAP), "out_channels": 8}, "one input"),
        ({"kind": DEPTHWISE, "in_shapes": MAP, "out_channels": 12}, "multiple"),
        ({"kind": DEPTHWISE, "in_shapes": MAP, "out_channels": 8, "groups": 8}, "groups belong"),
        ({"kind": OpKind.MEAN, "in_shapes": MAP, "out_channels": 9}, "must be 8"),
        ({"kind": OpKind.MEAN, "in_shapes": MAP, "out_channels": 8, "activation": "relu"}, "cannot be fused"),
        ({"kind": OpKind.MEAN, "in_shapes": MAP, "out_channels": 8, "stride": (2, 2)}, "no window"),
        ({"kind": OpKind.RELU, "in_shapes": MAP, "out_channels": 8, "padding": "valid"}, "explicit padding"),
        ({"kind": OpKind.PAD, "in_shapes": MAP, "out_channels": 8}, "explicit padding"),
        ({"kind": OpKind.MAX_POOL2D, "in_shapes": MAP, "out_channels": 8, "dilation": (2, 2)}, "dilation belongs"),
        (
            {"kind": OpKind.MAX_POOL2D, "in_shapes": MAP, "out_channels": 8, "padding": ((1, 0), (0, 0))},
            "windows without a value",
        ),
        ({"kind": OpKind.SLICE, "in_shapes": MAP, "out_channels": 9}, "more channels"),
        ({"kind": OpKind.CHANNEL_SHUFFLE, "in_shapes": MAP, "out_channels": 8, "groups": 3}, "divide by groups"),
        ({"kind": OpKind.ADD, "in_shapes": MAP, "out_channels": 8}, "two inputs"),
        ({"kind": OpKind.ADD, "in_shapes": ((4, 6, 8), (4, 5, 8)), "out_channels": 8}, "broadcast"),
        ({"kind": OpKind.CONCAT, "in_shapes": ((4, 6, 8), (4, 5, 8)), "out_channels": 16}, "height or width"),
    ],
)
def test_what_cannot_be_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        OpSpec(**fields)


@given(graphs())
def test_json_round_trip(graph: OpGraph):
    for spec in graph.op_counts():
        assert OpSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


@given(JSON_VALUES)
def test_nonsense_is_no_op(data):
    with pytest.raises(InputError):
        OpSpec.from_dict(data)


@given(st.sampled_from([*STEM.to_dict(), "unknown"]), JSON_VALUES)
def test_a_broken_field_is_refused_or_fits(field, value):
    try:
        spec = OpSpec.from_dict({**STEM.to_dict(), field: value})
    except InputError:
        return
    assert OpSpec.from_dict(spec.to_dict()) == spec
    hash(spec)


def test_a_single_op_is_a_graph_with_its_weights():
    graph = single_op(STEM)
    assert graph.input_shapes == STEM.in_shapes
    assert graph.state_shapes() == {"op.weight": (32, 3, 3, 3), "op.bias": (32,)}
    assert graph.params == 896
    assert single_op(OpSpec(OpKind.ADD, ((4, 4, 8), (4, 4, 8)), 8)).params == 0


def test_copies_of_an_op_stand_side_by_side():
    graph = single_op(STEM, copies=3)
    assert graph.params == 3 * 896
    assert graph.op_counts() == {STEM: 3}
    assert [node.inputs for node in graph.nodes] == [(0,)] * 3
    assert graph.outputs == (1, 2, 3)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (STEM, "conv2d 224x224x3 to 112x112x32, kernel_size 3x3, stride 2x2, relu6"),
        (
            OpSpec(CONV, ((10, 10, 8),), 8, (3, 3), dilation=(2, 2), groups=2, padding="valid"),
            "conv2d 10x10x8 to 6x6x8, kernel_size 3x3, dilation 2x2, groups 2, padding valid",
        ),
        (OpSpec(OpKind.PAD, ((4, 4, 8),), 8, padding=((0, 1), (2, 3))), "pad 4x4x8 to 5x9x8, padding 0 1 2 3"),
        (OpSpec(OpKind.ADD, ((4, 4, 8), (1, 1, 8)), 8), "add 4x4x8 + 1x1x8 to 4x4x8"),
    ],
)
def test_an_op_has_a_name_for_people(spec, name):
    assert str(spec) == name


@given(graphs(), graphs())
def test_different_ops_have_different_names(one, other):
    specs = {node.spec for graph in (one, other) for node in graph.nodes}
    assert len({str(spec) for spec in specs}) == len(specs)
