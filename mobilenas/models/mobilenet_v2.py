"""MobileNetV2.

Source: Sandler et al., arXiv 1801.04381, table 2 (network), table 4 and section 6.1 (figures); width multipliers:
github.com/tensorflow/models research/slim/nets/mobilenet.
Differs from the paper: nothing.
"""

from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.models._stages import Row, check_width, mbconv_stages, widened
from mobilenas.models.published import Published

STAGES = (
    Row(expand_ratio=1, kernel_size=3, stride=1, out_channels=16, layers=1),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=24, layers=2),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=32, layers=3),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=64, layers=4),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=96, layers=3),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=160, layers=3),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=320, layers=1),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


def mobilenet_v2(*, width_multiplier: float = 1.0, name: str = "mobilenet_v2") -> Arch:
    """MobileNetV2.

    Args:
        width_multiplier: Factor on all channels, rounded to multiples of 8; the head never gets narrower.
        name: Name of the network.

    Raises:
        FieldError: If the width multiplier is not a number above 0, up to 10.
    """
    check_width(width_multiplier)
    stem = ConvBnAct(out_channels=make_divisible(STEM_CHANNELS * width_multiplier), stride=2, activation="relu6")
    stages = mbconv_stages(stem.out_channels, widened(STAGES, width_multiplier), activation="relu6")
    head = ConvPoolLinear(
        out_channels=make_divisible(HEAD_CHANNELS * max(1.0, width_multiplier)), activation="relu6", dropout=0.2
    )
    return Arch(stem=stem, stages=stages, head=head, name=name)


_SLIM = "github.com/tensorflow/models research/slim/nets/mobilenet/README.md"
_WITHOUT_BATCH_NORM = "the published parameters leave out batch norm's"
NETWORKS = {
    "mobilenet_v2": Published(
        second="torchvision.mobilenet_v2",
        build=mobilenet_v2,
        params=3_504_872,
        params_millions=3.4,
        macs_millions=300,
        top1=0.720,
        source="arXiv 1801.04381, table 4",
        compared=f"{_SLIM}, which has 300 M MACs, 3.47 M parameters and 71.8 % in its table, 72 % in its text",
        params_remark=f"{_WITHOUT_BATCH_NORM}: 3.47 M, which the paper cuts off",
        macs_remark="the published 300 M MACs are 300.8 M cut off, which torchvision's network has too",
    ),
    "mobilenet_v2_1.4": Published(
        second="timm.mobilenetv2_140",
        build=partial(mobilenet_v2, width_multiplier=1.4, name="mobilenet_v2_1.4"),
        params=6_108_776,
        params_millions=6.06,
        macs_millions=582,
        top1=0.750,
        source=_SLIM,
        compared=_SLIM,
        params_step_millions=0.01,
        params_remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.75": Published(
        second="timm.mobilenetv2_075",
        build=partial(mobilenet_v2, width_multiplier=0.75, name="mobilenet_v2_0.75"),
        params=2_636_424,
        params_millions=2.61,
        macs_millions=209,
        top1=0.698,
        source=_SLIM,
        compared=_SLIM,
        params_step_millions=0.01,
        params_remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.5": Published(
        second="timm.mobilenetv2_050",
        build=partial(mobilenet_v2, width_multiplier=0.5, name="mobilenet_v2_0.5"),
        params=1_968_680,
        params_millions=1.95,
        macs_millions=97,
        top1=0.654,
        source=_SLIM,
        compared=_SLIM,
        params_step_millions=0.01,
        params_remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.35": Published(
        second="timm.mobilenetv2_035",
        build=partial(mobilenet_v2, width_multiplier=0.35, name="mobilenet_v2_0.35"),
        params=1_677_128,
        params_millions=1.66,
        macs_millions=59,
        top1=0.603,
        source=_SLIM,
        compared=_SLIM,
        params_step_millions=0.01,
        params_remark=_WITHOUT_BATCH_NORM,
    ),
}
