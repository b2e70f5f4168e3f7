"""Search spaces: one a file, named as `--space`. No torch."""

from pathlib import Path

from mobilenas.errors import InputError
from mobilenas.registry import Registry, unknown
from mobilenas.spaces._compiled import CompiledCosts, CompiledFigure, FactorIndex, checked_genotypes, columns_of
from mobilenas.spaces._emitted import Emitted
from mobilenas.spaces._plan import SpacePlan, StageChoices
from mobilenas.spaces._staged import StagedSpace
from mobilenas.spaces.space import Choice, Factor, Genotype, Genotypes, SearchSpace

SPACES: Registry[SearchSpace] = Registry("mobilenas.spaces", SearchSpace, "space")


def open_space(name: str, *, resolution: int | None = None, num_classes: int = 1000) -> SearchSpace:
    """A space by name, or from a file.

    Args:
        name: A name, or the path of a space file (`.json`).
        resolution: The only input size of its networks; by default what the space has.
        num_classes: Number of classes.

    Raises:
        InputError: If there is none of this name, or the file is not valid.
    """
    if name.endswith(".json"):
        return StagedSpace(SpacePlan.load(Path(name)), resolution=resolution, num_classes=num_classes)
    if name not in SPACES:
        raise InputError(f"{unknown('space', name, SPACES)}, or give the path of a space file (.json)")
    return SPACES[name](resolution=resolution, num_classes=num_classes)


__all__ = [
    "SPACES",
    "Choice",
    "CompiledCosts",
    "CompiledFigure",
    "Emitted",
    "Factor",
    "FactorIndex",
    "Genotype",
    "Genotypes",
    "SearchSpace",
    "SpacePlan",
    "StageChoices",
    "StagedSpace",
    "checked_genotypes",
    "columns_of",
    "open_space",
]
