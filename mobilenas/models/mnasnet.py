"""MnasNet A1, B1 and Small.

Source: Tan et al., arXiv 1807.11626, figure 7 (A1) and table 1 (figures); B1, Small and width multipliers: the authors'
reference implementation, github.com/tensorflow/tpu models/official/mnasnet.
Published figures: B1's of width 1 are as they are generally quoted; the others were compared with the reference's
README or torchvision's documentation.
Differs from the paper: nothing; its SE ratio of 0.25 is of the layer's input, as in the reference.
"""

from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.models._stages import Row, check_width, mbconv_stages, widened
from mobilenas.models.published import Published

A1 = (
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=24, layers=2),
    Row(expand_ratio=3, kernel_size=5, stride=2, out_channels=40, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=80, layers=4),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=112, layers=2, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=160, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=320, layers=1),
)
B1 = (
    Row(expand_ratio=3, kernel_size=3, stride=2, out_channels=24, layers=3),
    Row(expand_ratio=3, kernel_size=5, stride=2, out_channels=40, layers=3),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=80, layers=3),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=96, layers=2),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=192, layers=4),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=320, layers=1),
)
SMALL = (
    Row(expand_ratio=3, kernel_size=3, stride=2, out_channels=16, layers=1),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=16, layers=2),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=32, layers=4, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=32, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=88, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=144, layers=1),
)


def _mnasnet(name: str, rows: tuple[Row, ...], width_multiplier: float, stem: int = 32, first: int = 16) -> Arch:
    check_width(width_multiplier)
    stem_channels, channels = (make_divisible(base * width_multiplier) for base in (stem, first))
    stages = mbconv_stages(channels, widened(rows, width_multiplier), activation="relu")
    return Arch(
        stem=ConvBnAct(out_channels=stem_channels, stride=2),
        stages=((DepthwiseSeparable(out_channels=channels),), *stages),
        head=ConvPoolLinear(dropout=0.2),
        name=name,
    )


def mnasnet_a1(*, width_multiplier: float = 1.0, name: str = "mnasnet_a1") -> Arch:
    """MnasNet-A1, with squeeze-and-excitation.

    Args:
        width_multiplier: Factor on all channels but the head's, rounded to multiples of 8.
        name: Name of the network.

    Raises:
        FieldError: If the width multiplier is not a number above 0, up to 10.
    """
    return _mnasnet(name, A1, width_multiplier)


def mnasnet_b1(*, width_multiplier: float = 1.0, name: str = "mnasnet_b1") -> Arch:
    """MnasNet-B1, without; arguments as `mnasnet_a1` has them."""
    return _mnasnet(name, B1, width_multiplier)


def mnasnet_small(*, width_multiplier: float = 1.0, name: str = "mnasnet_small") -> Arch:
    """MnasNet-Small; arguments as `mnasnet_a1` has them."""
    return _mnasnet(name, SMALL, width_multiplier, stem=8, first=8)


_README = "github.com/tensorflow/tpu models/official/mnasnet/README.md at 009812fb"


def _of_the_readme(
    width: float, params: int, params_millions: float, macs_millions: float, top1: float, second: str = ""
) -> Published:
    """A width of A1; the README's table counts 1 to 2.5 % more multiply-adds than the networks have."""
    return Published(
        build=partial(mnasnet_a1, width_multiplier=width, name=f"mnasnet_a1_{width}"),
        params=params,
        params_millions=params_millions,
        macs_millions=macs_millions,
        macs_step_millions=0.1,
        top1=top1,
        source=_README,
        compared=_README,
        second=second,
        macs_remark=f"the README's table gives {macs_millions} M MACs, and 315.2 M for A1, of which it says 312 in its "
        "text and the paper too; the networks have 1 to 2.5 % less",
    )


def _of_torchvision(width: float, second: str, params: int, macs_millions: float, top1: float) -> Published:
    """A width of B1, of which torchvision publishes what its own training gave."""
    return Published(
        build=partial(mnasnet_b1, width_multiplier=width, name=f"mnasnet_b1_{width}"),
        params=params,
        params_millions=params / 1e6,
        params_step_millions=1e-6,
        macs_millions=macs_millions,
        top1=top1,
        source="torchvision's documentation of its weights (parameters, operations, accuracy)",
        compared="torchvision's documentation of its weights",
        second=second,
    )


NETWORKS = {
    "mnasnet_a1": Published(
        build=mnasnet_a1,
        params=3_887_038,
        params_millions=3.9,
        macs_millions=312,
        top1=0.752,
        source="arXiv 1807.11626, table 1",
        compared=_README,
        second="timm.semnasnet_100",
        remark="the README's table gives 315.2 M MACs, its text 312 M as the paper",
    ),
    "mnasnet_a1_0.35": _of_the_readme(0.35, 1_747_018, 1.7, 63.2, 0.641),
    "mnasnet_a1_0.5": _of_the_readme(0.5, 2_082_006, 2.1, 105.2, 0.689, "timm.semnasnet_050"),
    "mnasnet_a1_0.75": _of_the_readme(0.75, 2_912_278, 2.9, 226.7, 0.733, "timm.semnasnet_075"),
    "mnasnet_a1_1.4": _of_the_readme(1.4, 6_105_992, 6.1, 591.5, 0.772, "timm.semnasnet_140"),
    "mnasnet_b1": Published(
        build=mnasnet_b1,
        params=4_383_312,
        params_millions=4.4,
        macs_millions=315,
        top1=0.745,
        source="arXiv 1807.11626, study of squeeze-and-excitation (without)",
        second="torchvision.mnasnet1_0",
        macs_remark="315 M MACs are generally quoted; the network has 314.4 M, as torchvision's",
    ),
    "mnasnet_b1_0.5": _of_torchvision(0.5, "torchvision.mnasnet0_5", 2_218_512, 104, 0.677),
    "mnasnet_b1_0.75": _of_torchvision(0.75, "torchvision.mnasnet0_75", 3_170_208, 215, 0.712),
    "mnasnet_b1_1.3": _of_torchvision(1.3, "torchvision.mnasnet1_3", 6_282_256, 526, 0.765),
    "mnasnet_small": Published(
        build=mnasnet_small,
        params=2_030_264,
        params_millions=2.0,
        macs_millions=68,
        top1=0.66,
        source=_README,
        compared=_README,
        second="timm.mnasnet_small",
    ),
}
