"""Arch: a network as stem, stages and head, and its file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from mobilenas.blocks import BLOCKS, HEADS, Block, Head
from mobilenas.blocks.block import Part
from mobilenas.errors import FieldError, InputError, shorten
from mobilenas.graph import GraphBuilder, OpGraph, PaddingStyle
from mobilenas.registry import Registry
from mobilenas.settings import Settings, check
from mobilenas.storage import read_json, write_json

MAX_BLOCKS = 1000
P = TypeVar("P", bound=Part)


@dataclass(frozen=True, kw_only=True)
class Arch(Settings):
    """A network for one RGB image.

    Attributes:
        stem: First block.
        stages: Blocks, grouped into stages; their names are `stages.<stage>.<block>`.
        head: From the last feature map to the class scores.
        resolution: Height and width of the input in pixels.
        num_classes: Number of scores.
        padding: "same" (TF, our own networks) or "symmetric" (torch, k // 2: imported weights).
        bn_epsilon: Epsilon of every batch norm.
        name: What tables and files call it; it takes no part in `canonical`.

    Raises:
        FieldError: If a number is out of range.
    """

    stem: Block
    stages: tuple[tuple[Block, ...], ...]
    head: Head
    resolution: int = 224
    num_classes: int = 1000
    padding: PaddingStyle = "same"
    bn_epsilon: float = 1e-3
    name: str = "unnamed"

    def __post_init__(self) -> None:
        check(8 <= self.resolution <= 4096, "resolution", self.resolution, "a whole number from 8 to 4096")
        check(1 <= self.num_classes <= 100_000, "num_classes", self.num_classes, "a whole number from 1 to 100000")
        check(self.padding in ("same", "symmetric"), "padding", self.padding, "'same' or 'symmetric'")
        check(0 < self.bn_epsilon < 1, "bn_epsilon", self.bn_epsilon, "a number between 0 and 1")
        check(0 < len(self.name) <= 200 and self.name.isprintable(), "name", self.name, "1 to 200 printable characters")

    def graph(self) -> OpGraph:
        """The operations of this network; built once."""
        return self._graph

    @cached_property
    def _graph(self) -> OpGraph:
        builder = GraphBuilder((self.resolution, self.resolution, 3), padding=self.padding, bn_epsilon=self.bn_epsilon)
        with builder.scope("stem", block=True):
            x = self.stem.emit(builder, builder.inputs[0])
        for i, stage in enumerate(self.stages):
            for j, block in enumerate(stage):
                with builder.scope(f"stages.{i}.{j}", block=True):
                    x = block.emit(builder, x)
        with builder.scope("head", block=True):
            x = self.head.emit(builder, x, self.num_classes)
        return builder.finish(x)

    def resized(self, *, resolution: int | None = None, num_classes: int | None = None) -> "Arch":
        """The same network for another input size or number of classes."""
        return replace(
            self,
            resolution=self.resolution if resolution is None else resolution,
            num_classes=self.num_classes if num_classes is None else num_classes,
        )

    @cached_property
    def canonical(self) -> str:
        """A text that is equal for networks that compute the same: the key of caches. The name takes no part."""
        return hashlib.sha256(repr(self.graph()).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The architecture file as plain values."""
        return {
            "name": self.name,
            "resolution": self.resolution,
            "num_classes": self.num_classes,
            "padding": self.padding,
            "bn_epsilon": self.bn_epsilon,
            "stem": self.stem.to_dict(),
            "stages": [[block.to_dict() for block in stage] for stage in self.stages],
            "head": self.head.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: object, *, where: str = "") -> Self:
        """Reads the plain values of an architecture file.

        Raises:
            InputError: If a field or type is unknown or missing, or a value is not accepted; the text names the field.
        """
        values = dict(data) if isinstance(data, Mapping) else data
        if isinstance(values, dict):
            for name in ("resolution", "num_classes"):
                if name not in values:
                    raise InputError(f"{where + '.' if where else ''}{name}: is missing; give a whole number from 1")
            if "stem" in values:
                values["stem"] = read_part(BLOCKS, values["stem"], "stem")
            if "stages" in values:
                values["stages"] = _stages(values["stages"])
            if "head" in values:
                values["head"] = read_part(HEADS, values["head"], "head")
        arch = super().from_dict(values, where=where)
        arch.graph()
        return arch

    @classmethod
    def load(cls, path: Path) -> "Arch":
        """Reads an architecture file; without a `name` it is called after the file.

        Raises:
            InputError: As `from_dict`, with the file's path before the text.
        """
        data = read_json(path, "architecture file")
        try:
            return cls.from_dict({"name": path.stem, **data} if isinstance(data, dict) else data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Writes an architecture file, atomically."""
        write_json(path, self.to_dict())


def _stages(data: object) -> tuple[tuple[Block, ...], ...]:
    accepted = f"a list of stages, each a list of blocks, {MAX_BLOCKS} at most"
    if not isinstance(data, list) or not all(isinstance(stage, list) for stage in data):
        raise FieldError("stages", data, accepted)
    check(max(len(data), sum(map(len, data))) <= MAX_BLOCKS, "stages", data, accepted)
    return tuple(
        tuple(read_part(BLOCKS, block, f"stages[{i}][{j}]") for j, block in enumerate(stage))
        for i, stage in enumerate(data)
    )


def read_part(registry: Registry[P], data: object, where: str) -> P:
    """Reads a block or a head, by its `type`.

    Args:
        registry: Where its class is found.
        data: Mapping of field names to plain values.
        where: Path of the object in its file, for errors.

    Raises:
        InputError: If it is no mapping, its type or a field is unknown, or a value is not accepted.
    """
    if not isinstance(data, Mapping):
        raise InputError(f"{where}: {shorten(data)} is not accepted; give an object with a 'type'")
    if "type" not in data:
        raise InputError(f"{where}: field 'type' is missing; give one of {', '.join(registry)}")
    name = data["type"]
    if not isinstance(name, str) or name not in registry:
        raise FieldError("type", name, " or ".join(registry), where)
    return registry[name].from_dict({key: value for key, value in data.items() if key != "type"}, where=where)
