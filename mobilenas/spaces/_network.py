"""The networks of a SpacePlan, by the values that are chosen for its fields."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from mobilenas.blocks import Block, Head, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.graph import Shape
from mobilenas.spaces._plan import LAYER_FIELDS, STAGE_FIELDS, SpacePlan
from mobilenas.spaces.space import Choice

Values = Mapping[str, Choice]
"""Chosen values by name, those that leave no choice included."""
RESOLUTION, WIDTH = "resolution", "width_multiplier"


class PlannedNetworks:
    """Builds the parts of a plan's networks. Stages and layers count from 0, in names from 1.

    Args:
        plan: The plan.
    """

    def __init__(self, plan: SpacePlan) -> None:
        self._plan = plan

    @cached_property
    def fields(self) -> Mapping[str, tuple[Choice, ...]]:
        """Every field with its choices, in genotype order."""
        found: dict[str, tuple[Choice, ...]] = {
            RESOLUTION: self._plan.resolution,
            WIDTH: self._plan.width_multiplier,
        }
        for i, stage in enumerate(self._plan.stages):
            for prefix in dict.fromkeys(self.prefix(i, layer) for layer in range(max(stage.layers))):
                found |= {f"{prefix}.{name}": getattr(stage, name) for name in LAYER_FIELDS}
            found |= {f"stage{i + 1}.{name}": getattr(stage, name) for name in STAGE_FIELDS}
        return found

    def prefix(self, stage: int, layer: int) -> str:
        """What the names of a layer's choices begin with."""
        return f"stage{stage + 1}.layer{layer + 1}" if self._plan.stages[stage].layerwise else f"stage{stage + 1}"

    def stem(self, values: Values) -> ConvBnAct:
        return replace(self._plan.stem, out_channels=_scaled(self._plan.stem.out_channels, values))

    def head(self, values: Values) -> Head:
        head = self._plan.head
        for name in ("expanded_channels", "out_channels"):
            if hasattr(head, name):
                head = replace(head, **{name: _scaled(getattr(head, name), values)})
        return head

    def layer(self, stage: int, layer: int, values: Values, in_channels: int) -> Block:
        """A layer; `in_channels` counts for the first one only."""
        choices, prefix = self._plan.stages[stage], self.prefix(stage, layer)
        out_channels = self.out_channels(stage, values)
        return choices.layer(
            conv_op=str(values[f"{prefix}.conv_op"]),
            kernel_size=int(values[f"{prefix}.kernel_size"]),
            se_ratio=float(values[f"{prefix}.se_ratio"]),
            skip=str(values[f"{prefix}.skip"]),
            in_channels=out_channels if layer else in_channels,
            out_channels=out_channels,
            stride=1 if layer else choices.stride,
        )

    def stage(self, stage: int, values: Values) -> tuple[Block, ...]:
        channels = self.in_channels(stage, values)
        return tuple(self.layer(stage, n, values, channels) for n in range(int(values[f"stage{stage + 1}.layers"])))

    def out_channels(self, stage: int, values: Values) -> int:
        return _scaled(int(values[f"stage{stage + 1}.out_channels"]), values)

    def in_channels(self, stage: int, values: Values) -> int:
        return self.out_channels(stage - 1, values) if stage else self.stem(values).out_channels

    def size(self, stage: int, values: Values) -> int:
        """Height and width of what a stage reads."""
        size = int(values[RESOLUTION])
        for stride in (self._plan.stem.stride, *(each.stride for each in self._plan.stages[:stage])):
            size = -(-size // stride)
        return size

    def shape(self, stage: int, values: Values) -> Shape:
        """What a stage reads."""
        size = self.size(stage, values)
        return size, size, self.in_channels(stage, values)


def _scaled(channels: int, values: Values) -> int:
    width = float(values[WIDTH])
    return channels if width == 1 else make_divisible(channels * width)
