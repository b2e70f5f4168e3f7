"""The layer-wise MobileNetV3 space of Once-for-All."""

from typing import Literal

from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.spaces._plan import SpacePlan, StageChoices
from mobilenas.spaces._staged import StagedSpace

Row = tuple[int, int, bool, Literal["relu", "hard_swish"]]

# stride, filters, squeeze-and-excitation, activation
STAGES: tuple[Row, ...] = (
    (2, 24, False, "relu"),
    (2, 40, True, "relu"),
    (2, 80, False, "hard_swish"),
    (1, 112, True, "hard_swish"),
    (2, 160, True, "hard_swish"),
)
PLAN = SpacePlan(
    name="mobilenet_v3",
    stem=ConvBnAct(out_channels=16, stride=2, activation="hard_swish"),
    stages=(
        StageChoices(out_channels=(16,), conv_op=("mbconv1",)),
        *(
            StageChoices(
                out_channels=(filters,),
                layers=(2, 3, 4),
                conv_op=("mbconv3", "mbconv4", "mbconv6"),
                kernel_size=(3, 5, 7),
                se_ratio=(0.25 if squeeze else 0.0,),
                stride=stride,
                layerwise=True,
                activation=activation,
                se_of="expanded",
                se_gate="hard_sigmoid",
            )
            for stride, filters, squeeze, activation in STAGES
        ),
    ),
    head=PoolConvLinear(expanded_channels=960, out_channels=1280, bias=False),
    resolution=(128, 144, 160, 176, 192, 208, 224),
    width_multiplier=(1.0, 1.2),
)


class MobileNetV3Space(StagedSpace):
    """Five stages of 2 to 4 layers; every layer chooses its kernel (3, 5, 7) and expansion (3, 4, 6).

    The whole network chooses its resolution, 128 to 224 in steps of 16, and its width, 1 or 1.2.

    Args:
        resolution: The only input size in pixels; by default it is chosen.
        num_classes: Number of classes.

    Source: Once-for-All, arXiv 1908.09791, section 4.1, and github.com/mit-han-lab/once-for-all, its MobileNetV3
    super-network; activations and squeeze-and-excitation: MobileNetV3, arXiv 1905.02244, table 1.
    Differs from the paper: resolutions have steps of 16 instead of 4; the two widths, two super-networks there, are one
    decision.
    """

    name = "mobilenet_v3"

    def __init__(self, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        super().__init__(PLAN, resolution=resolution, num_classes=num_classes)
