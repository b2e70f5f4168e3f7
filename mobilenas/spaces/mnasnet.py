"""The factorized hierarchical space of MnasNet."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache

from mobilenas.arch import Arch
from mobilenas.blocks import Block, make_divisible
from mobilenas.blocks._skip import Skip
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.graph import GraphBuilder, OpSpec, Shape
from mobilenas.spaces.space import Choice, Factor, Genotype, SearchSpace

STEM_CHANNELS = 32
BASE_FILTERS = (16, 24, 32, 64, 96, 160, 320)
BASE_LAYERS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
HEAD_CHANNELS = 1280

CONV_OPS = ("conv", "depthwise_separable", "mbconv3", "mbconv6")
KERNEL_SIZES = (3, 5)
SE_RATIOS = (0.0, 0.25)
SKIPS = ("pool", "identity", "none")
FILTER_FACTORS = (0.75, 1.0, 1.25)
DECISIONS_A_BLOCK = 6


class MnasNetSpace(SearchSpace):
    """Seven blocks of identical layers; every block chooses its layer type, and how many of how many filters.

    Per block: convolution (regular, depthwise-separable, MBConv with expansion 3 or 6), kernel 3 or 5, squeeze-and-excitation
    0 or 0.25 of the layer's input, skip (pooling, identity, none), filters 0.75, 1 or 1.25 times and layers -1, 0 or +1 those
    of MobileNetV2. A regular convolution has neither squeeze-and-excitation nor skip.

    Args:
        resolution: Input size in pixels.
        num_classes: Number of classes.

    Source: MnasNet, arXiv 1807.11626, section 4.1 and figure 4.
    Differs from the paper: which expansions MBConv may have, the kind of pooling and the bounds of layers are not stated
    there; here 3 and 6 (those of its own networks), a 3x3 max pool, and at least one layer.
    """

    name = "mnasnet"

    def __init__(self, *, resolution: int = 224, num_classes: int = 1000) -> None:
        self.resolution, self.num_classes = resolution, num_classes
        self._stem = ConvBnAct(out_channels=STEM_CHANNELS, stride=2)
        self._head = ConvPoolLinear(out_channels=HEAD_CHANNELS)

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        found: dict[str, tuple[Choice, ...]] = {}
        for i, layers in enumerate(BASE_LAYERS):
            found |= {
                f"block{i + 1}.conv_op": CONV_OPS,
                f"block{i + 1}.kernel_size": KERNEL_SIZES,
                f"block{i + 1}.se_ratio": SE_RATIOS,
                f"block{i + 1}.skip": SKIPS,
                f"block{i + 1}.filters": tuple(make_divisible(BASE_FILTERS[i] * f) for f in FILTER_FACTORS),
                f"block{i + 1}.layers": tuple(n for n in (layers - 1, layers, layers + 1) if n >= 1),
            }
        return found

    def decode(self, genotype: Sequence[int]) -> Arch:
        checked = self.check(genotype)
        channels, stages = STEM_CHANNELS, []
        for index in range(len(BASE_LAYERS)):
            stage = self._stage(index, checked[index * DECISIONS_A_BLOCK : (index + 1) * DECISIONS_A_BLOCK], channels)
            stages.append(stage)
            channels = self._filters(index)[checked[index * DECISIONS_A_BLOCK + 4]]
        return Arch(
            stem=self._stem,
            stages=tuple(stages),
            head=self._head,
            resolution=self.resolution,
            num_classes=self.num_classes,
            name=f"{self.name}-{''.join(map(str, checked))}",
        )

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        size = -(-self.resolution // 2)

        def emit_stem(choices: Genotype) -> Counter[OpSpec]:
            return _ops_of((self._stem,), (self.resolution, self.resolution, 3))

        found = [Factor((), emit_stem)]
        for index, stride in enumerate(STRIDES):
            found.append(self._stage_factor(index, size))
            size = -(-size // stride)
        filters = self._filters(len(STRIDES) - 1)

        def emit_head(choices: Genotype) -> Counter[OpSpec]:
            builder = GraphBuilder((size, size, filters[choices[0]]))
            return builder.finish(self._head.emit(builder, builder.inputs[0], self.num_classes)).op_counts()

        found.append(Factor(((len(STRIDES) - 1) * DECISIONS_A_BLOCK + 4,), emit_head))
        return tuple(found)

    def factors(self) -> tuple[Factor, ...]:
        return self._factors

    def _stage_factor(self, index: int, size: int) -> Factor:
        first = index * DECISIONS_A_BLOCK
        own = tuple(range(first, first + DECISIONS_A_BLOCK))
        if index == 0:
            return Factor(own, lambda choices: self._stage_ops(0, choices, (size, size, STEM_CHANNELS)))
        before = self._filters(index - 1)
        return Factor(
            (first - 2, *own),
            lambda choices: self._stage_ops(index, choices[1:], (size, size, before[choices[0]])),
        )

    def _stage_ops(self, index: int, choices: Genotype, in_shape: Shape) -> Counter[OpSpec]:
        return _ops_of(self._stage(index, choices, in_shape[2]), in_shape)

    def _stage(self, index: int, choices: Genotype, in_channels: int) -> tuple[Block, ...]:
        """The layers of one block; every layer but the first has stride 1 and the block's own filters before it."""
        conv_op, kernel_size, se_ratio, skip = (
            options[i]
            for options, i in zip((CONV_OPS, KERNEL_SIZES, SE_RATIOS, SKIPS), choices[:4], strict=True)
        )
        out_channels = self._filters(index)[choices[4]]
        layers = [n for n in (BASE_LAYERS[index] - 1, BASE_LAYERS[index], BASE_LAYERS[index] + 1) if n >= 1][choices[5]]
        settings = (str(conv_op), int(kernel_size), float(se_ratio), str(skip), out_channels)
        return tuple(
            _layer(*settings, out_channels if n else in_channels, 1 if n else STRIDES[index]) for n in range(layers)
        )

    @staticmethod
    def _filters(index: int) -> tuple[int, ...]:
        return tuple(make_divisible(BASE_FILTERS[index] * factor) for factor in FILTER_FACTORS)


def _layer(
    conv_op: str, kernel_size: int, se_ratio: float, skip: str, out_channels: int, in_channels: int, stride: int
) -> Block:
    residual: Skip = "pool" if skip == "pool" else skip == "identity"
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


@lru_cache(maxsize=100_000)
def _block_ops(block: Block, in_shape: Shape) -> tuple[Counter[OpSpec], Shape]:
    builder = GraphBuilder(in_shape)
    out = block.emit(builder, builder.inputs[0])
    return builder.finish(out).op_counts(), out.shape


def _ops_of(blocks: Sequence[Block], shape: Shape) -> Counter[OpSpec]:
    """Op counts of blocks in a row."""
    total: Counter[OpSpec] = Counter()
    for block in blocks:
        counts, shape = _block_ops(block, shape)
        total.update(counts)
    return total
