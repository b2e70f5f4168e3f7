"""MobileNetV4-Conv Small, Medium and Large.

Source: Qin et al., arXiv 2404.10518, tables 11 to 13 (networks), table 5 (figures); the authors' reference,
github.com/tensorflow/models official/vision/modeling/backbones/mobilenet.py.
Published figures: as they are generally quoted; they were not compared with the paper.
Differs from the paper: nothing.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.fused_mbconv import FusedMBConv
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.universal_inverted_bottleneck import UniversalInvertedBottleneck
from mobilenas.models.published import Published

Row = tuple[int, int, int, int]

# first and middle kernel size (0: none), expand ratio, layers; the first layer of a stage has stride 2
SMALL: tuple[tuple[int, tuple[Row, ...]], ...] = (
    (96, ((5, 5, 3, 1), (0, 3, 2, 4), (3, 0, 4, 1))),
    (128, ((3, 3, 6, 1), (5, 5, 4, 1), (0, 5, 4, 1), (0, 5, 3, 1), (0, 3, 4, 2))),
)
MEDIUM: tuple[tuple[int, tuple[Row, ...]], ...] = (
    (80, ((3, 5, 4, 1), (3, 3, 2, 1))),
    (160, ((3, 5, 6, 1), (3, 3, 4, 2), (3, 5, 4, 1), (3, 3, 4, 1), (3, 0, 4, 1), (0, 0, 2, 1), (3, 0, 4, 1))),
    (
        256,
        (
            (5, 5, 6, 1),
            (5, 5, 4, 1),
            (3, 5, 4, 2),
            (0, 0, 4, 1),
            (3, 0, 4, 1),
            (3, 5, 2, 1),
            (5, 5, 4, 1),
            (0, 0, 4, 2),
            (5, 0, 2, 1),
        ),
    ),
)
LARGE: tuple[tuple[int, tuple[Row, ...]], ...] = (
    (96, ((3, 5, 4, 1), (3, 3, 4, 1))),
    (192, ((3, 5, 4, 1), (3, 3, 4, 3), (3, 5, 4, 1), (5, 3, 4, 5), (3, 0, 4, 1))),
    (512, ((5, 5, 4, 4), (5, 0, 4, 1), (5, 3, 4, 1), (5, 0, 4, 2), (5, 3, 4, 1), (5, 5, 4, 1), (5, 0, 4, 3))),
)
FUSED = (FusedMBConv(out_channels=48, stride=2, expanded_channels=128),)
FUSED_LARGE = (FusedMBConv(out_channels=48, stride=2, expanded_channels=96),)
CONVOLUTIONS: tuple[tuple[Block, ...], ...] = (
    (ConvBnAct(out_channels=32, stride=2), ConvBnAct(out_channels=32, kernel_size=1)),
    (ConvBnAct(out_channels=96, stride=2), ConvBnAct(out_channels=64, kernel_size=1)),
)


def _stages(channels: int, rows: tuple[tuple[int, tuple[Row, ...]], ...]) -> tuple[tuple[Block, ...], ...]:
    stages = []
    for out_channels, layers in rows:
        stage: list[Block] = []
        for start, middle, expand_ratio, count in layers:
            for _ in range(count):
                stage.append(
                    UniversalInvertedBottleneck(
                        out_channels=out_channels,
                        expanded_channels=channels * expand_ratio,
                        start_kernel_size=start,
                        middle_kernel_size=middle,
                        stride=1 if stage else 2,
                    )
                )
                channels = out_channels
        stages.append(tuple(stage))
    return tuple(stages)


def _mobilenet_v4(name: str, stem: int, stages: tuple[tuple[Block, ...], ...], resolution: int) -> Arch:
    head = PoolConvLinear(
        expanded_channels=960, out_channels=1280, activation="relu", bias=False, batch_norm=True, dropout=0.2
    )
    return Arch(stem=ConvBnAct(out_channels=stem, stride=2), stages=stages, head=head, resolution=resolution, name=name)


def mobilenet_v4_conv_small() -> Arch:
    """MobileNetV4-Conv-S."""
    return _mobilenet_v4("mobilenet_v4_conv_small", 32, CONVOLUTIONS + _stages(64, SMALL), 224)


def mobilenet_v4_conv_medium() -> Arch:
    """MobileNetV4-Conv-M."""
    return _mobilenet_v4("mobilenet_v4_conv_medium", 32, (FUSED, *_stages(48, MEDIUM)), 256)


def mobilenet_v4_conv_large() -> Arch:
    """MobileNetV4-Conv-L."""
    return _mobilenet_v4("mobilenet_v4_conv_large", 24, (FUSED_LARGE, *_stages(48, LARGE)), 384)


_TABLE = "arXiv 2404.10518, table 5"
NETWORKS = {
    "mobilenet_v4_conv_small": Published(
        build=mobilenet_v4_conv_small,
        params=3_774_024,
        params_millions=3.8,
        macs_millions=200,
        macs_step_millions=100,
        top1=0.738,
        source=_TABLE,
        second="timm.mobilenetv4_conv_small",
    ),
    "mobilenet_v4_conv_medium": Published(
        build=mobilenet_v4_conv_medium,
        params=9_715_512,
        params_millions=9.2,
        macs_millions=1000,
        macs_step_millions=100,
        top1=0.799,
        source=_TABLE,
        second="timm.mobilenetv4_conv_medium",
        params_remark="the paper gives 9.2 M params; the authors' reference, ours and timm's have 9.7 M",
        macs_remark="the paper gives 1.0 G MACs; these have 1.08 G",
    ),
    "mobilenet_v4_conv_large": Published(
        build=mobilenet_v4_conv_large,
        params=32_590_864,
        params_millions=31,
        params_step_millions=1,
        macs_millions=5900,
        macs_step_millions=100,
        top1=0.829,
        source=_TABLE,
        second="timm.mobilenetv4_conv_large",
        params_remark="the paper gives 31 M params; the authors' reference, ours and timm's have 32.6 M",
        macs_remark="the paper gives 5.9 G MACs; these have 6.38 G",
    ),
}
