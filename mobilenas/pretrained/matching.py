"""matched: a foreign state dict as the weights of one of our networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.arch import Arch
from mobilenas.export.weights import Array, require_fit, tensor_problems
from mobilenas.pretrained.layouts import Layout, Place

Tensors = Mapping[str, npt.NDArray[Any]]
COUNTER = "num_batches_tracked"
NORM = ".batch_norm."


def matched(
    arch: Arch, layout: type[Layout], found: Tensors, *, source: str, any_classes: bool = False
) -> dict[str, Array]:
    """The weights of a network from a library's state dict, by name.

    A linear layer where we have a 1x1 convolution, and the other way round, is reshaped; groups that stand apart are
    joined; one batch norm over several of our ops is cut.

    Args:
        arch: The network.
        layout: The library's names.
        found: Its state dict.
        source: What errors call it.
        any_classes: Whether a classifier for another number of classes is left out and not refused.

    Raises:
        InputError: If they do not fit; the text names the first tensors that differ, as the library calls them.
    """
    places, graph = layout.places(arch, found), arch.graph()
    problems: list[str] = []
    read: set[str] = set()
    weights: dict[str, Array] = {}
    last = list(graph.weighted_nodes())[-1].weight_name
    for name, shape in graph.state_shapes().items():
        op, norm, field = name.rpartition(NORM) if NORM in name else name.rpartition(".")
        place = places.get(op)
        if place is None:
            problems.append(f"{name} has no counterpart")
            continue
        theirs = _names(place, field, is_norm=norm == NORM)
        read |= set(theirs)
        missing = [their for their in theirs if their not in found]
        if missing:
            problems.append(f"{missing[0]} (our {name}) is missing")
            continue
        tensor = _tensor([found[their] for their in theirs], place, shape, is_norm=norm == NORM)
        if any_classes and op == last and tensor.shape[1:] == shape[1:] and tensor.shape != shape:
            continue
        problems += tensor_problems(f"{theirs[0]} (our {name})", tensor, shape)
        weights[name] = tensor
    problems += [f"{name} is not in the network" for name in found if name not in read and not name.endswith(COUNTER)]
    require_fit(source, problems)
    return {name: np.ascontiguousarray(tensor, np.float32) for name, tensor in weights.items()}


def _names(place: Place, field: str, *, is_norm: bool) -> list[str]:
    prefixes = (place.norm,) if is_norm else place.parts
    return [f"{prefix}.{field}" for prefix in prefixes]


def _tensor(parts: list[npt.NDArray[Any]], place: Place, shape: tuple[int, ...], *, is_norm: bool) -> npt.NDArray[Any]:
    if is_norm:
        return parts[0][place.first_channel : place.first_channel + shape[0]] if place.shares_norm else parts[0]
    same = all(part.ndim and part.shape[1:] == parts[0].shape[1:] for part in parts)
    tensor = np.concatenate(parts) if len(parts) > 1 and same else parts[0]
    pointwise = {2, 4} == {tensor.ndim, len(shape)} and tensor.size == np.prod(shape)
    return tensor.reshape(shape) if pointwise else tensor
