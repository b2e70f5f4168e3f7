"""Finder: which choices of a plan a network is."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

from mobilenas.arch import Arch
from mobilenas.blocks import Block, Head
from mobilenas.graph import Shape
from mobilenas.spaces._emitted import block_graph, head_graph
from mobilenas.spaces._network import RESOLUTION, WIDTH, PlannedNetworks, Values
from mobilenas.spaces._plan import LAYER_FIELDS, SpacePlan
from mobilenas.spaces.space import Choice


class Finder:
    """Finds networks in a plan by what they compute; how their blocks are grouped and set does not matter.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: SpacePlan) -> None:
        self._plan, self._networks = plan, PlannedNetworks(plan)
        self._layers: dict[tuple[int, bool, int, int], Mapping[tuple[Choice, ...], Block]] = {}

    def values(self, arch: Arch, num_classes: int) -> dict[str, Choice] | None:
        """Values of the plan's fields by which its network is `arch`; those without effect may be missing.

        Raises:
            InputError: If the network cannot be.
        """
        blocks = [block for stage in arch.stages for block in stage]
        if arch.resolution not in self._plan.resolution or arch.num_classes != num_classes:
            return None
        image = (arch.resolution, arch.resolution, 3)
        for width in self._plan.width_multiplier:
            values: dict[str, Choice] = {RESOLUTION: arch.resolution, WIDTH: width}
            if not _equal_graphs(arch.stem, self._networks.stem(values), image):
                continue
            for found, end in self._matches(0, blocks, values, _out_shape(arch.stem, image)):
                if _same_head(arch.head, self._networks.head(found), end, num_classes):
                    return found
        return None

    def _matches(
        self, stage: int, blocks: Sequence[Block], values: dict[str, Choice], shape: Shape
    ) -> Iterator[tuple[dict[str, Choice], Shape]]:
        """Values by which the stages from `stage` on are `blocks`, and the shape behind them."""
        if stage == len(self._plan.stages):
            if not blocks:
                yield values, shape
            return
        choices = self._plan.stages[stage]
        for out_channels, layers in product(choices.out_channels, choices.layers):
            if layers > len(blocks):
                continue
            outer = values | {f"stage{stage + 1}.out_channels": out_channels, f"stage{stage + 1}.layers": layers}
            found = self._matching_layers(stage, blocks[:layers], outer, shape)
            if found is not None:
                yield from self._matches(stage + 1, blocks[layers:], *found)

    def _matching_layers(
        self, stage: int, blocks: Sequence[Block], values: dict[str, Choice], shape: Shape
    ) -> tuple[dict[str, Choice], Shape] | None:
        """Values by which the layers of a stage are `blocks`, and the shape behind them; None if there are none."""
        shapes = [shape]
        for block in blocks:
            shapes.append(_out_shape(block, shapes[-1]))
        layerwise = self._plan.stages[stage].layerwise
        for same in (_equal, _equal_graphs):  # the first is fast, and nearly always enough
            found, common = dict(values), None
            for layer, block in enumerate(blocks):
                layers = self._all_layers(stage, layer, values, shapes[layer][2])
                fits = [options for options, other in layers.items() if same(block, other, shapes[layer])]
                common = fits if common is None or layerwise else [options for options in common if options in fits]
                if not common:
                    break
                prefix = self._networks.prefix(stage, layer)
                found |= {f"{prefix}.{name}": v for name, v in zip(LAYER_FIELDS, common[0], strict=True)}
            if common:
                return found, shapes[-1]
        return None

    def _all_layers(
        self, stage: int, layer: int, values: Values, in_channels: int
    ) -> Mapping[tuple[Choice, ...], Block]:
        """What a layer may be, by its choices; the stage's and the network's are given."""
        key = (stage, layer > 0, in_channels, self._networks.out_channels(stage, values))
        if key not in self._layers:
            choices, prefix = self._plan.stages[stage], self._networks.prefix(stage, layer)
            found = {}
            for options in product(*(getattr(choices, name) for name in LAYER_FIELDS)):
                own = {f"{prefix}.{name}": value for name, value in zip(LAYER_FIELDS, options, strict=True)}
                found[options] = self._networks.layer(stage, layer, {**values, **own}, in_channels)
            self._layers[key] = found
        return self._layers[key]


def _equal(block: Block, other: Block, shape: Shape) -> bool:
    return block == other


def _equal_graphs(block: Block, other: Block, shape: Shape) -> bool:
    """Different settings may compute the same, such as a skip where the shapes do not agree."""
    return block_graph(block, shape) == block_graph(other, shape)


def _out_shape(block: Block, shape: Shape) -> Shape:
    graph = block_graph(block, shape)
    return graph.value_shapes[graph.outputs[0]]


def _same_head(head: Head, other: Head, shape: Shape, num_classes: int) -> bool:
    return head_graph(head, shape, num_classes) == head_graph(other, shape, num_classes)
