"""MobileNetV2.

Source: Sandler et al., arXiv 1801.04381, table 2 (network), table 4 and section 6.1 (figures); width multipliers:
github.com/tensorflow/models research/slim/nets/mobilenet.
Differs from the paper: nothing.
"""

from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.models.published import Published
from mobilenas.settings import check

# expand ratio, channels, layers, stride of the first layer
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280


def mobilenet_v2(*, width_multiplier: float = 1.0, name: str = "mobilenet_v2") -> Arch:
    """MobileNetV2.

    Args:
        width_multiplier: Factor on all channels, rounded to multiples of 8; the head never gets narrower.
        name: Name of the network.

    Raises:
        FieldError: If the width multiplier is not a number above 0, up to 10.
    """
    check(0 < width_multiplier <= 10, "width_multiplier", width_multiplier, "a number above 0, at most 10")
    channels = make_divisible(STEM_CHANNELS * width_multiplier)
    stem = ConvBnAct(out_channels=channels, stride=2, activation="relu6")
    stages: list[tuple[Block, ...]] = []
    for expand_ratio, base, layers, stride in STAGES:
        out_channels = make_divisible(base * width_multiplier)
        stage = []
        for layer in range(layers):
            stage.append(
                MBConv.from_ratios(
                    in_channels=channels,
                    out_channels=out_channels,
                    expand_ratio=expand_ratio,
                    stride=stride if layer == 0 else 1,
                    activation="relu6",
                )
            )
            channels = out_channels
        stages.append(tuple(stage))
    head = ConvPoolLinear(
        out_channels=make_divisible(HEAD_CHANNELS * max(1.0, width_multiplier)), activation="relu6", dropout=0.2
    )
    return Arch(stem=stem, stages=tuple(stages), head=head, name=name)


_SLIM = "github.com/tensorflow/models research/slim/nets/mobilenet/README.md"
_WITHOUT_BATCH_NORM = "the published parameters leave out batch norm's"
NETWORKS = {
    "mobilenet_v2": Published(
        build=mobilenet_v2,
        params=3_504_872,
        params_millions=3.4,
        macs_millions=300,
        top1=0.720,
        source="arXiv 1801.04381, table 4",
        remark=f"{_WITHOUT_BATCH_NORM}: 3.47 M, of which the paper prints 3.4",
    ),
    "mobilenet_v2_1.4": Published(
        build=partial(mobilenet_v2, width_multiplier=1.4, name="mobilenet_v2_1.4"),
        params=6_108_776,
        params_millions=6.06,
        macs_millions=582,
        top1=0.750,
        source=_SLIM,
        params_step_millions=0.01,
        remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.75": Published(
        build=partial(mobilenet_v2, width_multiplier=0.75, name="mobilenet_v2_0.75"),
        params=2_636_424,
        params_millions=2.61,
        macs_millions=209,
        top1=0.698,
        source=_SLIM,
        params_step_millions=0.01,
        remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.5": Published(
        build=partial(mobilenet_v2, width_multiplier=0.5, name="mobilenet_v2_0.5"),
        params=1_968_680,
        params_millions=1.95,
        macs_millions=97,
        top1=0.654,
        source=_SLIM,
        params_step_millions=0.01,
        remark=_WITHOUT_BATCH_NORM,
    ),
    "mobilenet_v2_0.35": Published(
        build=partial(mobilenet_v2, width_multiplier=0.35, name="mobilenet_v2_0.35"),
        params=1_677_128,
        params_millions=1.66,
        macs_millions=59,
        top1=0.603,
        source=_SLIM,
        params_step_millions=0.01,
        remark=_WITHOUT_BATCH_NORM,
    ),
}
