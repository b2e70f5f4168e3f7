"""MobileNetV3 Large and Small, minimalistic ones too.

Source: Howard et al., arXiv 1905.02244, tables 1 and 2 (networks), table 3 (figures); width multipliers and the
minimalistic networks: github.com/tensorflow/models research/slim/nets/mobilenet.
Published figures: Small's of width 1 are as they are generally quoted, and slim's README contradicts them; the others
were compared with it.
Differs from the paper: squeeze-and-excitation's quarter of the expanded channels is rounded to a multiple of 8, as in
the authors' reference, github.com/tensorflow/models research/slim/nets/mobilenet.
"""

from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.graph import ActivationName
from mobilenas.models._stages import check_width
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


STEM_CHANNELS = 16


def _mobilenet_v3(
    name: str, rows: tuple[Row, ...], head: tuple[int, int], width_multiplier: float, minimalistic: bool
) -> Arch:
    check_width(width_multiplier)
    swish: ActivationName = "relu" if minimalistic else "hard_swish"
    base, channels = STEM_CHANNELS, make_divisible(STEM_CHANNELS * width_multiplier)
    stem = ConvBnAct(out_channels=channels, stride=2, activation=swish)
    stages: list[list[Block]] = []
    for kernel_size, expanded, out_channels, squeeze, activation, stride in rows:
        if stride == 2 or not stages:
            stages.append([])
        expanded_channels = make_divisible(channels * expanded / base)
        base, channels = out_channels, make_divisible(out_channels * width_multiplier)
        stages[-1].append(
            MBConv(
                out_channels=channels,
                kernel_size=3 if minimalistic else kernel_size,
                stride=stride,
                expanded_channels=expanded_channels,
                se_channels=make_divisible(expanded_channels / 4) if squeeze and not minimalistic else 0,
                se_gate="hard_sigmoid",
                activation=swish if activation == "hard_swish" else "relu",
            )
        )
    expanded, out_channels = head
    end = PoolConvLinear(
        expanded_channels=make_divisible(expanded * width_multiplier),
        out_channels=make_divisible(out_channels * max(1.0, width_multiplier)),
        activation=swish,
        dropout=0.2,
    )
    return Arch(stem=stem, stages=tuple(tuple(stage) for stage in stages), head=end, name=name)


def mobilenet_v3_large(
    *, width_multiplier: float = 1.0, minimalistic: bool = False, name: str = "mobilenet_v3_large"
) -> Arch:
    """MobileNetV3-Large.

    Args:
        width_multiplier: Factor on all channels, rounded to multiples of 8; the last layer never gets narrower.
        minimalistic: Without squeeze-and-excitation, h-swish and 5x5 kernels.
        name: Name of the network.

    Raises:
        FieldError: If the width multiplier is not a number above 0, up to 10.
    """
    return _mobilenet_v3(name, LARGE, (960, 1280), width_multiplier, minimalistic)


def mobilenet_v3_small(
    *, width_multiplier: float = 1.0, minimalistic: bool = False, name: str = "mobilenet_v3_small"
) -> Arch:
    """MobileNetV3-Small; arguments as `mobilenet_v3_large` has them."""
    return _mobilenet_v3(name, SMALL, (576, 1024), width_multiplier, minimalistic)


_SLIM = "github.com/tensorflow/models research/slim/nets/mobilenet/README.md"
NETWORKS = {
    "mobilenet_v3_large": Published(
        build=mobilenet_v3_large,
        params=5_483_032,
        params_millions=5.4,
        macs_millions=219,
        top1=0.752,
        source="arXiv 1905.02244, table 3",
        compared=f"{_SLIM}, which has the same parameters and accuracy",
        second="torchvision.mobilenet_v3_large",
        params_remark="the published 5.4 M params are 5.48 M cut off, which torchvision's network has too",
        macs_remark="the paper gives 219 M MACs; the network has 217 M, as slim's README says of its checkpoint",
    ),
    "mobilenet_v3_large_0.75": Published(
        build=partial(mobilenet_v3_large, width_multiplier=0.75, name="mobilenet_v3_large_0.75"),
        params=3_993_528,
        params_millions=4.0,
        macs_millions=155,
        top1=0.733,
        source=_SLIM,
        compared=_SLIM,
        second="timm.tf_mobilenetv3_large_075",
    ),
    "mobilenet_v3_large_minimalistic": Published(
        build=partial(mobilenet_v3_large, minimalistic=True, name="mobilenet_v3_large_minimalistic"),
        params=3_924_288,
        params_millions=3.9,
        macs_millions=209,
        top1=0.723,
        source=_SLIM,
        compared=_SLIM,
        second="timm.tf_mobilenetv3_large_minimal_100",
    ),
    "mobilenet_v3_small": Published(
        build=mobilenet_v3_small,
        params=2_542_856,
        params_millions=2.5,
        macs_millions=56,
        top1=0.674,
        source="arXiv 1905.02244, table 3",
        compared=f"{_SLIM}, which has other figures",
        second="torchvision.mobilenet_v3_small",
        macs_remark="the published 56 M MACs are 56.5 M cut off, which torchvision's network has too",
        remark="slim's README gives its checkpoint 66 M MACs, 2.9 M params and 67.5 %, which no network of ours has",
    ),
    "mobilenet_v3_small_0.75": Published(
        build=partial(mobilenet_v3_small, width_multiplier=0.75, name="mobilenet_v3_small_0.75"),
        params=2_041_872,
        params_millions=2.4,
        macs_millions=44,
        top1=0.654,
        source=_SLIM,
        compared=_SLIM,
        second="timm.tf_mobilenetv3_small_075",
        params_remark="slim's README gives 2.4 M params; the network has 2.04 M, as timm's port of the checkpoint",
        macs_remark="slim's README gives 44 M MACs; the network has 43.4 M, as timm's",
    ),
    "mobilenet_v3_small_minimalistic": Published(
        build=partial(mobilenet_v3_small, minimalistic=True, name="mobilenet_v3_small_minimalistic"),
        params=2_044_736,
        params_millions=2.0,
        macs_millions=65,
        top1=0.619,
        source=_SLIM,
        compared=_SLIM,
        second="timm.tf_mobilenetv3_small_minimal_100",
        macs_remark="slim's README gives 65 M MACs; the network has 52 M, as timm's port of the checkpoint",
    ),
}
