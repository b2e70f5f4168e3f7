"""EfficientNet-B0 to B7 and EfficientNet-Lite0 to 4.

Source: Tan and Le, arXiv 1905.11946, table 1 (B0) and table 2 (figures); coefficients of the others: the authors'
reference, github.com/tensorflow/tpu models/official/efficientnet; Lite: its folder `lite`.
Differs from the paper: no stochastic depth (drop connect) while training.
"""

import math
from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.models._stages import Row, mbconv_stages, widened
from mobilenas.models.published import Published
from mobilenas.settings import check

STAGES = (
    Row(expand_ratio=1, kernel_size=3, stride=1, out_channels=16, layers=1, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=24, layers=2, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=40, layers=2, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=2, out_channels=80, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=5, stride=1, out_channels=112, layers=3, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=5, stride=2, out_channels=192, layers=4, se_ratio=0.25),
    Row(expand_ratio=6, kernel_size=3, stride=1, out_channels=320, layers=1, se_ratio=0.25),
)
STEM_CHANNELS, HEAD_CHANNELS = 32, 1280

# width, depth, resolution, dropout
COEFFICIENTS = {
    "b0": (1.0, 1.0, 224, 0.2),
    "b1": (1.0, 1.1, 240, 0.2),
    "b2": (1.1, 1.2, 260, 0.3),
    "b3": (1.2, 1.4, 300, 0.3),
    "b4": (1.4, 1.8, 380, 0.4),
    "b5": (1.6, 2.2, 456, 0.4),
    "b6": (1.8, 2.6, 528, 0.5),
    "b7": (2.0, 3.1, 600, 0.5),
}
LITE_COEFFICIENTS = {
    "lite0": (1.0, 1.0, 224, 0.2),
    "lite1": (1.0, 1.1, 240, 0.2),
    "lite2": (1.1, 1.2, 260, 0.3),
    "lite3": (1.2, 1.4, 280, 0.3),
    "lite4": (1.4, 1.8, 300, 0.3),
}


def _scaled(rows: tuple[Row, ...], width: float, depth: float) -> tuple[Row, ...]:
    return tuple(row._replace(layers=math.ceil(row.layers * depth)) for row in widened(rows, width))


def efficientnet(variant: str = "b0") -> Arch:
    """EfficientNet: MBConv with squeeze-and-excitation of the layer's input, swish everywhere.

    Args:
        variant: "b0" to "b7".

    Raises:
        FieldError: If the variant is not known.
    """
    check(variant in COEFFICIENTS, "variant", variant, " or ".join(COEFFICIENTS))
    width, depth, resolution, dropout = COEFFICIENTS[variant]
    stem = ConvBnAct(out_channels=make_divisible(STEM_CHANNELS * width), stride=2, activation="silu")
    stages = mbconv_stages(stem.out_channels, _scaled(STAGES, width, depth), activation="silu", se_activation="silu")
    head = ConvPoolLinear(out_channels=make_divisible(HEAD_CHANNELS * width), activation="silu", dropout=dropout)
    return Arch(stem=stem, stages=stages, head=head, resolution=resolution, name=f"efficientnet_{variant}")


def efficientnet_lite(variant: str = "lite0") -> Arch:
    """EfficientNet-Lite: ReLU6, no squeeze-and-excitation; stem, head and the depth of both outer stages do not grow.

    Args:
        variant: "lite0" to "lite4".

    Raises:
        FieldError: If the variant is not known.
    """
    check(variant in LITE_COEFFICIENTS, "variant", variant, " or ".join(LITE_COEFFICIENTS))
    width, depth, resolution, dropout = LITE_COEFFICIENTS[variant]
    first, *inner, last = (row._replace(se_ratio=0.0) for row in STAGES)
    rows = (*widened((first,), width), *_scaled(tuple(inner), width, depth), *widened((last,), width))
    stages = mbconv_stages(STEM_CHANNELS, rows, activation="relu6")
    stem = ConvBnAct(out_channels=STEM_CHANNELS, stride=2, activation="relu6")
    head = ConvPoolLinear(out_channels=HEAD_CHANNELS, activation="relu6", dropout=dropout)
    return Arch(stem=stem, stages=stages, head=head, resolution=resolution, name=f"efficientnet_{variant}")


_TABLE = "arXiv 1905.11946, table 2"
_LITE = "github.com/tensorflow/tpu models/official/efficientnet/lite/README.md"
_COUNTS_NORM = "the README counts batch norm too, at some three multiply-adds an element"
NETWORKS = {
    "efficientnet_b0": Published(
        build=efficientnet,
        params=5_288_548,
        params_millions=5.3,
        macs_millions=390,
        macs_step_millions=10,
        top1=0.771,
        source=_TABLE,
        second="torchvision.efficientnet_b0",
    ),
    "efficientnet_b1": Published(
        build=partial(efficientnet, "b1"),
        params=7_794_184,
        params_millions=7.8,
        macs_millions=700,
        macs_step_millions=10,
        top1=0.791,
        source=_TABLE,
        second="torchvision.efficientnet_b1",
        remark="the paper gives 0.70 G MACs; the network has 0.69 G at its 240 pixels, as torchvision's",
    ),
    "efficientnet_b2": Published(
        build=partial(efficientnet, "b2"),
        params=9_109_994,
        params_millions=9.2,
        macs_millions=1000,
        macs_step_millions=100,
        top1=0.801,
        source=_TABLE,
        second="torchvision.efficientnet_b2",
    ),
    "efficientnet_b3": Published(
        build=partial(efficientnet, "b3"),
        params=12_233_232,
        params_millions=12,
        params_step_millions=1,
        macs_millions=1800,
        macs_step_millions=100,
        top1=0.816,
        source=_TABLE,
        second="torchvision.efficientnet_b3",
    ),
    "efficientnet_b4": Published(
        build=partial(efficientnet, "b4"),
        params=19_341_616,
        params_millions=19,
        params_step_millions=1,
        macs_millions=4200,
        macs_step_millions=100,
        top1=0.829,
        source=_TABLE,
        second="torchvision.efficientnet_b4",
        remark="the paper gives 4.2 G MACs; the network has 4.39 G at its 380 pixels, as torchvision's",
    ),
    "efficientnet_b5": Published(
        build=partial(efficientnet, "b5"),
        params=30_389_784,
        params_millions=30,
        params_step_millions=1,
        macs_millions=9900,
        macs_step_millions=100,
        top1=0.836,
        source=_TABLE,
        second="torchvision.efficientnet_b5",
        remark="the paper gives 9.9 G MACs; the network has 10.27 G at its 456 pixels, as torchvision's",
    ),
    "efficientnet_b6": Published(
        build=partial(efficientnet, "b6"),
        params=43_040_704,
        params_millions=43,
        params_step_millions=1,
        macs_millions=19_000,
        macs_step_millions=1000,
        top1=0.840,
        source=_TABLE,
        second="torchvision.efficientnet_b6",
    ),
    "efficientnet_b7": Published(
        build=partial(efficientnet, "b7"),
        params=66_347_960,
        params_millions=66,
        params_step_millions=1,
        macs_millions=37_000,
        macs_step_millions=1000,
        top1=0.843,
        source=_TABLE,
        second="torchvision.efficientnet_b7",
    ),
    "efficientnet_lite0": Published(
        build=efficientnet_lite,
        params=4_652_008,
        params_millions=4.7,
        macs_millions=407,
        top1=0.751,
        source=_LITE,
        second="timm.tf_efficientnet_lite0",
        remark=f"{_COUNTS_NORM}; without it the network has 385 M MACs",
    ),
    "efficientnet_lite1": Published(
        build=partial(efficientnet_lite, "lite1"),
        params=5_416_680,
        params_millions=5.4,
        macs_millions=631,
        top1=0.767,
        source=_LITE,
        second="timm.tf_efficientnet_lite1",
        remark=f"{_COUNTS_NORM}; without it the network has 600 M MACs",
    ),
    "efficientnet_lite2": Published(
        build=partial(efficientnet_lite, "lite2"),
        params=6_092_072,
        params_millions=6.1,
        macs_millions=899,
        top1=0.776,
        source=_LITE,
        second="timm.tf_efficientnet_lite2",
        remark=f"{_COUNTS_NORM}; without it the network has 860 M MACs",
    ),
    "efficientnet_lite3": Published(
        build=partial(efficientnet_lite, "lite3"),
        params=8_197_096,
        params_millions=8.2,
        macs_millions=1440,
        macs_step_millions=10,
        top1=0.798,
        source=_LITE,
        second="timm.tf_efficientnet_lite3",
        remark=f"{_COUNTS_NORM}; without it the network has 1383 M MACs",
    ),
    "efficientnet_lite4": Published(
        build=partial(efficientnet_lite, "lite4"),
        params=13_006_568,
        params_millions=13.0,
        macs_millions=2640,
        macs_step_millions=10,
        top1=0.815,
        source=_LITE,
        second="timm.tf_efficientnet_lite4",
        remark=f"{_COUNTS_NORM}; without it the network has 2553 M MACs",
    ),
}
