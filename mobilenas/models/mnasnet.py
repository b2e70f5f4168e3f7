"""MnasNet A1, B1 and Small.

Source: Tan et al., arXiv 1807.11626, figure 7 (A1) and table 1 (figures); B1, Small and width multipliers: the authors'
reference implementation, github.com/tensorflow/tpu models/official/mnasnet.
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


_TORCHVISION = "torchvision's documentation of its weights (parameters, operations, accuracy)"
_NO_MACS = "no MACs were published"
NETWORKS = {
    "mnasnet_a1": Published(
        build=mnasnet_a1,
        params=3_887_038,
        params_millions=3.9,
        macs_millions=312,
        top1=0.752,
        source="arXiv 1807.11626, table 1",
        second="timm.semnasnet_100",
    ),
    "mnasnet_a1_0.75": Published(
        build=partial(mnasnet_a1, width_multiplier=0.75, name="mnasnet_a1_0.75"),
        params=2_912_278,
        params_millions=2.91,
        params_step_millions=0.01,
        top1=0.730,
        source="timm's results for ImageNet, semnasnet_075",
        second="timm.semnasnet_075",
        remark=_NO_MACS,
    ),
    "mnasnet_b1": Published(
        build=mnasnet_b1,
        params=4_383_312,
        params_millions=4.4,
        macs_millions=315,
        top1=0.745,
        source="arXiv 1807.11626, study of squeeze-and-excitation (without)",
        second="torchvision.mnasnet1_0",
    ),
    "mnasnet_b1_0.5": Published(
        build=partial(mnasnet_b1, width_multiplier=0.5, name="mnasnet_b1_0.5"),
        params=2_218_512,
        params_millions=2.218512,
        params_step_millions=1e-6,
        macs_millions=104,
        top1=0.677,
        source=_TORCHVISION,
        second="torchvision.mnasnet0_5",
    ),
    "mnasnet_b1_0.75": Published(
        build=partial(mnasnet_b1, width_multiplier=0.75, name="mnasnet_b1_0.75"),
        params=3_170_208,
        params_millions=3.170208,
        params_step_millions=1e-6,
        macs_millions=215,
        top1=0.712,
        source=_TORCHVISION,
        second="torchvision.mnasnet0_75",
    ),
    "mnasnet_b1_1.3": Published(
        build=partial(mnasnet_b1, width_multiplier=1.3, name="mnasnet_b1_1.3"),
        params=6_282_256,
        params_millions=6.282256,
        params_step_millions=1e-6,
        macs_millions=526,
        top1=0.765,
        source=_TORCHVISION,
        second="torchvision.mnasnet1_3",
    ),
    "mnasnet_small": Published(
        build=mnasnet_small,
        params=2_030_264,
        params_millions=2.03,
        params_step_millions=0.01,
        top1=0.662,
        source="timm's results for ImageNet, mnasnet_small",
        second="timm.mnasnet_small",
        remark=_NO_MACS,
    ),
}
