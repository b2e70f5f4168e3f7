"""Layout: how a library names the tensors of its networks."""

import re
from abc import ABC
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.graph import OpNode, PaddingStyle

Names = tuple[str, str]
"""Prefixes of a convolution's tensors and of its batch norm's; the latter empty where there is none."""
Table = Mapping[str, Names]
"""What stands for the ops of one block, by their names in the block; `*` is a number."""
Tables = Mapping[str, tuple[Table, ...]]
"""Candidates by the type of a block or a head."""


@dataclass(frozen=True, slots=True)
class Original:
    """A network of a library that has the weights of one of ours.

    Attributes:
        name: What the library calls it.
        padding: Of its windows.
        bn_epsilon: Of its batch norms.
        differs: In what it computes something else with the same tensors, as the end of "it ..."; empty where it is the
            same network.
    """

    name: str
    padding: PaddingStyle = "symmetric"
    bn_epsilon: float = 1e-5
    differs: str = ""


Originals = Mapping[str, tuple[Original, ...]]
"""A library's networks by the names that ours have."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tensors of one op stand in a foreign state dict.

    Attributes:
        parts: Prefixes whose weights, one after the other, are the op's: several where groups stand apart.
        norm: Prefix of the batch norm; empty where there is none.
        shares_norm: Whether that batch norm goes over several of our ops.
        first_channel: Where the op's channels begin in it.
    """

    parts: tuple[str, ...]
    norm: str = ""
    shares_norm: bool = False
    first_channel: int = 0


class Layout(ABC):
    """The names of one library, in a file named as users name the library.

    Attributes:
        title: What texts call the library.
        stem: Candidates for the stem's convolution and batch norm.
        blocks: A group of it is the prefix of a block in the name of any of the block's tensors.
        tail: A group of it in the last of the names that match is `{tail}` in `heads`.
        tables: Candidates by block type; the one of whose names the most are there is taken.
        heads: Candidates by head type, with whole names.
        originals: The library's networks by the names that ours have, the preferred one first, others that differ last.
    """

    title: ClassVar[str]
    stem: ClassVar[tuple[Names, ...]]
    blocks: ClassVar[re.Pattern[str]]
    tail: ClassVar[re.Pattern[str]] = re.compile(r"(?!)()")
    tables: ClassVar[Tables]
    heads: ClassVar[Tables]
    originals: ClassVar[Originals] = {}

    @classmethod
    def fits(cls, names: Collection[str]) -> bool:
        """Whether a state dict with these names is of this library."""
        return any(f"{conv}.weight" in names for conv, _ in cls.stem)

    @classmethod
    def relatives(cls, name: str) -> tuple[Original, ...]:
        """The library's networks of one of ours or, where it lists none, of the family that ours is another width of.

        Libraries build a family in any width, with the same padding and epsilon: torchvision has `mobilenet_v2`, and
        with it what `mobilenet_v2_0.5` wants.

        Args:
            name: What ours is called.
        """
        families = [own for own in cls.originals if f"{name}_".startswith(f"{own}_")]
        return cls.originals[max(families, key=len)] if families else ()

    @classmethod
    def download(cls, original: Original) -> Mapping[str, Any]:
        """The library's trained weights of a network, a state dict of tensors.

        Raises:
            InputError: If the library offers none, is not installed, or cannot download them.
        """
        raise InputError(f"{cls.title} offers no weights of {original.name} to download; give a file: --weights FILE")

    @classmethod
    def places(cls, arch: Arch, names: Collection[str]) -> dict[str, Place]:
        """Where each op's tensors stand, by the op's weight name; ops that the library seems not to have are left out.

        Args:
            arch: The network.
            names: All names of the foreign state dict.
        """
        nodes = list(arch.graph().weighted_nodes())
        found = _places(nodes, "stem.", [{"conv": stem} for stem in cls.stem], "", names)
        blocks = [(f"stages.{i}.{j}.", b.type) for i, stage in enumerate(arch.stages) for j, b in enumerate(stage)]
        for (scope, kind), prefix in zip(blocks, _in_order(cls.blocks, names), strict=False):
            found |= _places(nodes, scope, cls.tables.get(kind, ()), f"{prefix}.", names)
        tail = (_in_order(cls.tail, names) or [""])[-1]
        heads = [
            {op: (conv.format(tail=tail), norm.format(tail=tail)) for op, (conv, norm) in table.items()}
            for table in cls.heads.get(arch.head.type, ())
        ]
        return found | _places(nodes, "head.", heads, "", names)


def _in_order(pattern: re.Pattern[str], names: Collection[str]) -> list[str]:
    """The distinct prefixes that a pattern finds, by their numbers."""
    found = {next(filter(None, match.groups()), "") for match in map(pattern.match, names) if match}
    return sorted(found, key=lambda prefix: [int(number) for number in re.findall(r"\d+", prefix)])


def _places(
    nodes: Sequence[OpNode], scope: str, tables: Sequence[Table], prefix: str, names: Collection[str]
) -> dict[str, Place]:
    """The places of one block by the table with all its ops of whose names the most are there, the first of such."""
    own = [node for node in nodes if node.weight_name.startswith(scope)]
    candidates = [_by_table(own, scope, table, prefix, names) for table in tables]
    whole = [places for places in candidates if len(places) == len(own)]

    def there(places: Mapping[str, Place]) -> int:
        prefixes = {prefix for place in places.values() for prefix in (*place.parts, place.norm)}
        return sum(f"{prefix}.weight" in names for prefix in prefixes)

    return max(whole, key=there, default={})


def _by_table(
    nodes: Sequence[OpNode], scope: str, table: Table, prefix: str, names: Collection[str]
) -> dict[str, Place]:
    found: dict[str, Place] = {}
    channels: dict[str, int] = {}
    for node in nodes:
        op = node.weight_name.removeprefix(scope)
        number = op.rpartition("_")[2]
        shares = op not in table
        key = f"{op.removesuffix(number)}*" if shares else op
        if key not in table:
            continue
        conv, norm = (prefix + name.replace("*", number) if name else "" for name in table[key])
        apart = [f"{conv}.{group}" for group in range(node.spec.groups)]
        parts = tuple(apart) if len(apart) > 1 and f"{apart[0]}.weight" in names else (conv,)
        found[node.weight_name] = Place(parts, norm, shares, channels.get(norm, 0) if shares else 0)
        channels[norm] = channels.get(norm, 0) + node.spec.out_channels
    return found
