"""MobileNetV3 Large and Small.

Source: Howard et al., arXiv 1905.02244, tables 1 and 2 (networks), table 3 (figures).
Differs from the paper: squeeze-and-excitation's quarter of the expanded channels is rounded to a multiple of 8, as in
the authors' reference, github.com/tensorflow/models research/slim/nets/mobilenet.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.models.published import Published

Row = tuple[int, int, int, bool, str, int]

# kernel size, expanded channels, out channels, squeeze-and-excitation, activation ("relu" or "hard_swish"), stride
LARGE: tuple[Row, ...] = (
    (3, 16, 16, False, "relu", 1),
    (3, 64, 24, False, "relu", 2),
    (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2),
    (5, 120, 40, True, "relu", 1),
    (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hard_swish", 2),
    (3, 200, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 184, 80, False, "hard_swish", 1),
    (3, 480, 112, True, "hard_swish", 1),
    (3, 672, 112, True, "hard_swish", 1),
    (5, 672, 160, True, "hard_swish", 2),
    (5, 960, 160, True, "hard_swish", 1),
    (5, 960, 160, True, "hard_swish", 1),
)
SMALL: tuple[Row, ...] = (
    (3, 16, 16, True, "relu", 2),
    (3, 72, 24, False, "relu", 2),
    (3, 88, 24, False, "relu", 1),
    (5, 96, 40, True, "hard_swish", 2),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 240, 40, True, "hard_swish", 1),
    (5, 120, 48, True, "hard_swish", 1),
    (5, 144, 48, True, "hard_swish", 1),
    (5, 288, 96, True, "hard_swish", 2),
    (5, 576, 96, True, "hard_swish", 1),
    (5, 576, 96, True, "hard_swish", 1),
)


def _mobilenet_v3(name: str, rows: tuple[Row, ...], head: PoolConvLinear) -> Arch:
    stages: list[list[Block]] = []
    for kernel_size, expanded, out_channels, squeeze, activation, stride in rows:
        if stride == 2 or not stages:
            stages.append([])
        stages[-1].append(
            MBConv(
                out_channels=out_channels,
                kernel_size=kernel_size,
                stride=stride,
                expanded_channels=expanded,
                se_channels=make_divisible(expanded / 4) if squeeze else 0,
                se_gate="hard_sigmoid",
                activation="hard_swish" if activation == "hard_swish" else "relu",
            )
        )
    stem = ConvBnAct(out_channels=16, stride=2, activation="hard_swish")
    return Arch(stem=stem, stages=tuple(tuple(stage) for stage in stages), head=head, name=name)


def mobilenet_v3_large() -> Arch:
    """MobileNetV3-Large 1.0."""
    head = PoolConvLinear(expanded_channels=960, out_channels=1280, dropout=0.2)
    return _mobilenet_v3("mobilenet_v3_large", LARGE, head)


def mobilenet_v3_small() -> Arch:
    """MobileNetV3-Small 1.0."""
    head = PoolConvLinear(expanded_channels=576, out_channels=1024, dropout=0.2)
    return _mobilenet_v3("mobilenet_v3_small", SMALL, head)


NETWORKS = {
    "mobilenet_v3_large": Published(
        build=mobilenet_v3_large,
        params=5_483_032,
        params_millions=5.4,
        macs_millions=219,
        top1=0.752,
        source="arXiv 1905.02244, table 3",
        remark="the paper gives 219 M MACs; the network has 217 M, as slim's README says of its checkpoint",
    ),
    "mobilenet_v3_small": Published(
        build=mobilenet_v3_small,
        params=2_542_856,
        params_millions=2.5,
        macs_millions=56,
        top1=0.674,
        source="arXiv 1905.02244, table 3",
    ),
}
