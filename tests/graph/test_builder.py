import pytest

from mobilenas.errors import InputError
from mobilenas.graph import BlockSpan, GraphBuilder, OpGraph, OpKind


def test_scopes_name_nodes_and_blocks():
    builder = GraphBuilder((8, 8, 3))
    with builder.scope("stem", block=True):
        x = builder.conv2d(builder.inputs[0], 4, name="conv")
    with builder.scope("stages.0.0", block=True):
        with builder.scope("se"):
            x = builder.mean(x, name="squeeze")
        x = builder.activation(x, "relu", name="act")
    graph = builder.finish(x)
    assert [node.name for node in graph.nodes] == ["stem.conv", "stages.0.0.se.squeeze", "stages.0.0.act"]
    assert graph.spans == (BlockSpan("stem", 0, 1), BlockSpan("stages.0.0", 1, 3))


@pytest.mark.parametrize("name", ["none", "relu", "relu6"])
def test_what_every_runtime_fuses_is_fused(name):
    builder = GraphBuilder((8, 8, 3))
    graph = builder.finish(builder.conv2d(builder.inputs[0], 4, name="conv", activation=name))
    (node,) = graph.nodes
    assert node.spec.activation == name


@pytest.mark.parametrize("name", ["hard_swish", "silu", "gelu", "sigmoid", "hard_sigmoid"])
def test_other_activations_are_ops_of_their_own(name):
    builder = GraphBuilder((8, 8, 3))
    graph = builder.finish(builder.conv2d(builder.inputs[0], 4, name="conv", activation=name))
    assert [(node.name, node.spec.kind) for node in graph.nodes] == [
        ("conv", OpKind.CONV2D),
        ("conv_activation", OpKind(name)),
    ]
    assert graph.nodes[0].spec.activation == "none"


def test_the_padding_style_holds_where_a_window_asks_for_none():
    specs = {}
    for style in ("same", "symmetric"):
        builder = GraphBuilder((8, 8, 3), padding=style)
        x = builder.conv2d(builder.inputs[0], 4, name="own", kernel_size=3, stride=2, padding="valid")
        builder.conv2d(builder.inputs[0], 4, name="style", kernel_size=3, stride=2)
        builder.depthwise_conv2d(builder.inputs[0], name="dilated", kernel_size=3, stride=2, dilation=2)
        specs[style] = [node.spec for node in builder.finish(x).nodes]
    assert [spec.padding for spec in specs["same"]] == ["valid", "same", "same"]
    assert [spec.padding for spec in specs["symmetric"]] == ["valid", ((1, 1), (1, 1)), ((2, 2), (2, 2))]
    assert [spec.out_shape[:2] for spec in specs["symmetric"]] == [(3, 3), (4, 4), (4, 4)]


def test_batch_norm_and_bias_belong_to_the_node():
    builder = GraphBuilder((8, 8, 3), bn_epsilon=1e-5)
    x = builder.conv2d(builder.inputs[0], 4, name="a")
    x = builder.conv2d(x, 4, name="b", batch_norm=False, bias=True)
    x = builder.fully_connected(x, 10, name="c", dropout=0.2)
    a, b, c = builder.finish(x).nodes
    assert a.batch_norm is not None
    assert (a.batch_norm.epsilon, a.bias) == (1e-5, False)
    assert (b.batch_norm, b.bias) == (None, True)
    assert (c.batch_norm, c.bias, c.dropout) == (None, True, 0.2)
    assert (a.params, b.params, c.params) == (3 * 4 + 8, 4 * 4 + 4, 8 * 8 * 4 * 10 + 10)


def test_references_of_another_graph_are_refused():
    other = GraphBuilder((8, 8, 3))
    ref = other.mean(other.inputs[0], name="mean")
    builder = GraphBuilder((8, 8, 3))
    with pytest.raises(InputError, match="act: an input belongs to another graph"):
        builder.activation(ref, "relu", name="act")


def test_a_slice_begins_where_it_is_told_and_costs_the_same():
    builder = GraphBuilder((4, 4, 8))
    (x,) = builder.inputs
    graph = builder.finish(builder.slice(x, 3, name="a"), builder.slice(x, 3, name="b", first_channel=5))
    assert [node.first_channel for node in graph.nodes] == [0, 5]
    assert len(graph.op_counts()) == 1
    assert OpGraph.from_dict(graph.to_dict()) == graph
    for wrong in (-1, 6):
        with pytest.raises(InputError, match=f"cut: first channel {wrong} .* 0 to 5"):
            builder.slice(x, 3, name="cut", first_channel=wrong)


def test_two_inputs():
    builder = GraphBuilder((4, 4, 2), (4, 4, 2))
    graph = builder.finish(builder.add(*builder.inputs, name="sum"))
    assert graph.nodes[0].inputs == (0, 1)
    assert graph.peak_memory_bytes("int8") == 3 * 32
