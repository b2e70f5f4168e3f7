"""The space around EfficientNet-B0."""

from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.spaces._plan import SpacePlan, StageChoices
from mobilenas.spaces._staged import StagedSpace

# stride, filters and layers of EfficientNet-B0's blocks
BASE = ((1, 16, 1), (2, 24, 2), (2, 40, 2), (2, 80, 3), (1, 112, 3), (2, 192, 4), (1, 320, 1))
PLAN = SpacePlan(
    name="efficientnet",
    stem=ConvBnAct(out_channels=32, stride=2, activation="silu"),
    stages=tuple(
        StageChoices(
            conv_op=("mbconv1", "mbconv3", "mbconv6"),
            kernel_size=(3, 5),
            se_ratio=(0.0, 0.25),
            skip=("identity", "none"),
            out_channels=tuple(dict.fromkeys(make_divisible(filters * factor) for factor in (0.75, 1.0, 1.25))),
            layers=tuple(n for n in (layers - 1, layers, layers + 1) if n >= 1),
            stride=stride,
            activation="silu",
            se_activation="silu",
        )
        for stride, filters, layers in BASE
    ),
    head=ConvPoolLinear(out_channels=1280, activation="silu", dropout=0.2),
)


class EfficientNetSpace(StagedSpace):
    """Seven blocks of MBConv with swish around EfficientNet-B0, which is one of its networks.

    Per block: expansion 1, 3 or 6, kernel 3 or 5, squeeze-and-excitation 0 or 0.25 of the layer's input, skip (identity
    or none), filters 0.75, 1 or 1.25 times and layers -1, 0 or +1 those of EfficientNet-B0.

    Args:
        resolution: Input size in pixels; 224 by default.
        num_classes: Number of classes.

    Source: EfficientNet, arXiv 1905.11946, section 4: the search space of MnasNet, whose filters and layers lie around
    a base network's; the base here is table 1.
    Differs from the paper: it does not say what its search's base network was; regular and depthwise-separable
    convolutions and the pooling skip, which swish networks do not have, are left out.
    """

    name = "efficientnet"

    def __init__(self, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        super().__init__(PLAN, resolution=resolution, num_classes=num_classes)
