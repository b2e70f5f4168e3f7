import pytest

from mobilenas.blocks import BLOCKS, HEADS, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.fused_mbconv import FusedMBConv
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.heads.pool_linear import PoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.blocks.mixed_mbconv import MixedMBConv
from mobilenas.blocks.squeeze_excite import SqueezeExcite
from mobilenas.blocks.universal_inverted_bottleneck import UniversalInvertedBottleneck
from mobilenas.errors import InputError
from mobilenas.graph import GraphBuilder


def emit(block, in_shape=(14, 14, 16), padding="same"):
    builder = GraphBuilder(in_shape, padding=padding)
    return builder.finish(block.emit(builder, *builder.inputs))


def emit_head(head, in_shape=(7, 7, 16), num_classes=10):
    builder = GraphBuilder(in_shape)
    return builder.finish(head.emit(builder, builder.inputs[0], num_classes))


def names(graph):
    return [node.name for node in graph.nodes]


def test_the_types_of_architecture_files_are_there():
    assert {"conv_bn_act", "depthwise_separable", "mbconv"} <= set(BLOCKS)
    assert set(HEADS) == {"conv_pool_linear", "pool_conv_linear", "pool_linear"}


@pytest.mark.parametrize(
    ("block", "params", "macs"),
    [
        # 3 * 3 * 16 * 24 weights and 2 * 24 of batch norm
        (ConvBnAct(out_channels=24, kernel_size=3), 3504, 196 * 3456),
        # depthwise 144 + 32, pointwise 16 * 24 + 48
        (DepthwiseSeparable(out_channels=24), 608, 196 * 528),
        # expansion 16 * 96 + 192, depthwise 25 * 96 + 192 at half the size, projection 96 * 24 + 48
        (MBConv(out_channels=24, kernel_size=5, stride=2, expanded_channels=96), 6672, 196 * 1536 + 49 * (2400 + 2304)),
        # and squeeze-and-excitation on the 96: 96 * 4 + 4 and 4 * 96 + 96
        (
            MBConv(out_channels=24, kernel_size=5, stride=2, expanded_channels=96, se_channels=4),
            6672 + 868,
            196 * 1536 + 49 * 4704 + 768,
        ),
        (SqueezeExcite(se_channels=4), 16 * 4 + 4 + 4 * 16 + 16, 128),
        # 3 * 3 * 16 * 64 weights and 128 of batch norm at half the size, projection 64 * 24 + 48
        (FusedMBConv(out_channels=24, stride=2, expanded_channels=64), 9216 + 128 + 1584, 49 * (9216 + 1536)),
        (FusedMBConv(out_channels=24), 3456 + 48, 196 * 3456),
        # 9 * 16 + 32, 16 * 64 + 128, 25 * 64 + 128 at half the size, 64 * 24 + 48
        (
            UniversalInvertedBottleneck(
                out_channels=24, expanded_channels=64, start_kernel_size=3, middle_kernel_size=5, stride=2
            ),
            176 + 1152 + 1728 + 1584,
            196 * (144 + 1024) + 49 * (1600 + 1536),
        ),
        # expansion in two groups: 8 * 96 + 192; 32 channels each of 3x3, 5x5 and 7x7 + 192; projection 48 * 24 + 48
        (
            MixedMBConv(
                out_channels=24, kernel_sizes=(3, 5, 7), expanded_channels=96, expand_groups=2, project_groups=2
            ),
            960 + 32 * (9 + 25 + 49) + 192 + 1200,
            196 * (768 + 32 * 83 + 1152),
        ),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_params_and_macs_by_hand(block, params, macs):
    graph = emit(block)
    assert graph.params == params
    assert graph.macs == macs


def test_mbconv_in_order_with_its_activations():
    block = MBConv(
        out_channels=24, expanded_channels=96, se_channels=4, se_gate="hard_sigmoid", activation="hard_swish"
    )
    graph = emit(block)
    assert names(graph) == [
        "expand",
        "expand_activation",
        "depthwise",
        "depthwise_activation",
        "se.squeeze",
        "se.reduce",
        "se.expand",
        "se.gate",
        "se.scale",
        "project",
    ]
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["se.reduce"].spec.activation == "relu"
    assert by_name["se.gate"].spec.kind == "hard_sigmoid"
    assert by_name["project"].spec.activation == "none"
    assert [by_name[name].bias for name in ("expand", "depthwise", "project")] == [False] * 3
    assert all(by_name[name].batch_norm for name in ("expand", "depthwise", "project"))
    for name in ("se.reduce", "se.expand"):
        assert (by_name[name].bias, by_name[name].batch_norm) == (True, None)


@pytest.mark.parametrize("expanded", [0, 16])
def test_mbconv_without_expansion(expanded):
    assert names(emit(MBConv(out_channels=24, expanded_channels=expanded))) == ["depthwise", "project"]


@pytest.mark.parametrize("expanded", [1, 8, 15, 17])
def test_any_other_expansion_is_a_real_convolution(expanded):
    graph = emit(MBConv(out_channels=16, expanded_channels=expanded))
    assert names(graph) == ["expand", "depthwise", "project", "add"]
    assert graph.nodes[0].spec.out_channels == graph.nodes[1].spec.out_channels == expanded


def test_the_activation_between_se_convolutions_can_be_chosen():
    graph = emit(MBConv(out_channels=24, expanded_channels=96, se_channels=4, se_activation="silu"))
    assert names(graph)[-6:] == ["se.reduce", "se.reduce_activation", "se.expand", "se.gate", "se.scale", "project"]


def test_depthwise_separable_activates_the_pointwise_convolution_only_when_told():
    plain = emit(DepthwiseSeparable(out_channels=24, activation="relu6"))
    assert [node.spec.activation for node in plain.nodes] == ["relu6", "none"]
    told = emit(DepthwiseSeparable(out_channels=24, pointwise_activation="relu"))
    assert [node.spec.activation for node in told.nodes] == ["relu", "relu"]
    squeezed = emit(DepthwiseSeparable(out_channels=24, se_channels=4))
    assert names(squeezed) == ["depthwise", "se.squeeze", "se.reduce", "se.expand", "se.gate", "se.scale", "pointwise"]


@pytest.mark.parametrize("make", [DepthwiseSeparable, MBConv])
@pytest.mark.parametrize(
    ("out_channels", "stride", "residual", "expected"),
    [
        (16, 1, True, ["add"]),
        (16, 1, False, []),
        (16, 2, True, []),
        (24, 1, True, []),
        (24, 2, True, []),
        (16, 1, "pool", ["skip_pool", "add"]),
        (16, 2, "pool", ["skip_pool", "add"]),
        (24, 1, "pool", []),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 14])
@pytest.mark.parametrize("padding", ["same", "symmetric"])
def test_residual_when_stride_is_1_and_channels_agree(make, out_channels, stride, residual, expected, size, padding):
    graph = emit(make(out_channels=out_channels, stride=stride, residual=residual), (size, size, 16), padding)
    assert [name for name in names(graph) if name in ("skip_pool", "add")] == expected
    if expected == ["add"]:
        assert graph.nodes[-1].inputs[0] == 0


@pytest.mark.parametrize(
    ("start", "middle", "expected"),
    [
        (0, 3, ["expand", "middle", "project"]),
        (5, 3, ["start", "expand", "middle", "project"]),
        (3, 0, ["start", "expand", "project"]),
        (0, 0, ["expand", "project"]),
    ],
)
def test_the_four_forms_of_the_universal_inverted_bottleneck(start, middle, expected):
    block = UniversalInvertedBottleneck(
        out_channels=24, expanded_channels=16, start_kernel_size=start, middle_kernel_size=middle
    )
    graph = emit(block)
    assert names(graph) == expected
    activations = {node.name: node.spec.activation for node in graph.nodes}
    assert activations == {name: "relu" if name in ("expand", "middle") else "none" for name in expected}


def test_the_first_depthwise_convolution_has_the_stride_only_without_a_middle_one():
    both = emit(UniversalInvertedBottleneck(out_channels=8, expanded_channels=32, start_kernel_size=3, stride=2))
    assert [node.spec.stride[0] for node in both.nodes] == [1, 1, 2, 1]
    block = UniversalInvertedBottleneck(
        out_channels=8, expanded_channels=32, start_kernel_size=3, middle_kernel_size=0, stride=2
    )
    assert [node.spec.stride[0] for node in emit(block).nodes] == [2, 1, 1]
    with pytest.raises(InputError, match="stride: 2 is not accepted"):
        UniversalInvertedBottleneck(out_channels=8, expanded_channels=32, middle_kernel_size=0, stride=2)


def test_mixed_kernels_get_equal_channels_and_the_first_the_rest():
    graph = emit(MixedMBConv(out_channels=8, kernel_sizes=(3, 5, 7)))
    slices = [(node.first_channel, node.spec.out_channels) for node in graph.nodes if node.spec.kind == "slice"]
    assert slices == [(0, 6), (6, 5), (11, 5)]
    depthwise = [node.spec.kernel_size[0] for node in graph.nodes if node.spec.kind == "depthwise_conv2d"]
    assert depthwise == [3, 5, 7]
    assert names(emit(MixedMBConv(out_channels=8, kernel_sizes=(5,)))) == ["depthwise", "project"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kernel_sizes": ()}, "kernel_sizes"),
        ({"kernel_sizes": (3, 4)}, "kernel_size: 4"),
        ({"kernel_sizes": (3,) * 17}, "kernel_sizes"),
        ({"project_groups": 3}, "project_groups: 3 is not accepted; give a number that divides 16 and 8"),
        ({"expanded_channels": 30, "expand_groups": 4}, "expand_groups: 4 .* divides 16 and 30"),
    ],
)
def test_mixed_kernels_that_cannot_be(settings, message):
    with pytest.raises(InputError, match=message):
        emit(MixedMBConv(out_channels=8, **settings))


def test_more_kernel_sizes_than_channels_are_refused():
    with pytest.raises(InputError, match="one for each of the 2 channels"):
        emit(MixedMBConv(out_channels=8, kernel_sizes=(3, 5, 7)), (4, 4, 2))


def test_pool_linear_by_hand():
    graph = emit_head(PoolLinear(dropout=0.1))
    assert names(graph) == ["pool", "classifier"]
    assert (graph.params, graph.nodes[-1].dropout) == (16 * 10 + 10, 0.1)


def test_pool_conv_linear_with_batch_norm_has_it_behind_the_pool():
    head = PoolConvLinear(expanded_channels=64, out_channels=32, activation="relu", bias=False, batch_norm=True)
    graph = emit_head(head)
    assert graph.params == (16 * 64 + 128) + (64 * 32 + 64) + (32 * 10 + 10)


def test_conv_bn_act_is_never_residual():
    assert names(emit(ConvBnAct(out_channels=16))) == ["conv"]


def test_blocks_from_ratios_round_as_the_papers_do():
    block = MBConv.from_ratios(in_channels=40, out_channels=80, expand_ratio=6, se_ratio=0.25)
    assert (block.expanded_channels, block.se_channels) == (240, 10)
    assert MBConv.from_ratios(in_channels=40, out_channels=80, expand_ratio=1).expanded_channels == 0
    assert MBConv.from_ratios(in_channels=3, out_channels=8, expand_ratio=1, se_ratio=0.25).se_channels == 1
    assert DepthwiseSeparable.from_ratios(in_channels=32, out_channels=16, se_ratio=0.25).se_channels == 8


def test_make_divisible_never_loses_more_than_a_tenth():
    assert [make_divisible(value) for value in (1, 12, 24, 30, 32 * 0.35, 36 * 0.5, 100)] == [
        8,
        16,
        24,
        32,
        16,
        24,
        104,
    ]


def test_conv_pool_linear_by_hand():
    graph = emit_head(ConvPoolLinear(out_channels=64, dropout=0.2))
    assert names(graph) == ["conv", "pool", "classifier"]
    assert graph.params == 16 * 64 + 128 + 64 * 10 + 10
    assert graph.macs == 49 * 1024 + 640
    assert graph.value_shapes[-1] == (1, 1, 10)
    assert graph.nodes[-1].dropout == 0.2


@pytest.mark.parametrize(("bias", "params"), [(True, 32), (False, 0)])
def test_pool_conv_linear_by_hand(bias, params):
    graph = emit_head(PoolConvLinear(expanded_channels=64, out_channels=32, activation="relu", bias=bias))
    assert names(graph) == ["conv", "pool", "expand", "classifier"]
    assert graph.params == (16 * 64 + 128) + (64 * 32 + params) + (32 * 10 + 10)
    assert graph.macs == 49 * 1024 + 2048 + 320
    assert graph.nodes[2].batch_norm is None
