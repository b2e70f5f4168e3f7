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


_TABLE = "arXiv 1704.04861, table 6"
NETWORKS = {
    "mobilenet_v1": Published(
        build=mobilenet_v1,
        params=4_231_976,
        params_millions=4.2,
        macs_millions=569,
        top1=0.706,
        source=_TABLE,
        second="timm.mobilenetv1_100",
    ),
    "mobilenet_v1_0.75": Published(
        build=partial(mobilenet_v1, width_multiplier=0.75, name="mobilenet_v1_0.75"),
        params=2_585_560,
        params_millions=2.6,
        macs_millions=325,
        top1=0.684,
        source=_TABLE,
    ),
    "mobilenet_v1_0.5": Published(
        build=partial(mobilenet_v1, width_multiplier=0.5, name="mobilenet_v1_0.5"),
        params=1_331_592,
        params_millions=1.3,
        macs_millions=149,
        top1=0.637,
        source=_TABLE,
    ),
    "mobilenet_v1_0.25": Published(
        build=partial(mobilenet_v1, width_multiplier=0.25, name="mobilenet_v1_0.25"),
        params=470_072,
        params_millions=0.5,
        macs_millions=41,
        top1=0.506,
        source=_TABLE,
    ),
}
