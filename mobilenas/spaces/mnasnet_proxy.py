"""The part of the MnasNet space that Accel-NASBench trained on ImageNet."""

from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.spaces._plan import SpacePlan, StageChoices
from mobilenas.spaces._staged import StagedSpace

# stride, filters, most layers of the seven blocks: EfficientNet-B0's
BASE = ((1, 16, 3), (2, 24, 3), (2, 40, 3), (2, 80, 3), (1, 112, 3), (2, 192, 4), (1, 320, 3))
PLAN = SpacePlan(
    name="mnasnet_proxy",
    stem=ConvBnAct(out_channels=32, stride=2),
    stages=tuple(
        StageChoices(
            conv_op=("mbconv1", "mbconv4", "mbconv6"),
            kernel_size=(3, 5),
            se_ratio=(0.0, 0.25),
            out_channels=(filters,),
            layers=tuple(range(1, most + 1)),
            stride=stride,
        )
        for stride, filters, most in BASE
    ),
    head=ConvPoolLinear(out_channels=1280),
)


class MnasNetProxySpace(StagedSpace):
    """Seven blocks of MBConv with expansion 1, 4 or 6, kernel 3 or 5, SE 0 or 0.25, and 1 to 3 (block 6: 4) layers.

    The filters are fixed. The ImageNet surrogate covers this space at 224 pixels and 1000 classes.

    Args:
        resolution: Input size in pixels; 224 by default.
        num_classes: Number of classes.

    Source: Accel-NASBench, arXiv 2404.08005. Filters and strides are those by which the parameters of its 4,000
    networks come out exactly (`benchmarks/fit_surrogate.py`); its multiply-adds are ours, plus 4 for each output of a
    batch norm and 1 for each input and output of a pooling.
    Differs from the paper: its blocks are numbered from 0; its activation is not in its data, here relu as in MnasNet.
    """

    name = "mnasnet_proxy"

    def __init__(self, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        super().__init__(PLAN, resolution=resolution, num_classes=num_classes)
