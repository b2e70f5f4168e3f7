"""CostBound: what is certain of a network, such as its multiply-adds."""

from collections.abc import Callable, Mapping
from typing import Self

import numpy as np

from mobilenas.export import FILE_BYTES, op_file_bytes
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.objectives.bound import Bound, Floats
from mobilenas.spaces import CompiledCosts, CompiledFigure, Genotypes

MEGABYTE = 1_000_000


class CostBound(Bound):
    """A figure that is certain: multiply-adds, parameters, bytes.

    Args:
        name: What is bounded.
        limit: What it must not exceed, above 0.
        unit: Unit of both.
        option: What a command line calls the limit.
        figure: The figure of genotypes.
        of_graph: The figure of a graph.
        offset: Added to the figure of every network.
        scale: How much of the figure is one unit.

    Raises:
        FieldError: If the limit is not a finite number above 0.
    """

    def __init__(
        self,
        name: str,
        limit: float,
        unit: str,
        option: str,
        figure: CompiledFigure,
        of_graph: Callable[[OpGraph], int],
        *,
        offset: int = 0,
        scale: int = 1,
    ) -> None:
        super().__init__(name, limit, unit, option)
        self._figure, self._of_graph, self._offset, self._scale = figure, of_graph, offset, scale

    def nominal(self, genotypes: Genotypes) -> Floats:
        """The figure, in `unit`."""
        return np.asarray((self._figure(genotypes) + self._offset) / self._scale, float)

    def upper_of_graph(self, graph: OpGraph) -> float:
        """The figure of a network, in `unit`."""
        return (self._of_graph(graph) + self._offset) / self._scale

    @classmethod
    def macs(cls, costs: CompiledCosts, limit: float) -> Self:
        """At most `limit` multiply-adds."""
        return cls("multiply-adds", limit, "MACs", "--max-macs", costs.macs, lambda graph: graph.macs)

    @classmethod
    def params(cls, costs: CompiledCosts, limit: float) -> Self:
        """At most `limit` parameters."""
        return cls("parameters", limit, "params", "--max-params", costs.params, lambda graph: graph.params)

    @classmethod
    def size(cls, costs: CompiledCosts, limit_mb: float) -> Self:
        """An exported file of at most `limit_mb` million bytes; it may come out 2 % smaller than is reckoned here."""

        def op_bytes(op: OpSpec) -> int:
            return op_file_bytes(op, costs.dtype)

        def of_graph(graph: OpGraph) -> int:
            return sum(op_bytes(node.spec) for node in graph.nodes)

        figure = costs.sum_over_ops(op_bytes)
        return cls("model size", limit_mb, "MB", "--max-size-mb", figure, of_graph, offset=FILE_BYTES, scale=MEGABYTE)

    @classmethod
    def memory(cls, costs: CompiledCosts, limit_mb: float) -> Self:
        """At most `limit_mb` million bytes of activations that are alive at once."""

        def of_graph(graph: OpGraph) -> int:
            return graph.peak_memory_bytes(costs.dtype)

        figure = costs.peak_memory_bytes
        return cls("peak memory", limit_mb, "MB", "--max-memory-mb", figure, of_graph, scale=MEGABYTE)


COST_BOUNDS: Mapping[str, Callable[[CompiledCosts, float], CostBound]] = {
    "macs": CostBound.macs,
    "params": CostBound.params,
    "size": CostBound.size,
    "memory": CostBound.memory,
}
"""What of a network is certain, by name: each makes a bound from a limit."""
COST_COLUMNS = {"macs": "macs", "params": "params", "size": "size_mb", "memory": "memory_mb"}
"""The same with their units, as a limit `max_...` and a column have them."""
