"""Foreign tables of blocks: small ones by hand, and the published sums from the real ones."""

import os
from pathlib import Path

import pytest
from damage import assert_damage_is_named

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import BlockKey, LatencyPredictor, LatencyTable, imported_table
from mobilenas.latency.block_file import read_block_file
from mobilenas.runners import Device

TEST_DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
PIXEL1, NOTE10 = TEST_DATA / "pixel1_lut" / "mobile_trim.yaml", TEST_DATA / "note10_lut"
PHONE = Device(name="phone", runner="none")

PROXYLESS = """
Conv-input:32x32x3-output:16x16x8:
  count: 100
  mean: 0.5
  var: 0.0004
expanded_conv-input:16x16x8-output:16x16x8-expand:3-kernel:5-stride:1-idskip:1:
  mean: 1.25
Logits-input:16x16x8-output:10:
  mean: 0.125
"""
ONCE_FOR_ALL = """
Conv-input:32x32x3-output:16x16x8:
  count: 40
  mean: 0.5
  std: 0.02
'expanded_conv-input:16x16x8-output:8x8x16-expand:24-kernel:3-stride:2-idskip:0-se:1-hs:1':
  mean: 2.0
expanded_conv-input:8x8x16-output:8x8x16-expand:48-kernel:3-stride:1-idskip:1-se:0-hs:0:
  mean: 1.0
Conv_1-input:8x8x16-output:8x8x32:   # a comment
  mean: 0.25
AvgPool2D-input:8x8x32-output:1x1x32:
  mean: 0.0625
Conv_2-input:1x1x32-output:1x1x64:
  mean: 0.03125
Logits-input:1x1x64-output:10:
  mean: 0.015625
"""


@pytest.fixture
def proxyless(tmp_path):
    path = tmp_path / "proxyless.yaml"
    path.write_text(PROXYLESS)
    return path


@pytest.fixture
def once_for_all(tmp_path):
    path = tmp_path / "once_for_all.yaml"
    path.write_text(ONCE_FOR_ALL)
    return path


def kinds(key):
    return [op.kind.value for op in (key.ops if isinstance(key, BlockKey) else (key,))]


def test_proxyless_blocks(proxyless):
    stem, block, logits = read_block_file(proxyless)
    relu6, relu = stem.keys
    assert relu6 == OpSpec(OpKind.CONV2D, ((32, 32, 3),), 8, (3, 3), (2, 2), activation="relu6")
    assert relu.activation == "relu"
    assert (stem.measurement.latency_us, stem.measurement.spread_us, stem.measurement.runs) == (500.0, 20.0, 100)
    assert kinds(block.keys[0]) == ["conv2d", "depthwise_conv2d", "conv2d", "add"]
    assert block.keys[0].ops[0].out_channels == 24  # a ratio of three
    assert block.keys[0].ops[1].kernel_size == (5, 5)
    assert kinds(logits.keys[0]) == ["mean", "fully_connected"]
    assert len(logits.keys) == 1


def test_once_for_all_blocks(once_for_all):
    entries = read_block_file(once_for_all)
    assert kinds(entries[0].keys[0]) == ["conv2d", "hard_swish"]
    assert entries[0].measurement.spread_us == pytest.approx(20)
    squeezed = entries[1].keys[0]
    assert kinds(squeezed)[:3] == ["conv2d", "hard_swish", "depthwise_conv2d"]
    assert kinds(squeezed)[-2:] == ["mul", "conv2d"]
    assert squeezed.ops[0].out_channels == 24  # a count of channels
    assert [op.out_channels for op in squeezed.ops if op.in_shapes[0][:2] == (1, 1)][:2] == [8, 24]  # 24 // 4, to 8
    assert [key.ops[0].activation for key in entries[2].keys] == ["relu", "relu6"]
    assert [kinds(entry.keys[0]) for entry in entries[3:]] == [
        ["conv2d", "hard_swish"],
        ["mean"],
        ["conv2d", "hard_swish"],
        ["fully_connected"],
    ]


def test_a_network_is_the_plain_sum_of_its_blocks(once_for_all):
    block = {"se_gate": "hard_sigmoid", "kernel_size": 3}
    network = Arch(
        stem=ConvBnAct(out_channels=8, stride=2, activation="hard_swish"),
        stages=(
            (
                MBConv(
                    out_channels=16, stride=2, expanded_channels=24, se_channels=8, activation="hard_swish", **block
                ),
                MBConv(out_channels=16, expanded_channels=48, activation="relu", **block),
                MBConv(out_channels=16, expanded_channels=48, activation="relu6", **block),
            ),
        ),
        head=PoolConvLinear(expanded_channels=32, out_channels=64, bias=False),
        resolution=32,
        num_classes=10,
    )
    latency = LatencyPredictor(imported_table(PHONE, [once_for_all])).predict(network.graph())
    assert latency.ms == pytest.approx(0.5 + 2.0 + 2 * 1.0 + 0.25 + 0.0625 + 0.03125 + 0.015625)
    assert latency.unmeasured == ()


def test_what_two_files_have_is_the_mean_over_their_runs(tmp_path, proxyless):
    other = tmp_path / "other.yaml"
    other.write_text("Conv-input:32x32x3-output:16x16x8:\n  count: 300\n  mean: 0.9\n")
    table = imported_table(PHONE, [proxyless, other])
    stem = OpSpec(OpKind.CONV2D, ((32, 32, 3),), 8, (3, 3), (2, 2), activation="relu6")
    assert table[stem].latency_us == pytest.approx((100 * 500 + 300 * 900) / 400)
    assert table[stem].runs == 400
    assert (table.info.method, table.info.source) == ("imported", "proxyless.yaml, other.yaml")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mean: 1.25", "mean: -1.25", r"line 6: .*mean '-1.25'"),
        ("mean: 1.25", "mean: 0", r"line 6: .*above 0"),
        ("mean: 1.25", "mean: soon", r"line 6: .*mean 'soon'"),
        ("mean: 1.25", "median: 1.25", r"line 6: .*field 'mean' is missing"),
        ("mean: 1.25", "mean", r"line 7: '  mean' is not accepted"),
        ("count: 100", "count: nan", r"line 2: .*count 'nan'"),
        ("expanded_conv", "folded_conv", r"line 6: .*kind 'folded_conv' is not known"),
        ("-kernel:5", "", r"line 6: .*field 'kernel' is missing"),
        ("kernel:5", "kernel:4", r"line 6: .*kernel_size"),
        ("kernel:5", "kernel:$(reboot)", r"line 6: .*kernel '\$\(reboot\)' is not accepted"),
        ("output:16x16x8", "output:0x0x8", r"line 2: .*size '0x0x8' is not accepted; give whole numbers above 0"),
        ("input:16x16x8-output:16x16x8", "input:16x16-output:16x16x8", r"line 6"),
        ("input:16x16x8-output:16x16x8", "input:16;16;8-output:16x16x8", r"line 6: .*size '16;16;8'"),
        ("Logits-input:16x16x8-output:10:", "Logits-input:16x16x8-output:10", r"line 8: .*give NAME:"),
        ("Logits-input:16x16x8-output:10:", "Conv-input:32x32x3-output:16x16x8:", r"line 8: .*stands there twice"),
    ],
)
def test_damage_is_named_with_its_line(proxyless, old, new, message):
    assert_damage_is_named(read_block_file, proxyless, old, new, message)


@pytest.mark.parametrize("text", ["", "# nothing\n---\n"])
def test_a_file_without_entries_is_refused(proxyless, text):
    proxyless.write_text(text)
    with pytest.raises(InputError, match="holds no entries"):
        read_block_file(proxyless)


def test_every_truncation_is_refused_or_a_shorter_valid_table(proxyless):
    for length in range(0, len(PROXYLESS), 5):
        proxyless.write_text(PROXYLESS[:length])
        try:
            entries = read_block_file(proxyless)
        except InputError:
            continue
        assert len(entries) <= 3


@pytest.mark.skipif(not PIXEL1.exists(), reason="set MOBILENAS_TEST_DATA to a folder with pixel1_lut/")
def test_mnasnet_b1_from_the_pixel1_blocks_is_82_91_ms(tmp_path):
    path = tmp_path / "pixel1_blocks.float32.csv"
    imported_table(PHONE, [PIXEL1]).save(path)
    latency = LatencyPredictor(LatencyTable.load(path)).predict(models.get("mnasnet_b1").graph())
    assert latency.ms == pytest.approx(82.91, abs=0.005)
    assert latency.unmeasured == ()


@pytest.mark.skipif(not NOTE10.exists(), reason="set MOBILENAS_TEST_DATA to a folder with note10_lut/")
@pytest.mark.parametrize("resolution", [160, 224])
def test_note10_sums_are_additive(resolution):
    file = NOTE10 / f"{resolution}_lookup_table.yaml"
    means_ms = {entry.name: entry.measurement.latency_us / 1e3 for entry in read_block_file(file)}
    network, wanted_ms = _once_for_all_network(resolution, means_ms)
    latency = LatencyPredictor(imported_table(PHONE, [file])).predict(network.graph())
    assert latency.unmeasured == ()
    assert latency.ms == pytest.approx(wanted_ms, rel=1e-9)


def _once_for_all_network(resolution, means_ms):
    """A network of Once-for-All at width 1.2, and the sum of what the file says of its blocks."""
    # channels, layers, stride, squeeze-and-excitation, h-swish, expand ratio, kernel size
    rows = ((32, 2, 2, 0, 0, 3, 3), (48, 3, 2, 1, 0, 4, 5), (96, 2, 2, 0, 1, 6, 7), (136, 4, 1, 1, 1, 3, 3))
    rows += ((192, 2, 2, 1, 1, 6, 5),)
    size, channels = resolution // 2, 24
    total = means_ms[f"Conv-input:{resolution}x{resolution}x3-output:{size}x{size}x24"]
    total += means_ms[
        f"expanded_conv-input:{size}x{size}x24-output:{size}x{size}x24-expand:24-kernel:3-stride:1-idskip:1-se:0-hs:0"
    ]
    stages = [(MBConv(out_channels=24, activation="relu"),)]
    for out, layers, first_stride, squeeze, swish, ratio, kernel in rows:
        stage = []
        for layer in range(layers):
            stride, after = (first_stride, size // first_stride) if layer == 0 else (1, size)
            skip = int(stride == 1 and channels == out)
            total += means_ms[
                f"expanded_conv-input:{size}x{size}x{channels}-output:{after}x{after}x{out}-expand:{ratio * channels}"
                f"-kernel:{kernel}-stride:{stride}-idskip:{skip}-se:{squeeze}-hs:{swish}"
            ]
            expanded = ratio * channels
            stage.append(
                MBConv(
                    out_channels=out,
                    kernel_size=kernel,
                    stride=stride,
                    expanded_channels=expanded,
                    se_channels=max(8, (expanded // 4 + 4) // 8 * 8) if squeeze else 0,
                    se_gate="hard_sigmoid",
                    activation="hard_swish" if swish else "relu",
                )
            )
            size, channels = after, out
        stages.append(tuple(stage))
    total += means_ms[f"Conv_1-input:{size}x{size}x192-output:{size}x{size}x1152"]
    total += means_ms[f"AvgPool2D-input:{size}x{size}x1152-output:1x1x1152"]
    total += means_ms["Conv_2-input:1x1x1152-output:1x1x1536"] + means_ms["Logits-input:1x1x1536-output:1000"]
    head = PoolConvLinear(expanded_channels=1152, out_channels=1536, bias=False)
    stem = ConvBnAct(out_channels=24, stride=2, activation="hard_swish")
    return Arch(stem=stem, stages=tuple(stages), head=head, resolution=resolution), total
