"""StagedSpace: the networks of a SpacePlan."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product

from mobilenas.arch import Arch
from mobilenas.blocks import Block, Head, make_divisible
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.errors import InputError
from mobilenas.graph import Shape
from mobilenas.spaces._emitted import Emitted, block_graph, head_graph, head_ops, row_ops
from mobilenas.spaces._plan import LAYER_FIELDS, STAGE_FIELDS, SpacePlan
from mobilenas.spaces.space import Choice, Factor, Genotype, SearchSpace

Values = Mapping[str, Choice]
"""Chosen values by name, those that leave no choice included."""
RESOLUTION, WIDTH = "resolution", "width_multiplier"
LONGEST_GENOTYPE = 120
"""Characters of a genotype in a network's name; a longer one is told by its hash."""


class StagedSpace(SearchSpace):
    """Stages of layers; what has more than one choice in the plan is a decision.

    Decisions are called `resolution`, `width_multiplier`, `stage1.kernel_size`, or `stage1.layer1.kernel_size` where
    the stage is layerwise. A layer that a chosen number of layers leaves out has decisions without effect, so that
    several genotypes may be one network.

    Args:
        plan: The stages and their choices.
        resolution: The only input size, in pixels; by default the plan's choices.
        num_classes: Number of classes.

    Raises:
        InputError: If the plan leaves nothing to choose.
    """

    def __init__(self, plan: SpacePlan, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        self.plan = plan if resolution is None else replace(plan, resolution=(resolution,))
        super().__init__(resolution=max(self.plan.resolution), num_classes=num_classes)
        self.name = plan.name
        if not self.decisions:
            raise InputError(f"{plan.name}: no field has more than one choice; give one a list of several")

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        return {name: choices for name, choices in self._fields.items() if len(choices) > 1}

    def decode(self, genotype: Sequence[int]) -> Arch:
        checked = self.check(genotype)
        values = self._fixed | {
            name: choices[i] for (name, choices), i in zip(self.decisions.items(), checked, strict=True)
        }
        return Arch(
            stem=self._stem(values),
            stages=tuple(self._stage(i, values) for i in range(len(self.plan.stages))),
            head=self._head(values),
            resolution=int(values[RESOLUTION]),
            num_classes=self.num_classes,
            name=f"{self.name}-{_text(checked)}",
        )

    def factors(self) -> tuple[Factor, ...]:
        return self._factors

    def find(self, arch: Arch) -> Genotype | None:
        """The genotype whose network computes the same as `arch`; None if none does.

        Decisions without effect stand at their first choice.

        Raises:
            InputError: If the network cannot be.
        """
        blocks = [block for stage in arch.stages for block in stage]
        if arch.resolution not in self.plan.resolution:
            return None
        for width in self.plan.width_multiplier:
            values = self._first | {RESOLUTION: arch.resolution, WIDTH: width}
            shape = (arch.resolution, arch.resolution, 3)
            if block_graph(arch.stem, shape) != block_graph(self._stem(values), shape):
                continue
            for found, end in self._matches(0, blocks, values, _out_shape(arch.stem, shape)):
                if _same_end(arch, self._head(found), end, self.num_classes):
                    genotype = self.encode({name: found[name] for name in self.decisions})
                    own = self.decode(genotype)
                    same = (own.padding, own.bn_epsilon) == (arch.padding, arch.bn_epsilon)
                    return genotype if same else None
        return None

    @cached_property
    def _fields(self) -> Mapping[str, tuple[Choice, ...]]:
        """Every field with its choices, in genotype order."""
        found: dict[str, tuple[Choice, ...]] = {
            RESOLUTION: self.plan.resolution,
            WIDTH: self.plan.width_multiplier,
        }
        for i, stage in enumerate(self.plan.stages):
            for prefix in dict.fromkeys(self._prefix(i, layer) for layer in range(max(stage.layers))):
                found |= {f"{prefix}.{name}": getattr(stage, name) for name in LAYER_FIELDS}
            found |= {f"stage{i + 1}.{name}": getattr(stage, name) for name in STAGE_FIELDS}
        return found

    @cached_property
    def _first(self) -> dict[str, Choice]:
        return {name: choices[0] for name, choices in self._fields.items()}

    @cached_property
    def _fixed(self) -> dict[str, Choice]:
        return {name: choices[0] for name, choices in self._fields.items() if len(choices) == 1}

    def _prefix(self, stage: int, layer: int) -> str:
        """What the names of a layer's choices begin with."""
        return f"stage{stage + 1}.layer{layer + 1}" if self.plan.stages[stage].layerwise else f"stage{stage + 1}"

    def _stem(self, values: Values) -> ConvBnAct:
        return replace(self.plan.stem, out_channels=_scaled(self.plan.stem.out_channels, values))

    def _head(self, values: Values) -> Head:
        head = self.plan.head
        for name in ("expanded_channels", "out_channels"):
            if hasattr(head, name):
                head = replace(head, **{name: _scaled(getattr(head, name), values)})
        return head

    def _layer(self, stage: int, layer: int, values: Values, in_channels: int) -> Block:
        """A layer; `in_channels` counts for the first one only."""
        choices, prefix = self.plan.stages[stage], self._prefix(stage, layer)
        out_channels = self._out_channels(stage, values)
        return choices.layer(
            conv_op=str(values[f"{prefix}.conv_op"]),
            kernel_size=int(values[f"{prefix}.kernel_size"]),
            se_ratio=float(values[f"{prefix}.se_ratio"]),
            skip=str(values[f"{prefix}.skip"]),
            in_channels=out_channels if layer else in_channels,
            out_channels=out_channels,
            stride=1 if layer else choices.stride,
        )

    def _stage(self, stage: int, values: Values) -> tuple[Block, ...]:
        channels = self._in_channels(stage, values)
        return tuple(self._layer(stage, n, values, channels) for n in range(int(values[f"stage{stage + 1}.layers"])))

    def _out_channels(self, stage: int, values: Values) -> int:
        return _scaled(int(values[f"stage{stage + 1}.out_channels"]), values)

    def _in_channels(self, stage: int, values: Values) -> int:
        return self._out_channels(stage - 1, values) if stage else self._stem(values).out_channels

    def _size(self, stage: int, values: Values) -> int:
        """Height and width of what a stage reads."""
        size = int(values[RESOLUTION])
        for stride in (self.plan.stem.stride, *(each.stride for each in self.plan.stages[:stage])):
            size = -(-size // stride)
        return size

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        found = [self._factor((), lambda values: row_ops((self._stem(values),), _image(values)))]
        for i, stage in enumerate(self.plan.stages):
            if stage.layerwise:
                found += [self._layer_factor(i, layer) for layer in range(max(stage.layers))]
            else:
                found.append(self._stage_factor(i))
        last = len(self.plan.stages)
        found.append(
            self._factor(
                (f"stage{last}.out_channels",),
                lambda values: head_ops(self._head(values), self._shape(last, values), self.num_classes),
            )
        )
        return tuple(found)

    def _shape(self, stage: int, values: Values) -> Shape:
        """What a stage reads."""
        size = self._size(stage, values)
        return size, size, self._in_channels(stage, values)

    def _before(self, stage: int) -> tuple[str, ...]:
        return (f"stage{stage}.out_channels",) if stage else ()

    def _stage_factor(self, stage: int) -> Factor:
        own = [f"stage{stage + 1}.{name}" for name in (*LAYER_FIELDS, *STAGE_FIELDS)]
        return self._factor(
            (*self._before(stage), *own),
            lambda values: row_ops(self._stage(stage, values), self._shape(stage, values)),
        )

    def _layer_factor(self, stage: int, layer: int) -> Factor:
        """A layer on its own; it emits nothing where the chosen number of layers leaves it out."""
        own = [f"{self._prefix(stage, layer)}.{name}" for name in LAYER_FIELDS]
        shared = [f"stage{stage + 1}.out_channels"]
        if layer == 0:
            return self._factor(
                (*self._before(stage), *own, *shared),
                lambda values: row_ops(
                    (self._layer(stage, 0, values, self._in_channels(stage, values)),), self._shape(stage, values)
                ),
            )

        def emit(values: Values) -> Emitted:
            if layer >= int(values[f"stage{stage + 1}.layers"]):
                return Emitted()
            return row_ops((self._layer(stage, layer, values, 0),), self._shape(stage + 1, values))

        return self._factor((*own, *shared, f"stage{stage + 1}.layers"), emit)

    def _factor(self, names: Iterable[str], emit: Callable[[Values], Emitted]) -> Factor:
        """The factor of those of the named fields, and of those of the whole network, that are decisions."""
        order = list(self.decisions)
        chosen = [name for name in (RESOLUTION, WIDTH, *names) if name in self.decisions]

        def of_choices(choices: Genotype) -> Emitted:
            values = {name: self.decisions[name][i] for name, i in zip(chosen, choices, strict=True)}
            return emit(self._first | values)

        return Factor(tuple(order.index(name) for name in chosen), of_choices)

    def _matches(
        self, stage: int, blocks: Sequence[Block], values: dict[str, Choice], shape: Shape
    ) -> Iterator[tuple[dict[str, Choice], Shape]]:
        """Values by which the stages from `stage` on are `blocks`, and the shape behind them."""
        if stage == len(self.plan.stages):
            if not blocks:
                yield values, shape
            return
        choices = self.plan.stages[stage]
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
        choices = self.plan.stages[stage]
        common: list[tuple[Choice, ...]] | None = None
        for layer, block in enumerate(blocks):
            graph, prefix = block_graph(block, shape), self._prefix(stage, layer)
            fits = []
            options = product(*(getattr(choices, name) for name in LAYER_FIELDS))
            for option in options if common is None or choices.layerwise else common:
                tried = values | {f"{prefix}.{name}": v for name, v in zip(LAYER_FIELDS, option, strict=True)}
                if block_graph(self._layer(stage, layer, tried, shape[2]), shape) == graph:
                    fits.append(option)
            if not fits:
                return None
            common = fits
            values = values | {f"{prefix}.{name}": v for name, v in zip(LAYER_FIELDS, fits[0], strict=True)}
            shape = _out_shape(block, shape)
        return values, shape


def _image(values: Values) -> Shape:
    return int(values[RESOLUTION]), int(values[RESOLUTION]), 3


def _scaled(channels: int, values: Values) -> int:
    width = float(values[WIDTH])
    return channels if width == 1 else make_divisible(channels * width)


def _out_shape(block: Block, shape: Shape) -> Shape:
    graph = block_graph(block, shape)
    return graph.value_shapes[graph.outputs[0]]


def _same_end(arch: Arch, head: Head, shape: Shape, num_classes: int) -> bool:
    own = head_graph(head, shape, num_classes)
    return arch.num_classes == num_classes and head_graph(arch.head, shape, num_classes) == own


def _text(genotype: Genotype) -> str:
    """A short text that tells genotypes apart."""
    text = "".join(map(str, genotype)) if max(genotype) < 10 else bytes(genotype).hex()
    return text if len(text) <= LONGEST_GENOTYPE else hashlib.sha256(bytes(genotype)).hexdigest()[:32]
