"""GraphModule: an OpGraph as a torch module."""

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter

from torch import Tensor, nn

from mobilenas.errors import InputError
from mobilenas.export.weights import check_fits
from mobilenas.graph import WEIGHTED, OpGraph, OpNode
from mobilenas.nn.initialization import initialize
from mobilenas.nn.ops import OPS
from mobilenas.nn.weighted import Use, WeightedOp


@dataclass(frozen=True, slots=True)
class _Step:
    """One node: what computes it, how it uses weights, the values it reads, and those that nobody reads after it."""

    compute: Callable[..., Tensor]
    use: Use | None
    owner: Callable[[nn.Module], Callable[..., Tensor]]
    inputs: tuple[int, ...]
    dying: tuple[int, ...]


class GraphModule(nn.Module):
    """Runs a graph's nodes in order.

    Names in the state dict are those of `OpGraph.state_shapes`, and batch norm's `num_batches_tracked`. Nodes of the
    same `weight_name` share one module; strides, paddings and activations are each node's own.

    Args:
        graph: The network.
        seed: Of the first weights, as `initialize` draws them; with None there are none yet, and `set_weights` must
            follow.

    Raises:
        InputError: If nodes share a weight name but differ in the weights' shape, bias or batch norm, or if a name is
            taken by torch, or if no file could hold the weights.
    """

    def __init__(self, graph: OpGraph, *, seed: int | None = 0) -> None:
        super().__init__()
        check_fits(graph, "float32")
        self.graph = graph
        owners: dict[str, OpNode] = {}
        for node in graph.nodes:
            if node.spec.kind in WEIGHTED:
                owner = owners.setdefault(node.weight_name, node)
                if owner is node:
                    _attach(self, node.weight_name, WeightedOp(node))
                elif _parameters(owner) != _parameters(node):
                    raise InputError(
                        f"{node.name}: {_parameters(node)} cannot share {node.weight_name} with {owner.name}, "
                        f"which has {_parameters(owner)}; give it a weight_name of its own"
                    )
        self._steps = _steps(graph)
        self._flat_outputs = tuple(graph.value_shapes[i][:2] == (1, 1) for i in graph.outputs)
        if seed is not None:
            initialize(self, seed)

    def forward(self, *images: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Runs the network.

        Args:
            images: One tensor an input, (N, C, H, W); `channels_last` in memory is fastest and stays so to the end.

        Returns:
            One tensor an output, (N, C, H, W), or (N, C) where the graph says that height and width are 1. A single one
            stands alone.

        Raises:
            InputError: If the images are not of the graph's shapes.
        """
        self._check(images)
        values: list[Tensor | None] = list(images)
        for step in self._steps:
            inputs = [values[i] for i in step.inputs]
            values.append(step.compute(*inputs) if step.use is None else step.owner(self)(*inputs, step.use))
            del inputs
            for i in step.dying:
                values[i] = None
        found = tuple(
            value.flatten(1) if flat else value
            for value, flat in zip((values[i] for i in self.graph.outputs), self._flat_outputs, strict=True)
            if value is not None  # an output never dies
        )
        return found[0] if len(found) == 1 else found

    def _check(self, images: tuple[Tensor, ...]) -> None:
        """Padding is worked out for one size, so that another would give a wrong result without a word."""
        given = [tuple(int(n) for n in image.shape[1:]) for image in images]
        wanted = [(channels, height, width) for height, width, channels in self.graph.input_shapes]
        if given != wanted:
            raise InputError(
                f"images of shape {', '.join(f'(N, *{shape})' for shape in given) or 'none'} are not accepted; give "
                f"{', '.join(f'(N, *{shape})' for shape in wanted)} (Arch.resized gives the network for another size)"
            )


def _steps(graph: OpGraph) -> tuple[_Step, ...]:
    last = {value: number for number, node in enumerate(graph.nodes) for value in node.inputs}
    steps = []
    for number, node in enumerate(graph.nodes):
        compute = OPS[node.spec.kind](node)
        use = Use(compute, node.dropout, node.spec.activation) if node.spec.kind in WEIGHTED else None
        dying = {i for i in node.inputs if last[i] == number and i not in graph.outputs}
        steps.append(_Step(compute, use, attrgetter(node.weight_name), node.inputs, tuple(sorted(dying))))
    return tuple(steps)


def _parameters(node: OpNode) -> tuple[object, ...]:
    return node.spec.weight_shape, node.bias, node.batch_norm


def _attach(root: nn.Module, path: str, module: nn.Module) -> None:
    """Registers a module under a dotted name."""
    *parents, last = path.split(".")
    for name in parents:
        if name not in root._modules:
            _add(root, name, nn.Module(), path)
        root = root.get_submodule(name)
    _add(root, last, module, path)


def _add(root: nn.Module, name: str, module: nn.Module, path: str) -> None:
    if not name or hasattr(root, name):
        raise InputError(f"{path}: {name!r} is not accepted in a name of weights, it is taken; give another")
    root.add_module(name, module)
