"""The factorized hierarchical space of MnasNet."""

from mobilenas.blocks import make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.spaces._plan import SpacePlan, StageChoices
from mobilenas.spaces._staged import StagedSpace

# stride, filters and layers of MobileNetV2's blocks
BASE = ((1, 16, 1), (2, 24, 2), (2, 32, 3), (2, 64, 4), (1, 96, 3), (2, 160, 3), (1, 320, 1))
PLAN = SpacePlan(
    name="mnasnet",
    stem=ConvBnAct(out_channels=32, stride=2),
    stages=tuple(
        StageChoices(
            conv_op=("conv", "depthwise_separable", "mbconv3", "mbconv6"),
            kernel_size=(3, 5),
            se_ratio=(0.0, 0.25),
            skip=("pool", "identity", "none"),
            # small blocks have two, since two of three round to the same multiple of 8
            out_channels=tuple(dict.fromkeys(make_divisible(filters * factor) for factor in (0.75, 1.0, 1.25))),
            layers=tuple(n for n in (layers - 1, layers, layers + 1) if n >= 1),
            stride=stride,
        )
        for stride, filters, layers in BASE
    ),
    head=ConvPoolLinear(out_channels=1280),
)


class MnasNetSpace(StagedSpace):
    """Seven blocks of like layers; every block chooses the kind of layer, how many of them, and their filters.

    Per block: convolution (regular, depthwise-separable, MBConv with expansion 3 or 6), kernel 3 or 5,
    squeeze-and-excitation 0 or 0.25 of the layer's input, skip (pooling, identity, none), filters 0.75, 1 or 1.25 times
    and layers -1, 0 or +1 those of MobileNetV2. Squeeze-and-excitation and skip have no effect on a regular conv,
    nor has a skip where the shapes do not agree, so that several genotypes may be one network.

    Args:
        resolution: Input size in pixels; 224 by default.
        num_classes: Number of classes.

    Source: MnasNet, arXiv 1807.11626, section 4.1 and figure 4; the base is MobileNetV2's, arXiv 1801.04381, table 2.
    Differs from the paper: it does not say which expansions MBConv may have (here 3 and 6, those of its own networks),
    what the pooling is (here a 3x3 max pool), nor how filters are rounded (here to multiples of 8); a block has one
    layer or more.
    """

    name = "mnasnet"

    def __init__(self, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        super().__init__(PLAN, resolution=resolution, num_classes=num_classes)
