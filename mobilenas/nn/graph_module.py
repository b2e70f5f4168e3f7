"""GraphModule: an OpGraph as a torch module."""

from torch import Tensor, nn

from mobilenas.errors import InputError
from mobilenas.graph import WEIGHTED, OpGraph
from mobilenas.nn.ops import OP_MODULES


class GraphModule(nn.Module):
    """Runs a graph's nodes in order.

    Names in the state dict are those of `OpGraph.state_shapes`, and batch norm's `num_batches_tracked`. Nodes of the same
    `weight_name` share one module.

    Args:
        graph: The network.

    Raises:
        InputError: If two nodes share a weight name but differ in shape.
    """

    def __init__(self, graph: OpGraph) -> None:
        super().__init__()
        self.graph = graph
        built: dict[str, tuple[object, nn.Module]] = {}
        self._steps: list[tuple[nn.Module, tuple[int, ...]]] = []
        for node in graph.nodes:
            known = built.get(node.weight_name)
            if known is None:
                module = OP_MODULES[node.spec.kind](node)
                if node.spec.kind in WEIGHTED:
                    _attach(self, node.weight_name, module)
                    built[node.weight_name] = (node.spec.weight_shape, module)
            elif known[0] != node.spec.weight_shape:
                raise InputError(f"{node.name}: shares {node.weight_name}, whose weights have another shape")
            else:
                module = known[1]
            self._steps.append((module, node.inputs))
        self._last_use = self._last_uses()

    def forward(self, *images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Runs the network.

        Args:
            images: One tensor an input, (N, C, H, W).

        Returns:
            One tensor an output, (N, C, H, W); (N, C) where height and width are 1. A single one stands alone.
        """
        values: list[Tensor | None] = list(images)
        for number, (module, inputs) in enumerate(self._steps):
            values.append(module(*(values[i] for i in inputs)))
            for value in self._last_use[number]:
                values[value] = None
        found = tuple(_flat(values[i]) for i in self.graph.outputs)
        return found[0] if len(found) == 1 else found

    def _last_uses(self) -> list[list[int]]:
        """Values that no later node and no output reads, by node: they are let go, so that memory stays small."""
        last = {value: number for number, node in enumerate(self.graph.nodes) for value in node.inputs}
        dying: list[list[int]] = [[] for _ in self.graph.nodes]
        for value, number in last.items():
            if value not in self.graph.outputs:
                dying[number].append(value)
        return dying


def _flat(value: Tensor | None) -> Tensor:
    if value is None:
        raise AssertionError("an output was let go")
    return value.flatten(1) if value.shape[2:] == (1, 1) else value


def _attach(root: nn.Module, path: str, module: nn.Module) -> None:
    """Registers a module under a dotted name."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            root.add_module(name, nn.Module())
        root = root.get_submodule(name)
    root.add_module(last, module)
