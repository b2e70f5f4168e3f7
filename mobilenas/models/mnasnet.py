"""MnasNet A1 and B1.

Source: Tan et al., arXiv 1807.11626, figure 7 (A1) and table 1 (figures); B1: the authors' reference implementation,
github.com/tensorflow/tpu models/official/mnasnet.
Differs from the paper: nothing; its SE ratio of 0.25 is of the layer's input, as in the reference.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.models.published import Published

Row = tuple[int, int, int, int, int, float]

# expand ratio, kernel size, stride of the first layer, channels, layers, SE ratio of the layer's input
A1: tuple[Row, ...] = (
    (6, 3, 2, 24, 2, 0),
    (3, 5, 2, 40, 3, 0.25),
    (6, 3, 2, 80, 4, 0),
    (6, 3, 1, 112, 2, 0.25),
    (6, 5, 2, 160, 3, 0.25),
    (6, 3, 1, 320, 1, 0),
)
B1: tuple[Row, ...] = (
    (3, 3, 2, 24, 3, 0),
    (3, 5, 2, 40, 3, 0),
    (6, 5, 2, 80, 3, 0),
    (6, 3, 1, 96, 2, 0),
    (6, 5, 2, 192, 4, 0),
    (6, 3, 1, 320, 1, 0),
)


def _mnasnet(name: str, rows: tuple[Row, ...]) -> Arch:
    channels = 16
    stages: list[tuple[Block, ...]] = [(DepthwiseSeparable(out_channels=channels),)]
    for expand_ratio, kernel_size, stride, out_channels, layers, se_ratio in rows:
        stage = []
        for layer in range(layers):
            stage.append(
                MBConv.from_ratios(
                    in_channels=channels,
                    out_channels=out_channels,
                    expand_ratio=expand_ratio,
                    se_ratio=se_ratio,
                    kernel_size=kernel_size,
                    stride=stride if layer == 0 else 1,
                )
            )
            channels = out_channels
        stages.append(tuple(stage))
    stem = ConvBnAct(out_channels=32, stride=2)
    return Arch(stem=stem, stages=tuple(stages), head=ConvPoolLinear(dropout=0.2), name=name)


def mnasnet_a1() -> Arch:
    """MnasNet-A1, with squeeze-and-excitation."""
    return _mnasnet("mnasnet_a1", A1)


def mnasnet_b1() -> Arch:
    """MnasNet-B1, without."""
    return _mnasnet("mnasnet_b1", B1)


NETWORKS = {
    "mnasnet_a1": Published(
        build=mnasnet_a1,
        params=3_887_038,
        params_millions=3.9,
        macs_millions=312,
        top1=0.752,
        source="arXiv 1807.11626, table 1",
    ),
    "mnasnet_b1": Published(
        build=mnasnet_b1,
        params=4_383_312,
        params_millions=4.4,
        macs_millions=315,
        top1=0.745,
        source="arXiv 1807.11626, study of squeeze-and-excitation (without)",
    ),
}
