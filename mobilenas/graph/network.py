"""Network: a graph with a name, such as a traced torch module, and its file."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobilenas.errors import InputError, shorten
from mobilenas.graph.graph import OpGraph
from mobilenas.graph.kind import OpKind
from mobilenas.storage import read_json, write_json


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that is known op by op, and not by stem, stages and head as an `Arch` is.

    Attributes:
        name: What tables and files call it.
        op_graph: Its operations; one input, an RGB image.

    Raises:
        InputError: If the graph does not take one square RGB image.
    """

    name: str
    op_graph: OpGraph

    def __post_init__(self) -> None:
        shapes = self.op_graph.input_shapes
        if len(shapes) != 1 or shapes[0][0] != shapes[0][1] or shapes[0][2] != 3:
            raise InputError(f"{self.name} takes {shorten(shapes)}; give a network that takes one square RGB image")

    def graph(self) -> OpGraph:
        """The operations."""
        return self.op_graph

    @property
    def resolution(self) -> int:
        """Height and width of the input in pixels."""
        return self.op_graph.input_shapes[0][0]

    @property
    def num_classes(self) -> int:
        """Number of scores."""
        return self.op_graph.value_shapes[self.op_graph.outputs[0]][2]

    def resized(self, *, resolution: int | None = None, num_classes: int | None = None) -> "Network":
        """The same network with another number of classes.

        Raises:
            InputError: If another resolution is asked for, which the ops have in them, or another number of classes of
                a network that does not end in a fully connected layer.
        """
        if resolution not in (None, self.resolution):
            raise InputError(
                f"{self.name} was traced at {self.resolution} pixels; for {resolution} trace it again: "
                f"module:function@{resolution}"
            )
        if num_classes in (None, self.num_classes):
            return self
        *body, last = self.op_graph.nodes
        ends = self.op_graph.outputs == (len(self.op_graph.value_shapes) - 1,)
        if not ends or last.spec.kind is not OpKind.FULLY_CONNECTED:
            raise InputError(
                f"{self.name} has {self.num_classes} classes and ends in {last.spec.kind}; give one with {num_classes} "
                "classes, or one that ends in a linear layer"
            )
        classifier = replace(last, spec=replace(last.spec, out_channels=num_classes))
        return replace(self, op_graph=replace(self.op_graph, nodes=(*body, classifier)))

    def save(self, path: Path) -> None:
        """Writes a graph file, atomically."""
        write_json(path, {"name": self.name, "graph": self.op_graph.to_dict()})

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "Network":
        """Reads the plain values of a graph file.

        Raises:
            InputError: If a field is missing, unknown or not accepted.
        """
        name, graph = data.get("name"), data.get("graph")
        if not isinstance(name, str) or not isinstance(graph, dict):
            raise InputError("not a graph file: give an object with 'name' and 'graph'")
        return cls(name=name, op_graph=OpGraph.from_dict(graph))

    @classmethod
    def load(cls, path: Path) -> "Network | None":
        """Reads a graph file; None for a file that is no such thing, such as an architecture file.

        Raises:
            InputError: If it cannot be read or is a damaged graph file.
        """
        data = read_json(path, "architecture file")
        if not isinstance(data, dict) or "graph" not in data:
            return None
        try:
            return cls.from_dict(data)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
