"""EfficientNet-B0 to B7 and EfficientNet-Lite0 to 4.

Source: Tan and Le, arXiv 1905.11946, table 1 (B0) and table 2 (figures); coefficients of the others: the authors'
reference, github.com/tensorflow/tpu models/official/efficientnet; Lite: its folder `lite`.
Published figures: Lite's were compared with its README; those of B0 to B7 are as they are generally quoted. Parameters
of these, and all of B7, were compared with texts that repeat them, the others' MACs and accuracy with nothing.
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


_REPEATED = "github.com/lukemelas/EfficientNet-PyTorch README.md, which repeats them"
_ALL_OF_B7 = (
    "parameters and MACs: github.com/tensorflow/tpu models/official/efficientnet/README.md at 11ebf488; "
    "accuracy: the paper's abstract"
)
_LITE = "github.com/tensorflow/tpu models/official/efficientnet/lite/README.md"


def _paper(
    variant: str,
    params: int,
    params_millions: float,
    macs_millions: float,
    top1: float,
    *,
    params_step_millions: float = 1.0,
    macs_step_millions: float = 100.0,
    compared: str = f"parameters: {_REPEATED}; MACs and accuracy: nothing",
    params_remark: str = "",
    macs_remark: str = "",
) -> Published:
    return Published(
        build=partial(efficientnet, variant),
        params=params,
        params_millions=params_millions,
        params_step_millions=params_step_millions,
        macs_millions=macs_millions,
        macs_step_millions=macs_step_millions,
        top1=top1,
        source="arXiv 1905.11946, table 2",
        compared=compared,
        second=f"torchvision.efficientnet_{variant}",
        params_remark=params_remark,
        macs_remark=macs_remark,
    )


def _lite(
    variant: str,
    params: int,
    params_millions: float,
    macs_millions: float,
    top1: float,
    *,
    macs_step_millions: float = 1.0,
    without_batch_norm: int,
) -> Published:
    return Published(
        build=partial(efficientnet_lite, variant),
        params=params,
        params_millions=params_millions,
        macs_millions=macs_millions,
        macs_step_millions=macs_step_millions,
        top1=top1,
        source=_LITE,
        compared=_LITE,
        second=f"timm.tf_efficientnet_{variant}",
        macs_remark="the README counts batch norm too, at some three multiply-adds an element; "
        f"without it the network has {without_batch_norm} M MACs",
    )


NETWORKS = {
    "efficientnet_b0": _paper("b0", 5_288_548, 5.3, 390, 0.771, params_step_millions=0.1, macs_step_millions=10),
    "efficientnet_b1": _paper(
        "b1",
        7_794_184,
        7.8,
        700,
        0.791,
        params_step_millions=0.1,
        macs_step_millions=10,
        macs_remark="the paper gives 0.70 G MACs; the network has 0.69 G at its 240 pixels, as torchvision's",
    ),
    "efficientnet_b2": _paper(
        "b2",
        9_109_994,
        9.2,
        1000,
        0.801,
        params_step_millions=0.1,
        params_remark="the paper gives 9.2 M params; the network has 9.11 M, as torchvision's",
    ),
    "efficientnet_b3": _paper("b3", 12_233_232, 12, 1800, 0.816),
    "efficientnet_b4": _paper(
        "b4",
        19_341_616,
        19,
        4200,
        0.829,
        macs_remark="the paper gives 4.2 G MACs; the network has 4.39 G at its 380 pixels, as torchvision's",
    ),
    "efficientnet_b5": _paper(
        "b5",
        30_389_784,
        30,
        9900,
        0.836,
        macs_remark="the paper gives 9.9 G MACs; the network has 10.27 G at its 456 pixels, as torchvision's",
    ),
    "efficientnet_b6": _paper("b6", 43_040_704, 43, 19_000, 0.840, macs_step_millions=1000),
    "efficientnet_b7": _paper(
        "b7",
        66_347_960,
        66,
        37_000,
        0.843,
        macs_step_millions=1000,
        compared=_ALL_OF_B7,
        macs_remark="the published 37 G MACs are 37.7 G cut off, which torchvision's network has too",
    ),
    "efficientnet_lite0": _lite("lite0", 4_652_008, 4.7, 407, 0.751, without_batch_norm=385),
    "efficientnet_lite1": _lite("lite1", 5_416_680, 5.4, 631, 0.767, without_batch_norm=600),
    "efficientnet_lite2": _lite("lite2", 6_092_072, 6.1, 899, 0.776, without_batch_norm=860),
    "efficientnet_lite3": _lite("lite3", 8_197_096, 8.2, 1440, 0.798, macs_step_millions=10, without_batch_norm=1383),
    "efficientnet_lite4": _lite("lite4", 13_006_568, 13.0, 2640, 0.815, macs_step_millions=10, without_batch_norm=2553),
}
