"""The space of NAS-Bench-Macro."""

from collections.abc import Mapping, Sequence
from functools import cached_property

from mobilenas.arch import Arch
from mobilenas.blocks import Block
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.spaces._emitted import Emitted, head_ops, row_ops
from mobilenas.spaces.space import Choice, Factor, Genotype, SearchSpace

STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
LAYERS = ((2, 64), (1, 64), (2, 128), (1, 128), (1, 128), (2, 256), (1, 256), (1, 256))
"""Stride and channels of every layer."""
STAGES = ((0, 2), (2, 5), (5, 8))
"""First layer of every stage, and the one after its last."""
OPS = ("identity", "mb3_k3", "mb6_k5")
MBCONVS = {"mb3_k3": (3, 3), "mb6_k5": (6, 5)}
"""Expansion and kernel size."""


class NasBenchMacroSpace(SearchSpace):
    """Eight layers, each an identity or one of two MBConvs: 6,561 networks that were all trained on CIFAR-10.

    An identity that changes the shape is a 1x1 convolution without activation.

    Args:
        resolution: Input size in pixels; 32 by default.
        num_classes: Number of classes.

    Source: Su et al., arXiv 2103.11922, section 4 and its appendix, and the network definition of the benchmark.
    Differs from the paper: nothing.
    """

    name = "nas_bench_macro"

    def __init__(self, *, resolution: int | None = None, num_classes: int = 10) -> None:
        super().__init__(resolution=32 if resolution is None else resolution, num_classes=num_classes)
        self._stem = ConvBnAct(out_channels=STEM_CHANNELS)
        self._head = ConvPoolLinear(out_channels=HEAD_CHANNELS)

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        return {f"layer{i}": OPS for i in range(1, len(LAYERS) + 1)}

    def decode(self, genotype: Sequence[int]) -> Arch:
        checked = self.check(genotype)
        layers = [_layer(index, OPS[choice]) for index, choice in enumerate(checked)]
        return Arch(
            stem=self._stem,
            stages=tuple(tuple(block for block in layers[start:stop] if block) for start, stop in STAGES),
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
        size = self.resolution
        for index, (stride, _) in enumerate(LAYERS):
            found.append(_factor(index, size))
            size = -(-size // stride)
        shape = (size, size, LAYERS[-1][1])
        found.append(Factor((), lambda choices: head_ops(self._head, shape, self.num_classes)))
        return tuple(found)


def _factor(index: int, size: int) -> Factor:
    def emit(choices: Genotype) -> Emitted:
        block = _layer(index, OPS[choices[0]])
        return row_ops([block] if block else [], (size, size, _in_channels(index)))

    return Factor((index,), emit)


def _layer(index: int, op: str) -> Block | None:
    """One layer; None where nothing is between its input and its output."""
    stride, out_channels = LAYERS[index]
    if op == "identity":
        if stride == 1 and out_channels == _in_channels(index):
            return None
        return ConvBnAct(out_channels=out_channels, kernel_size=1, stride=stride, activation="none")
    expand_ratio, kernel_size = MBCONVS[op]
    return MBConv.from_ratios(
        in_channels=_in_channels(index),
        out_channels=out_channels,
        expand_ratio=expand_ratio,
        kernel_size=kernel_size,
        stride=stride,
    )


def _in_channels(index: int) -> int:
    return LAYERS[index - 1][1] if index else STEM_CHANNELS
