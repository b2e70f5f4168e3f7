"""The registry of rules: how each operator of a traced program becomes ops of the graph."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mobilenas.graph.kind import Pair
from mobilenas.nn.tracing.translator import Translator
from mobilenas.nn.tracing.values import Traced, Value


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operator.

    Attributes:
        to: The graph under construction.
        arguments: By their names in the operator's schema; tensors are what was made of them.
        names: Names of those that are parameters or buffers of the module.
        alone: Whether nobody else reads the first argument.
    """

    to: Translator
    arguments: Mapping[str, Any]
    names: Mapping[str, str]
    alone: bool

    def __getitem__(self, name: str) -> Any:
        """An argument; None where the operator has none of this name."""
        return self.arguments.get(name)

    def value(self, name: str) -> Value:
        """An argument that must be a value of the graph."""
        return self.to.value(self[name])

    def image(self, name: str) -> Value:
        """An argument that must be an image, (N, C, H, W)."""
        value = self.value(name)
        if value.layout != "image":
            raise self.to.stop(f"a tensor of sizes {value.sizes} where (N, C, H, W) is wanted")
        return value

    def constant(self, name: str) -> Tensor:
        """An argument that must be a parameter, a buffer or computed from them."""
        found = self[name]
        if not isinstance(found, Tensor):
            raise self.to.stop(f"{name} that is computed from the image")
        return found

    def optional(self, name: str) -> Tensor | None:
        """An argument that is a constant or None."""
        return None if self[name] is None else self.constant(name)

    def owner(self, name: str) -> str:
        """Where a parameter stands in the module: `layer1.conv` for `layer1.conv.weight`; empty if it is computed."""
        full = self.names.get(name, "")
        return full.rpartition(".")[0] or full

    def pair(self, name: str, default: Pair = (1, 1)) -> Pair:
        """An argument of one or two whole numbers."""
        given = self[name]
        if given is None or given == []:
            return default
        numbers = [given] if isinstance(given, int) else list(given)
        return int(numbers[0]), int(numbers[-1])


Rule = Callable[[Call], Traced]
RULES: dict[str, Rule] = {}
"""By the operator's name without `aten::`, the overload and the `_` of an operator that works in place."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Registers a rule for operators."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register
