"""StagedSpace: the networks of a SpacePlan."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.graph import Shape
from mobilenas.spaces._emitted import Emitted, head_ops, row_ops
from mobilenas.spaces._finder import Finder
from mobilenas.spaces._network import RESOLUTION, WIDTH, PlannedNetworks, Values
from mobilenas.spaces._plan import LAYER_FIELDS, STAGE_FIELDS, SpacePlan
from mobilenas.spaces.space import Choice, Factor, Genotype, SearchSpace

MOST_COMBINATIONS = 500_000
"""Of the choices of all factors: each is built once, which takes half a minute for so many."""
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
        InputError: If the plan leaves nothing to choose, or its factors have more than 500,000 combinations.
    """

    def __init__(self, plan: SpacePlan, *, resolution: int | None = None, num_classes: int = 1000) -> None:
        self.plan = plan if resolution is None else replace(plan, resolution=(resolution,))
        super().__init__(resolution=max(self.plan.resolution), num_classes=num_classes)
        self.name = plan.name
        self._networks = PlannedNetworks(self.plan)
        if not self.decisions:
            raise InputError(f"{plan.name}: no field has more than one choice; give one a list of several")
        combinations = sum(prod(self.sizes[d] for d in factor.decisions) for factor in self._factors)
        if combinations > MOST_COMBINATIONS:
            raise InputError(
                f"{plan.name}: {combinations:.2g} combinations of the choices of single stages are not accepted; give "
                f"fewer choices or layerwise stages, so that there are at most {MOST_COMBINATIONS}"
            )

    @cached_property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        return {name: choices for name, choices in self._networks.fields.items() if len(choices) > 1}

    def decode(self, genotype: Sequence[int]) -> Arch:
        checked = self.check(genotype)
        values = self._fixed | {
            name: choices[i] for (name, choices), i in zip(self.decisions.items(), checked, strict=True)
        }
        return Arch(
            stem=self._networks.stem(values),
            stages=tuple(self._networks.stage(i, values) for i in range(len(self.plan.stages))),
            head=self._networks.head(values),
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
        found = self._finder.values(arch, self.num_classes)
        if found is None:
            return None
        genotype = self.encode({name: (self._first | found)[name] for name in self.decisions})
        own = self.decode(genotype)
        return genotype if (own.padding, own.bn_epsilon) == (arch.padding, arch.bn_epsilon) else None

    @cached_property
    def _finder(self) -> Finder:
        return Finder(self.plan)

    @cached_property
    def _first(self) -> dict[str, Choice]:
        return {name: choices[0] for name, choices in self._networks.fields.items()}

    @cached_property
    def _fixed(self) -> dict[str, Choice]:
        return {name: choices[0] for name, choices in self._networks.fields.items() if len(choices) == 1}

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        found = [self._factor((), lambda values: row_ops((self._networks.stem(values),), _image(values)))]
        for i, stage in enumerate(self.plan.stages):
            if stage.layerwise:
                found += [self._layer_factor(i, layer) for layer in range(max(stage.layers))]
            else:
                found.append(self._stage_factor(i))
        last = len(self.plan.stages)
        found.append(
            self._factor(
                (f"stage{last}.out_channels",),
                lambda values: head_ops(
                    self._networks.head(values), self._networks.shape(last, values), self.num_classes
                ),
            )
        )
        return tuple(found)

    def _before(self, stage: int) -> tuple[str, ...]:
        return (f"stage{stage}.out_channels",) if stage else ()

    def _stage_factor(self, stage: int) -> Factor:
        own = [f"stage{stage + 1}.{name}" for name in (*LAYER_FIELDS, *STAGE_FIELDS)]
        return self._factor(
            (*self._before(stage), *own),
            lambda values: row_ops(self._networks.stage(stage, values), self._networks.shape(stage, values)),
        )

    def _layer_factor(self, stage: int, layer: int) -> Factor:
        """A layer on its own; it emits nothing where the chosen number of layers leaves it out."""
        own = [f"{self._networks.prefix(stage, layer)}.{name}" for name in LAYER_FIELDS]
        shared = [f"stage{stage + 1}.out_channels"]
        if layer == 0:
            return self._factor(
                (*self._before(stage), *own, *shared),
                lambda values: row_ops(
                    (self._networks.layer(stage, 0, values, self._networks.in_channels(stage, values)),),
                    self._networks.shape(stage, values),
                ),
            )

        def emit(values: Values) -> Emitted:
            if layer >= int(values[f"stage{stage + 1}.layers"]):
                return Emitted()
            return row_ops((self._networks.layer(stage, layer, values, 0),), self._networks.shape(stage + 1, values))

        return self._factor((*own, *shared, f"stage{stage + 1}.layers"), emit)

    def _factor(self, names: Iterable[str], emit: Callable[[Values], Emitted]) -> Factor:
        """The factor of those of the named fields, and of those of the whole network, that are decisions."""
        order = list(self.decisions)
        chosen = [name for name in (RESOLUTION, WIDTH, *names) if name in self.decisions]

        def of_choices(choices: Genotype) -> Emitted:
            values = {name: self.decisions[name][i] for name, i in zip(chosen, choices, strict=True)}
            return emit(self._first | values)

        return Factor(tuple(order.index(name) for name in chosen), of_choices)


def _image(values: Values) -> Shape:
    return int(values[RESOLUTION]), int(values[RESOLUTION]), 3


def _text(genotype: Genotype) -> str:
    """A short text that tells genotypes apart."""
    text = "".join(map(str, genotype)) if max(genotype) < 10 else bytes(genotype).hex()
    return text if len(text) <= LONGEST_GENOTYPE else hashlib.sha256(bytes(genotype)).hexdigest()[:32]
