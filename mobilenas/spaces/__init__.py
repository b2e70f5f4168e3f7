"""Search spaces: one a file, named as `--space`. No torch."""

from mobilenas.errors import InputError
from mobilenas.registry import Registry, unknown
from mobilenas.spaces.space import Choice, Factor, Genotype, Genotypes, SearchSpace

SPACES: Registry[SearchSpace] = Registry("mobilenas.spaces", SearchSpace, "space")


def open_space(name: str, *, resolution: int, num_classes: int) -> SearchSpace:
    """A space by name, for images of one size and a number of classes.

    Raises:
        InputError: If there is none of this name.
    """
    if name not in SPACES:
        raise InputError(unknown("space", name, SPACES))
    return SPACES[name](resolution=resolution, num_classes=num_classes)


__all__ = ["SPACES", "Choice", "Factor", "Genotype", "Genotypes", "SearchSpace", "open_space"]
