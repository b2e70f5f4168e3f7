"""Arch: a network as stem, stages and head, and its file."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mobilenas.blocks import BLOCKS, HEADS, Block, Head
from mobilenas.errors import FieldError, InputError
from mobilenas.graph import GraphBuilder, OpGraph, PaddingStyle
from mobilenas.registry import Registry
from mobilenas.settings import check, shorten
from mobilenas.storage import read_json, write_json

FIELDS = ("name", "resolution", "num_classes", "padding", "bn_epsilon", "stem", "stages", "head")
MAX_BLOCKS = 1000


@dataclass(frozen=True, kw_only=True)
class Arch:
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
        count = sum(len(stage) for stage in self.stages)
        check(count <= MAX_BLOCKS, "stages", f"{count} blocks", f"at most {MAX_BLOCKS} blocks")

    def graph(self) -> OpGraph:
        """The operations of this network; built once."""
        return self._graph

    @cached_property
    def _graph(self) -> OpGraph:
        builder = GraphBuilder(
            (self.resolution, self.resolution, 3), padding=self.padding, bn_epsilon=self.bn_epsilon
        )
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
        return replace(self, resolution=resolution or self.resolution, num_classes=num_classes or self.num_classes)

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
    def from_dict(cls, data: object) -> "Arch":
        """Reads the plain values of an architecture file.

        Raises:
            InputError: If a field or type is unknown or missing, or a value is not accepted; the text names the field.
        """
        if not isinstance(data, dict):
            raise InputError(f"the file: {shorten(data)} is not accepted; give an object with {', '.join(FIELDS)}")
        for key in data:
            if key not in FIELDS:
                raise InputError(f"the file: unknown field {shorten(key)}; accepted: {', '.join(FIELDS)}")
        for key in ("stem", "stages", "head"):
            if key not in data:
                raise InputError(f"the file: field {key!r} is missing; add it")
        stages = data["stages"]
        if not isinstance(stages, list) or not all(isinstance(stage, list) for stage in stages):
            raise FieldError("stages", shorten(stages), "a list of stages, each a list of blocks")
        values: dict[str, Any] = {
            "stem": _part(BLOCKS, data["stem"], "stem"),
            "stages": tuple(
                tuple(_part(BLOCKS, block, f"stages[{i}][{j}]") for j, block in enumerate(stage))
                for i, stage in enumerate(stages)
            ),
            "head": _part(HEADS, data["head"], "head"),
        }
        kinds = {"name": str, "resolution": int, "num_classes": int, "padding": str, "bn_epsilon": float}
        words = {str: "a text", int: "a whole number", float: "a number"}
        for key, kind in kinds.items():
            if key in data:
                if type(data[key]) is not kind:
                    raise FieldError(key, data[key], words[kind])
                values[key] = data[key]
        arch = cls(**values)
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


def _part(registry: "Registry[Any]", data: object, where: str) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("type"), str):
        raise InputError(f"{where}: {shorten(data)} is not accepted; give an object with a 'type'")
    if data["type"] not in registry:
        raise InputError(f"{where}.type: {shorten(data['type'])} is not known; accepted: {', '.join(registry)}")
    return registry[data["type"]].from_dict({k: v for k, v in data.items() if k != "type"}, where=where)
