"""The spaces against what was published of them."""

import csv
import os
from itertools import pairwise
from pathlib import Path

import pytest

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.graph import OpKind
from mobilenas.spaces.efficientnet import EfficientNetSpace
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace
from mobilenas.spaces.mobilenet_v3 import MobileNetV3Space

TEST_DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
PROXY = TEST_DATA / "imagenet_proxy" / "train.csv"
NOTE10 = TEST_DATA / "note10_lut"


def test_efficientnet_b0_is_in_its_space() -> None:
    space = EfficientNetSpace()
    genotype = space.find(models.get("efficientnet_b0"))
    assert genotype is not None
    assert space.decode(genotype).graph().params == 5_288_548
    chosen = space.choices(genotype)
    assert [chosen[f"stage{i}.conv_op"] for i in range(1, 8)] == ["mbconv1", *["mbconv6"] * 6]
    assert [chosen[f"stage{i}.layers"] for i in range(1, 8)] == [1, 2, 2, 3, 3, 4, 1]


def test_mnasnet_proxy_has_as_many_networks_as_accel_nasbench() -> None:
    # six blocks of 3 expansions, 2 kernels, 3 numbers of layers, with or without SE; one of 4 numbers of layers
    assert MnasNetProxySpace().size == 36**6 * 48 == 104_485_552_128


@pytest.mark.skipif(not PROXY.exists(), reason="set MOBILENAS_TEST_DATA to a folder with imagenet_proxy/")
def test_accel_nasbench_counts_the_parameters_of_our_networks() -> None:
    space = MnasNetProxySpace()
    with PROXY.open() as file:
        rows = list(csv.DictReader(file))[::100]
    for row in rows:
        choices = {}
        for i in range(7):
            choices[f"stage{i + 1}.conv_op"] = f"mbconv{row[f'block{i}_e']}"
            choices[f"stage{i + 1}.kernel_size"] = int(row[f"block{i}_k"])
            choices[f"stage{i + 1}.se_ratio"] = 0.25 * int(row[f"block{i}_se"])
            choices[f"stage{i + 1}.layers"] = int(row[f"block{i}_l"])
        arch = space.decode(space.encode(choices))
        assert arch.graph().params == round(float(row["params_M"]) * 1e6)
        assert published_macs(arch) == round(float(row["macs_M"]) * 1e6)


def published_macs(arch: Arch) -> int:
    """Multiply-adds, 4 for every output of a batch norm, 1 for every input and output of a pooling."""
    graph, total = arch.graph(), arch.graph().macs
    for node in graph.nodes:
        height, width, channels = node.spec.in_shapes[0]
        if node.batch_norm:
            out = node.spec.out_shape
            total += 4 * out[0] * out[1] * out[2]
        if node.spec.kind is OpKind.MEAN:
            total += height * width * channels + channels
    return total


@pytest.mark.skipif(not NOTE10.exists(), reason="set MOBILENAS_TEST_DATA to a folder with note10_lut/")
@pytest.mark.parametrize("resolution", [160, 224])
def test_once_for_all_timed_exactly_the_blocks_of_our_space(resolution: int) -> None:
    lines = (NOTE10 / f"{resolution}_lookup_table.yaml").read_text().splitlines()
    timed = {line.rstrip(":") for line in lines if line.startswith("expanded_conv")}
    space = MobileNetV3Space(resolution=resolution)
    blocks = set()
    for conv_op in ("mbconv3", "mbconv4", "mbconv6"):
        for kernel_size in (3, 5, 7):
            wanted = {"conv_op": conv_op, "kernel_size": kernel_size, "layers": 4, "width_multiplier": 1.2}
            genotype = space.encode({name: wanted[name.rpartition(".")[2]] for name in space.decisions})
            blocks |= set(keys(space.decode(genotype)))
    assert blocks == timed
    assert len(blocks) == 1 + 9 * 10


def keys(arch: Arch) -> list[str]:
    """What Once-for-All's table calls the blocks of a network."""
    graph = arch.graph()
    found = []
    for before, span in pairwise(graph.spans):
        if not span.name.startswith("stages"):
            continue
        x = graph.nodes[before.stop - 1].spec.out_shape
        specs = [node.spec for node in graph.nodes[span.start : span.stop]]
        (depthwise,) = (spec for spec in specs if spec.kind is OpKind.DEPTHWISE_CONV2D)
        out = specs[-1].out_shape
        kinds = {spec.kind for spec in specs}
        shapes = ("x".join(map(str, shape)) for shape in (x, out))
        found.append(
            "expanded_conv-input:{}-output:{}".format(*shapes)
            + f"-expand:{depthwise.out_channels}-kernel:{depthwise.kernel_size[0]}-stride:{depthwise.stride[0]}"
            + f"-idskip:{int(OpKind.ADD in kinds)}-se:{int(OpKind.MEAN in kinds)}"
            + f"-hs:{int(any(spec.kind is OpKind.HARD_SWISH for spec in specs))}"
        )
    return found
