"""FBNet-C.

Source: Wu et al., arXiv 1812.03443, table 2 and figure 4 (network), table 3 (figures).
Published figures: as they are generally quoted; compared with the authors' README, which has other MACs, not with the
paper.
Differs from the paper: nothing; as in the authors' code, an expansion ratio of 1 is a 1x1 convolution too, which the
universal inverted bottleneck without its first depthwise convolution has.
"""

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.universal_inverted_bottleneck import UniversalInvertedBottleneck
from mobilenas.models.published import Published

# channels, stride of the first layer, (kernel size, expand ratio) of each layer; layers that the search skipped are out
C = (
    (16, 1, ((3, 1),)),
    (24, 2, ((3, 6), (3, 1), (3, 1))),
    (32, 2, ((5, 6), (5, 3), (5, 6), (3, 6))),
    (64, 2, ((5, 6), (5, 3), (5, 6), (5, 6))),
    (112, 1, ((5, 6), (5, 6), (5, 6), (5, 3))),
    (184, 2, ((5, 6), (5, 6), (5, 6), (5, 6))),
    (352, 1, ((3, 6),)),
)


def fbnet_c() -> Arch:
    """FBNet-C."""
    channels = 16
    stem = ConvBnAct(out_channels=channels, stride=2)
    stages: list[tuple[Block, ...]] = []
    for out_channels, stride, layers in C:
        stage: list[Block] = []
        for kernel_size, expand_ratio in layers:
            stage.append(
                UniversalInvertedBottleneck(
                    out_channels=out_channels,
                    expanded_channels=channels * expand_ratio,
                    middle_kernel_size=kernel_size,
                    stride=1 if stage else stride,
                )
            )
            channels = out_channels
        stages.append(tuple(stage))
    return Arch(stem=stem, stages=tuple(stages), head=ConvPoolLinear(out_channels=1984, dropout=0.2), name="fbnet_c")


NETWORKS = {
    "fbnet_c": Published(
        build=fbnet_c,
        params=5_572_200,
        params_millions=5.5,
        macs_millions=375,
        top1=0.749,
        source="arXiv 1812.03443, table 3",
        compared="github.com/facebookresearch/mobile-vision README.md at 4826a08f, which has the same parameters and "
        "accuracy",
        second="timm.fbnetc_100",
        params_remark="the published 5.5 M params are 5.57 M cut off, which timm's network has too",
        macs_remark="the paper gives 375 M MACs, the authors' README 383; the network has 385 M, as timm's",
    ),
}
