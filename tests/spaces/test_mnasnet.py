import itertools
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.mbconv import MBConv
from mobilenas.graph import OpKind, OpSpec
from mobilenas.spaces import Choice, Genotype
from mobilenas.spaces.mnasnet import MnasNetSpace

SPACE = MnasNetSpace()
MOBILENET_V2 = {
    f"stage{i}.{decision}": value
    for i, (filters, layers) in enumerate(((16, 1), (24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1)), 1)
    for decision, value in {
        "conv_op": "depthwise_separable" if i == 1 else "mbconv6",
        "kernel_size": 3,
        "se_ratio": 0.0,
        "skip": "identity",
        "out_channels": filters,
        "layers": layers,
    }.items()
}


def decoded(**changes: Choice) -> Arch:
    """MobileNetV2 with decisions changed: `stage3_out_channels=40`."""
    return SPACE.decode(SPACE.encode(MOBILENET_V2 | {k.replace("_", ".", 1): v for k, v in changes.items()}))


def test_size_is_that_of_the_choices() -> None:
    # conv op, kernel, SE, skip: 4 * 2 * 2 * 3; filters 12 and 18 round to the base's 16 and 24; no block has 0 layers
    combinations = 48
    filters, layers = (2, 2, 3, 3, 3, 3, 3), (2, 3, 3, 3, 3, 3, 2)
    assert SPACE.size == combinations**7 * np.prod(filters, dtype=object) * np.prod(layers, dtype=object)
    assert SPACE.size == 554_652_776_685_109_248


def test_choices_are_those_around_mobilenet_v2() -> None:
    assert list(SPACE.decisions)[:6] == [
        f"stage1.{name}" for name in ("conv_op", "kernel_size", "se_ratio", "skip", "out_channels", "layers")
    ]
    assert [SPACE.decisions[f"stage{i}.out_channels"] for i in range(1, 8)] == [
        (16, 24),
        (24, 32),
        (24, 32, 40),
        (48, 64, 80),
        (72, 96, 120),
        (120, 160, 200),
        (240, 320, 400),
    ]
    assert [SPACE.decisions[f"stage{i}.layers"] for i in (1, 2, 4, 7)] == [(1, 2), (1, 2, 3), (3, 4, 5), (1, 2)]


def test_the_base_is_mobilenet_v2() -> None:
    # the published network has relu6 and symmetric padding, which change neither count
    published = models.get("mobilenet_v2").graph()
    assert decoded().graph().params == published.params == 3_504_872
    assert decoded().graph().macs == published.macs


@given(seed=st.integers(0, 2**32 - 1), resolution=st.sampled_from((32, 96, 224)), classes=st.integers(2, 1000))
@settings(max_examples=200, deadline=None)
def test_factors_add_up_to_the_graph(seed: int, resolution: int, classes: int) -> None:
    space = MnasNetSpace(resolution=resolution, num_classes=classes)
    genotype = space.sample(np.random.default_rng(seed))
    total: Counter[OpSpec] = Counter()
    for factor in space.factors():
        total.update(factor.ops(tuple(genotype[d] for d in factor.decisions)))
    assert total == space.decode(genotype).graph().op_counts()


def test_one_factor_a_block_with_the_filters_before_it() -> None:
    stem, first, second, *_, head = SPACE.factors()
    assert stem.decisions == ()
    assert first.decisions == (0, 1, 2, 3, 4, 5)
    assert second.decisions == (4, 6, 7, 8, 9, 10, 11)
    assert head.decisions == (40,)
    assert [spec.kind for spec in head.ops((0,))] == [OpKind.CONV2D, OpKind.MEAN, OpKind.FULLY_CONNECTED]


def test_all_factors_are_tabulated_in_two_seconds() -> None:
    space = MnasNetSpace(resolution=208)
    start = time.perf_counter()
    rows = 0
    for factor in space.factors():
        for choices in itertools.product(*(range(space.sizes[d]) for d in factor.decisions)):
            rows += bool(factor.ops(choices))
    assert rows == 1 + 192 + 48 * (2 * 6 + 2 * 9 + 3 * 9 * 3 + 3 * 6) + 3
    assert time.perf_counter() - start < 2


def test_a_table_of_the_space_is_small() -> None:
    assert len(SPACE.distinct_ops()) == 825


def test_a_block_of_every_kind() -> None:
    assert decoded(stage3_conv_op="conv", stage3_kernel_size=5, stage3_layers=2).stages[2] == (
        ConvBnAct(out_channels=32, kernel_size=5, stride=2),
        ConvBnAct(out_channels=32, kernel_size=5),
    )
    assert decoded(stage3_conv_op="depthwise_separable", stage3_se_ratio=0.25, stage3_layers=2).stages[2] == (
        DepthwiseSeparable(out_channels=32, stride=2, se_channels=6),
        DepthwiseSeparable(out_channels=32, se_channels=8),
    )
    assert decoded(stage3_conv_op="mbconv3", stage3_skip="none", stage3_layers=2).stages[2] == (
        MBConv(out_channels=32, stride=2, expanded_channels=72, residual=False),
        MBConv(out_channels=32, expanded_channels=96, residual=False),
    )


@pytest.mark.parametrize(("skip", "additions", "pools"), [("none", 0, 0), ("identity", 3, 0), ("pool", 3, 3)])
def test_layers_of_stride_1_have_the_skip(skip: str, additions: int, pools: int) -> None:
    graph = decoded(stage4_skip=skip).graph()
    kinds = Counter(node.spec.kind for node in graph.nodes if node.name.startswith("stages.3."))
    assert kinds[OpKind.ADD] == additions
    assert kinds[OpKind.MAX_POOL2D] == pools


def test_a_pooling_skip_follows_the_stride_where_channels_agree() -> None:
    graph = decoded(stage1_out_channels=24, stage2_skip="pool", stage2_layers=1).graph()
    (pool,) = (node.spec for node in graph.nodes if node.spec.kind is OpKind.MAX_POOL2D)
    assert (pool.in_shapes, pool.stride, pool.kernel_size) == (((112, 112, 24),), (2, 2), (3, 3))


@pytest.mark.parametrize("decision", ["skip", "se_ratio"])
def test_a_regular_convolution_has_neither_skip_nor_squeeze(decision: str) -> None:
    values = SPACE.decisions[f"stage4.{decision}"]
    networks = {decoded(**{"stage4_conv_op": "conv", f"stage4_{decision}": value}).canonical for value in values}
    assert len(networks) == 1


def test_resolution_and_classes_are_those_given() -> None:
    arch = MnasNetSpace(resolution=96, num_classes=7).decode(genotype := tuple(0 for _ in SPACE.sizes))
    assert (arch.resolution, arch.num_classes) == (96, 7)
    assert arch.graph().value_shapes[-1] == (1, 1, 7)
    assert arch.name == "mnasnet-" + "".join(map(str, genotype))


def test_names_tell_networks_apart() -> None:
    rng = np.random.default_rng(0)
    genotypes: set[Genotype] = {SPACE.sample(rng) for _ in range(100)}
    assert len({SPACE.decode(genotype).name for genotype in genotypes}) == len(genotypes)
