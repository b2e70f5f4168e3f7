import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import JSON_VALUES, graphs

from mobilenas.errors import InputError
from mobilenas.graph import BatchNorm, BlockSpan, GraphBuilder, OpGraph, OpKind, OpNode, OpSpec

POINTWISE = OpSpec(OpKind.CONV2D, ((4, 4, 2),), 2)
RELU = OpSpec(OpKind.RELU, ((4, 4, 2),), 2)


def residual() -> OpGraph:
    """Input of 32 values, two convolutions of 64 values each, and their sum."""
    builder = GraphBuilder((4, 4, 2))
    a = builder.conv2d(builder.inputs[0], 4, name="a")
    b = builder.conv2d(a, 4, name="b", kernel_size=3)
    return builder.finish(builder.add(a, b, name="sum"))


def test_a_residual_network_by_hand():
    graph = residual()
    assert graph.macs == 16 * 2 * 4 + 16 * 4 * 4 * 9
    assert graph.params == 2 * 4 + 8 + 4 * 4 * 9 + 8
    # while the sum is computed, both convolutions and the sum are alive: 3 * 64 values
    assert graph.peak_memory_bytes("float32") == 768
    assert graph.peak_memory_bytes("int8") == 192
    # 8 and 144 weights and twice 4 biases, 4 bytes each
    assert graph.weight_bytes() == 640
    assert graph.value_shapes == ((4, 4, 2), (4, 4, 4), (4, 4, 4), (4, 4, 4))


def test_memory_falls_when_a_value_is_read_for_the_last_time():
    builder = GraphBuilder((4, 4, 2))
    wide = builder.conv2d(builder.inputs[0], 10, name="wide")
    narrow = builder.conv2d(wide, 1, name="narrow")
    last = builder.conv2d(narrow, 9, name="last")
    # 32 + 160, then 160 + 16, then 16 + 144 values
    assert builder.finish(last).peak_memory_bytes("int8") == 192
    # an output that stays: 160 + 16 + 144
    assert builder.finish(last, wide).peak_memory_bytes("int8") == 320


def test_a_chain_of_one_op_kind_is_counted_once_a_spec():
    builder = GraphBuilder((4, 4, 2))
    x = builder.inputs[0]
    for name in "abc":
        x = builder.activation(x, "relu", name=name)
    assert builder.finish(x).op_counts() == {RELU: 3}


@given(graphs(), st.sampled_from(["float32", "float16", "int8"]))
def test_peak_memory_agrees_with_brute_force(graph: OpGraph, dtype: str):
    shapes, offset = graph.value_shapes, len(graph.input_shapes)
    peaks = [sum(h * w * c for h, w, c in graph.input_shapes)]
    for step in range(len(graph.nodes)):
        alive = 0
        for value, (h, w, c) in enumerate(shapes):
            exists = value < offset + step + 1
            read_later = any(value in node.inputs for node in graph.nodes[step:])
            if exists and (read_later or value in graph.outputs or value == offset + step):
                alive += h * w * c
        peaks.append(alive)
    assert graph.peak_memory_bytes(dtype) == max(peaks) * (1 if dtype == "int8" else 4)


@given(graphs())
def test_params_agree_with_torch_modules(graph: OpGraph):
    expected = 0
    for node in graph.nodes:
        spec = node.spec
        height, width, channels = spec.in_shapes[0]
        if spec.kind is OpKind.FULLY_CONNECTED:
            module = torch.nn.Linear(height * width * channels, spec.out_channels, bias=node.bias)
        elif spec.kind in (OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D):
            groups = channels if spec.kind is OpKind.DEPTHWISE_CONV2D else spec.groups
            module = torch.nn.Conv2d(channels, spec.out_channels, spec.kernel_size, groups=groups, bias=node.bias)
        else:
            continue
        assert tuple(module.weight.shape) == spec.weight_shape
        expected += sum(parameter.numel() for parameter in module.parameters())
        if node.batch_norm:
            expected += sum(parameter.numel() for parameter in torch.nn.BatchNorm2d(spec.out_channels).parameters())
    assert graph.params == expected
    trained = {name: shape for name, shape in graph.state_shapes().items() if ".running_" not in name}
    assert sum(torch.Size(shape).numel() for shape in trained.values()) == expected


@given(graphs())
def test_json_round_trip(graph: OpGraph):
    again = OpGraph.from_dict(json.loads(json.dumps(graph.to_dict())))
    assert again == graph
    assert again.macs == graph.macs


def test_shared_weights_are_parameters_once_and_are_streamed_twice():
    nodes = tuple(OpNode(f"n{i}", POINTWISE, (i,), weight_name="shared") for i in range(2))
    graph = OpGraph(input_shapes=((4, 4, 2),), nodes=nodes, outputs=(2,))
    assert graph.params == 4
    assert graph.weight_bytes() == 2 * (4 * 4 + 2 * 4)
    assert graph.state_shapes() == {"shared.weight": (2, 2, 1, 1)}
    assert [node.name for node in graph.weighted_nodes()] == ["n0"]


def test_the_state_has_readable_names():
    builder = GraphBuilder((8, 8, 3))
    with builder.scope("stages.2.0", block=True):
        x = builder.depthwise_conv2d(builder.inputs[0], name="depthwise", kernel_size=5)
        x = builder.conv2d(x, 4, name="reduce", batch_norm=False, bias=True)
    assert builder.finish(x).state_shapes() == {
        "stages.2.0.depthwise.weight": (3, 1, 5, 5),
        "stages.2.0.depthwise.batch_norm.weight": (3,),
        "stages.2.0.depthwise.batch_norm.bias": (3,),
        "stages.2.0.depthwise.batch_norm.running_mean": (3,),
        "stages.2.0.depthwise.batch_norm.running_var": (3,),
        "stages.2.0.reduce.weight": (4, 3, 1, 1),
        "stages.2.0.reduce.bias": (4,),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nodes": (OpNode("n", RELU, (1,)),)}, "n: reads a value that is not there yet"),
        ({"nodes": (OpNode("n", RELU, (-1,)),)}, "n: reads a value that is not there yet"),
        ({"nodes": (OpNode("n", OpSpec(OpKind.RELU, ((4, 4, 3),), 3), (0,)),)}, "n: expects"),
        ({"nodes": (OpNode("n", RELU, ()),)}, "n: expects"),
        ({"nodes": (OpNode("n", RELU, (0,)), OpNode("n", RELU, (1,)))}, "n: two nodes"),
        ({"outputs": ()}, "outputs"),
        ({"outputs": (2,)}, "outputs"),
        ({"spans": (BlockSpan("b", 0, 2),)}, "span"),
        ({"spans": (BlockSpan("b", 1, 0),)}, "span"),
    ],
)
def test_an_impossible_graph_is_refused(changes, message):
    fields = {"input_shapes": ((4, 4, 2),), "nodes": (OpNode("n", RELU, (0,)),), "outputs": (1,), "spans": ()}
    OpGraph(**fields)
    with pytest.raises(InputError, match=message):
        OpGraph(**fields | changes)


@pytest.mark.parametrize("extra", [{"bias": True}, {"batch_norm": BatchNorm()}])
def test_only_ops_with_weights_have_bias_or_batch_norm(extra):
    assert OpNode("n", POINTWISE, (0,), **extra).params > 4
    with pytest.raises(InputError, match="n: relu has neither"):
        OpNode("n", RELU, (0,), **extra)


@given(JSON_VALUES)
def test_nonsense_is_no_graph(data):
    with pytest.raises(InputError):
        OpGraph.from_dict(data)


@given(st.data())
def test_a_broken_place_in_a_file_is_refused_or_fits(data):
    document = residual().to_dict()
    place = document
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            break
        place = place[key]
    place[key] = data.draw(JSON_VALUES)
    try:
        graph = OpGraph.from_dict(document)
    except InputError:
        return
    assert OpGraph.from_dict(json.loads(json.dumps(graph.to_dict()))) == graph
