"""EfficientNet-B0.

Source: Tan and Le, arXiv 1905.11946, table 1 (network) and table 2 (figures).
Differs from the paper: no stochastic depth (drop connect) while training.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.models.published import Published

SE_RATIO = 0.25

# expand ratio, kernel size, stride of the first layer, channels, layers
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def efficientnet_b0() -> Arch:
    """EfficientNet-B0: MBConv with squeeze-and-excitation of the layer's input, swish everywhere."""
    channels = 32
    stem = ConvBnAct(out_channels=channels, stride=2, activation="silu")
    stages: list[tuple[Block, ...]] = []
    for expand_ratio, kernel_size, stride, out_channels, layers in STAGES:
        stage = []
        for layer in range(layers):
            stage.append(
                MBConv.from_ratios(
                    in_channels=channels,
                    out_channels=out_channels,
                    expand_ratio=expand_ratio,
                    se_ratio=SE_RATIO,
                    se_activation="silu",
                    kernel_size=kernel_size,
                    stride=stride if layer == 0 else 1,
                    activation="silu",
                )
            )
            channels = out_channels
        stages.append(tuple(stage))
    head = ConvPoolLinear(activation="silu", dropout=0.2)
    return Arch(stem=stem, stages=tuple(stages), head=head, name="efficientnet_b0")


NETWORKS = {
    "efficientnet_b0": Published(
        build=efficientnet_b0,
        params=5_288_548,
        params_millions=5.3,
        macs_millions=390,
        macs_step_millions=10,
        top1=0.771,
        source="arXiv 1905.11946, table 2",
    ),
}
