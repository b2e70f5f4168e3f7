"""The factorized hierarchical space of MnasNet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

from mobilenas.arch import Arch
from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.graph import OpSpec, Shape
from mobilenas.spaces._emitted import head_ops, row_ops
from mobilenas.spaces.space import Choice, Factor, Genotype, SearchSpace

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
STRIDES = (1, 2, 2, 2, 1, 2, 1)
FILTERS = tuple(
    tuple(dict.fromkeys(make_divisible(base * factor) for factor in (0.75, 1.0, 1.25)))
    for base in (16, 24, 32, 64, 96, 160, 320)
)
"""Choices of each block; small blocks have two, since two of three round to the same multiple of 8."""
LAYERS = tuple(tuple(n for n in (base - 1, base, base + 1) if n >= 1) for base in (1, 2, 3, 4, 3, 3, 1))

CONV_OPS = ("conv", "depthwise_separable", "mbconv3", "mbconv6")
KERNEL_SIZES = (3, 5)
SE_RATIOS = (0.0, 0.25)
SKIPS = ("pool", "identity", "none")
RESIDUALS: tuple[bool | Literal["pool"], ...] = ("pool", True, False)
"""The skips as blocks call them."""

DECISIONS_A_BLOCK = 6
FILTERS_DECISION = 4
"""Place of the filters among the decisions of a block."""


class MnasNetSpace(SearchSpace):
    """Seven blocks of like layers; every block chooses the kind of layer, how many of them, and their filters.

    Per block: convolution (regular, depthwise-separable, MBConv with expansion 3 or 6), kernel 3 or 5,
    squeeze-and-excitation 0 or 0.25 of the layer's input, skip (pooling, identity, none), filters 0.75, 1 or 1.25 times
    and layers -1, 0 or +1 those of MobileNetV2. Squeeze-and-excitation and skip have no effect on a regular conv,
    nor has a skip where the shapes do not agree, so that several genotypes may be one network.

    Args:
        resolution: Input size in pixels.
        num_classes: Number of classes.

    Source: MnasNet, arXiv 1807.11626, section 4.1 and figure 4; the base is MobileNetV2's, arXiv 1801.04381, table 2.
    Differs from the paper: it does not say which expansions MBConv may have (here 3 and 6, those of its own networks),
    what the pooling is (here a 3x3 max pool), nor how filters are rounded (here to multiples of 8); a block has one
    layer or more.
    """

    name = "mnasnet"

    def __init__(self, *, resolution: int = 224, num_classes: int = 1000) -> None:
        super().__init__(resolution=resolution, num_classes=num_classes)
        self._stem = ConvBnAct(out_channels=STEM_CHANNELS, stride=2)
        self._head = ConvPoolLinear(out_channels=HEAD_CHANNELS)

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        found: dict[str, tuple[Choice, ...]] = {}
        for i, (filters, layers) in enumerate(zip(FILTERS, LAYERS, strict=True), 1):
            found |= {
                f"block{i}.conv_op": CONV_OPS,
                f"block{i}.kernel_size": KERNEL_SIZES,
                f"block{i}.se_ratio": SE_RATIOS,
                f"block{i}.skip": SKIPS,
                f"block{i}.filters": filters,
                f"block{i}.layers": layers,
            }
        return found

    def decode(self, genotype: Sequence[int]) -> Arch:
        checked = self.check(genotype)
        stages, channels = [], STEM_CHANNELS
        for index in range(len(STRIDES)):
            choices = checked[index * DECISIONS_A_BLOCK : (index + 1) * DECISIONS_A_BLOCK]
            stages.append(_stage(index, choices, channels))
            channels = FILTERS[index][choices[FILTERS_DECISION]]
        return Arch(
            stem=self._stem,
            stages=tuple(stages),
            head=self._head,
            resolution=self.resolution,
            num_classes=self.num_classes,
            name=f"{self.name}-{''.join(map(str, checked))}",
        )

    def factors(self) -> tuple[Factor, ...]:
        return self._factors

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        found = [Factor((), lambda choices: row_ops((self._stem,), (self.resolution, self.resolution, 3)))]
        size = -(-self.resolution // 2)
        for index, stride in enumerate(STRIDES):
            found.append(_stage_factor(index, size))
            size = -(-size // stride)
        filters = FILTERS[-1]
        found.append(
            Factor(
                (len(self.decisions) - DECISIONS_A_BLOCK + FILTERS_DECISION,),
                lambda choices: head_ops(self._head, (size, size, filters[choices[0]]), self.num_classes),
            )
        )
        return tuple(found)


def _stage_factor(index: int, size: int) -> Factor:
    """The ops of one block, by the filters before it and its own decisions."""
    first = index * DECISIONS_A_BLOCK
    own = tuple(range(first, first + DECISIONS_A_BLOCK))
    if index == 0:
        return Factor(own, lambda choices: _stage_ops(index, choices, (size, size, STEM_CHANNELS)))
    before = FILTERS[index - 1]
    return Factor(
        (first - DECISIONS_A_BLOCK + FILTERS_DECISION, *own),
        lambda choices: _stage_ops(index, choices[1:], (size, size, before[choices[0]])),
    )


def _stage_ops(index: int, choices: Genotype, in_shape: Shape) -> Counter[OpSpec]:
    return row_ops(_stage(index, choices, in_shape[2]), in_shape)


def _stage(index: int, choices: Genotype, in_channels: int) -> tuple[Block, ...]:
    """The layers of one block; all but the first have stride 1 and the block's own filters before them."""
    conv_op, kernel_size, se_ratio, skip, filters, layers = choices
    out_channels = FILTERS[index][filters]
    return tuple(
        _layer(
            CONV_OPS[conv_op],
            in_channels=out_channels if n else in_channels,
            out_channels=out_channels,
            kernel_size=KERNEL_SIZES[kernel_size],
            stride=1 if n else STRIDES[index],
            se_ratio=SE_RATIOS[se_ratio],
            residual=RESIDUALS[skip],
        )
        for n in range(LAYERS[index][layers])
    )


def _layer(
    conv_op: str,
    *,
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    stride: int,
    se_ratio: float,
    residual: bool | Literal["pool"],
) -> Block:
    if conv_op == "conv":
        return ConvBnAct(out_channels=out_channels, kernel_size=kernel_size, stride=stride)
    if conv_op == "depthwise_separable":
        return DepthwiseSeparable.from_ratios(
            in_channels=in_channels,
            out_channels=out_channels,
            se_ratio=se_ratio,
            kernel_size=kernel_size,
            stride=stride,
            residual=residual,
        )
    return MBConv.from_ratios(
        in_channels=in_channels,
        out_channels=out_channels,
        expand_ratio=int(conv_op.removeprefix("mbconv")),
        se_ratio=se_ratio,
        kernel_size=kernel_size,
        stride=stride,
        residual=residual,
    )
