"""MobileNetV1.

Source: Howard et al., arXiv 1704.04861, table 1 (network), table 6 (width multipliers and figures).
Differs from the paper: ReLU6 in place of ReLU, as in the authors' reference, github.com/tensorflow/models
research/slim/nets/mobilenet_v1.py.
"""

from functools import partial

from mobilenas.arch import Arch
from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.pool_linear import PoolLinear
from mobilenas.models._stages import check_width
from mobilenas.models.published import Published

# channels, layers, stride of the first layer
STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


def mobilenet_v1(*, width_multiplier: float = 1.0, name: str = "mobilenet_v1") -> Arch:
    """MobileNetV1.

    Args:
        width_multiplier: Factor on all channels, rounded to multiples of 8.
        name: Name of the network.

    Raises:
        FieldError: If the width multiplier is not a number above 0, up to 10.
    """
    check_width(width_multiplier)
    stem = ConvBnAct(out_channels=make_divisible(32 * width_multiplier), stride=2, activation="relu6")
    stages = tuple(
        tuple(
            DepthwiseSeparable(
                out_channels=make_divisible(channels * width_multiplier),
                stride=stride if layer == 0 else 1,
                activation="relu6",
                pointwise_activation="relu6",
                residual=False,
            )
            for layer in range(layers)
        )
        for channels, layers, stride in STAGES
    )
    return Arch(stem=stem, stages=stages, head=PoolLinear(dropout=0.001), name=name)


def _paper(
    width: float, params: int, params_millions: float, macs_millions: float, top1: float, second: str = ""
) -> Published:
    name = "mobilenet_v1" if width == 1 else f"mobilenet_v1_{width}"
    return Published(
        build=partial(mobilenet_v1, width_multiplier=width, name=name),
        params=params,
        params_millions=params_millions,
        macs_millions=macs_millions,
        top1=top1,
        source="arXiv 1704.04861, table 6",
        compared="Keras' documentation of MobileNet, which repeats the table (but for 569: slim's mobilenet_v1.md)",
        second=second,
    )


NETWORKS = {
    "mobilenet_v1": _paper(1.0, 4_231_976, 4.2, 569, 0.706, "timm.mobilenetv1_100"),
    "mobilenet_v1_0.75": _paper(0.75, 2_585_560, 2.6, 325, 0.684),
    "mobilenet_v1_0.5": _paper(0.5, 1_331_592, 1.3, 149, 0.637),
    "mobilenet_v1_0.25": _paper(0.25, 470_072, 0.5, 41, 0.506),
}
