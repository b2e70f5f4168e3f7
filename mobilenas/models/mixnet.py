"""MixNet-S and MixNet-M.

Source: Tan and Le, arXiv 1907.09595, figure 5 (networks), table 2 (figures); groups of the pointwise convolutions: the
authors' reference, github.com/tensorflow/tpu models/official/mnasnet/mixnet.
Published figures: as they are generally quoted; they were not compared with the paper.
Differs from the paper: nothing.
"""

from typing import NamedTuple

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mixed_mbconv import MixedMBConv
from mobilenas.models.published import Published


class Row(NamedTuple):
    """Layers alike; the first layer of a stage has the stride, and its activation is silu where it has SE."""

    kernel_sizes: tuple[int, ...]
    expand_ratio: int
    layers: int = 1
    se_ratio: float = 0.0
    expand_groups: int = 1
    project_groups: int = 1


# channels, stride, layers
S: tuple[tuple[int, int, tuple[Row, ...]], ...] = (
    (24, 2, (Row((3,), 6, 1, 0, 2, 2), Row((3,), 3, 1, 0, 2, 2))),
    (40, 2, (Row((3, 5, 7), 6, 1, 0.5), Row((3, 5), 6, 3, 0.5, 2, 2))),
    (80, 2, (Row((3, 5, 7), 6, 1, 0.25, 1, 2), Row((3, 5), 6, 2, 0.25, 1, 2))),
    (120, 1, (Row((3, 5, 7), 6, 1, 0.5, 2, 2), Row((3, 5, 7, 9), 3, 2, 0.5, 2, 2))),
    (200, 2, (Row((3, 5, 7, 9, 11), 6, 1, 0.5), Row((3, 5, 7, 9), 6, 2, 0.5, 1, 2))),
)
M: tuple[tuple[int, int, tuple[Row, ...]], ...] = (
    (32, 2, (Row((3, 5, 7), 6, 1, 0, 2, 2), Row((3,), 3, 1, 0, 2, 2))),
    (40, 2, (Row((3, 5, 7, 9), 6, 1, 0.5), Row((3, 5), 6, 3, 0.5, 2, 2))),
    (80, 2, (Row((3, 5, 7), 6, 1, 0.25), Row((3, 5, 7, 9), 6, 3, 0.25, 2, 2))),
    (120, 1, (Row((3,), 6, 1, 0.5), Row((3, 5, 7, 9), 3, 3, 0.5, 2, 2))),
    (200, 2, (Row((3, 5, 7, 9), 6, 1, 0.5), Row((3, 5, 7, 9), 6, 3, 0.5, 1, 2))),
)


def _mixnet(name: str, channels: int, rows: tuple[tuple[int, int, tuple[Row, ...]], ...]) -> Arch:
    stem = ConvBnAct(out_channels=channels, stride=2)
    stages: list[tuple[Block, ...]] = [(DepthwiseSeparable(out_channels=channels),)]
    for out_channels, stride, layers in rows:
        stage: list[Block] = []
        for row in layers:
            for _ in range(row.layers):
                stage.append(_block(row, channels, out_channels, 1 if stage else stride))
                channels = out_channels
        stages.append(tuple(stage))
    return Arch(stem=stem, stages=tuple(stages), head=ConvPoolLinear(out_channels=1536, dropout=0.2), name=name)


def _block(row: Row, in_channels: int, out_channels: int, stride: int) -> MixedMBConv:
    return MixedMBConv(
        out_channels=out_channels,
        kernel_sizes=row.kernel_sizes,
        stride=stride,
        expanded_channels=in_channels * row.expand_ratio,
        expand_groups=row.expand_groups,
        project_groups=row.project_groups,
        se_channels=int(in_channels * row.se_ratio),
        se_activation="silu",
        activation="silu" if row.se_ratio else "relu",
    )


def mixnet_s() -> Arch:
    """MixNet-S."""
    return _mixnet("mixnet_s", 16, S)


def mixnet_m() -> Arch:
    """MixNet-M."""
    return _mixnet("mixnet_m", 24, M)


NETWORKS = {
    "mixnet_s": Published(
        build=mixnet_s,
        params=4_134_606,
        params_millions=4.1,
        macs_millions=256,
        top1=0.758,
        source="arXiv 1907.09595, table 2",
        second="timm.mixnet_s",
        macs_remark="the paper counts more than convolutions; these alone give 239 M MACs, timm's network too",
    ),
    "mixnet_m": Published(
        build=mixnet_m,
        params=5_014_382,
        params_millions=5.0,
        macs_millions=360,
        top1=0.770,
        source="arXiv 1907.09595, table 2",
        second="timm.mixnet_m",
        macs_remark="the paper counts more than convolutions; these alone give 339 M MACs, timm's network too",
    ),
}
