"""Networks that commands look at: architectures, and what stands in a TFLite file."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobilenas.cli.arguments import check_dtype, resolve_model
from mobilenas.errors import InputError
from mobilenas.export import Excerpt, counted, read_tflite
from mobilenas.graph import OpGraph, OpSpec


@dataclass(frozen=True, kw_only=True)
class LoadedNetwork:
    """A network and what is known of it.

    Attributes:
        name: Of the architecture, or of the file without its ending.
        graph: Its ops.
        resolution: Height and width of its input in pixels.
        num_classes: Channels of its output.
        dtype: Element type of a file; None for an architecture, which can have any.
        left_out: Operators of a file that are no op of the graph.
        warnings: What in a file runs slowly, and what to do instead.
        other_forms: Ops of a file whose form there is none that we write.
    """

    name: str
    graph: OpGraph
    resolution: int
    num_classes: int
    dtype: str | None = None
    left_out: Counter[str] = field(default_factory=Counter)
    warnings: tuple[str, ...] = ()
    other_forms: Mapping[OpSpec, Excerpt] = field(default_factory=dict)

    def chosen_dtype(self, dtype: str | None) -> str:
        """The element type to predict in: the file's own, else `dtype`, else float32.

        Raises:
            InputError: If the file has another one than `dtype`, or that is none.
        """
        if dtype is not None:
            check_dtype(dtype)
        if self.dtype and dtype not in (None, self.dtype):
            raise InputError(f"{self.name}: the file is {self.dtype}, not {dtype}; leave --dtype out")
        return self.dtype or dtype or "float32"

    def of_file(self) -> dict[str, Any]:
        """What documents say of a file and of nothing else."""
        if self.dtype is None:
            return {}
        return {"dtype": self.dtype, "warnings": list(self.warnings), "left_out": dict(self.left_out)}

    def remarks(self) -> list[str]:
        """What a user should know of it, a line each."""
        lines = [f"{self.name}: {warning}" for warning in self.warnings]
        if self.left_out:
            lines.append(f"{self.name}: no part of the figures: {counted(self.left_out)}")
        return lines


def resolve_network(name: str) -> LoadedNetwork:
    """The network of a MODEL argument that may be a TFLite file.

    Raises:
        InputError: If it is no published name, no valid architecture file, and no TFLite file that can be read.
    """
    if not name.endswith(".tflite"):
        arch = resolve_model(name)
        return LoadedNetwork(
            name=arch.name, graph=arch.graph(), resolution=arch.resolution, num_classes=arch.num_classes
        )
    data = read_model_file(name)
    try:
        found = read_tflite(data)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    graph = found.graph
    return LoadedNetwork(
        name=Path(name).stem,
        graph=graph,
        resolution=max(graph.input_shapes[0][:2]),
        num_classes=graph.value_shapes[graph.outputs[0]][2],
        dtype=found.dtype,
        left_out=found.left_out,
        warnings=found.warnings,
        other_forms=found.other_forms,
    )


def read_model_file(name: str) -> bytes:
    """The content of a TFLite file, not yet looked at.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror or error}; give a .tflite file") from error
