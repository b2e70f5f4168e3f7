"""trace: a torch module as an op graph with weights."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import Node
from torch.utils._pytree import tree_leaves

from mobilenas.errors import InputError
from mobilenas.export.weights import Array
from mobilenas.graph import OpGraph, Shape
from mobilenas.nn.graph_module import GraphModule
from mobilenas.nn.quiet import quiet
from mobilenas.nn.tracing import arithmetic, layers, shapes
from mobilenas.nn.tracing.program import exported, outputs, true_source
from mobilenas.nn.tracing.rules import RULES, Call
from mobilenas.nn.tracing.translator import Translator
from mobilenas.nn.tracing.unsupported import INSTEAD, UnsupportedError, operator_name, works_in_place
from mobilenas.nn.tracing.values import Parts, Traced
from mobilenas.nn.weights import module_of

RULE_FILES = (arithmetic, layers, shapes)
"""Importing them registers their rules."""
CHECKS = frozenset({"aten._assert_tensor_metadata", "aten.sym_size", "aten.sym_constrain_range_for_size"})
"""Operators that compute nothing."""
TOLERANCE = 1e-3
"""How far outputs may be from the module's, of the largest: rounding is 1000 times less."""


def trace(module: nn.Module, *input_shapes: Shape) -> tuple[OpGraph, dict[str, Array]]:
    """Reads a module's operators into an op graph.

    The module is traced as it is, in evaluation, with images of the given sizes. Batch norms and ReLUs become part of
    the convolution before them; a batch norm or a factor a channel that stands alone becomes a depthwise convolution of
    one pixel.

    Args:
        module: A network that takes images, (N, C, H, W).
        input_shapes: (height, width, channels) of each input.

    Returns:
        The graph and its state dict. Weights are named as in the module, batch norms under their convolution.

    Raises:
        UnsupportedError: If the graph cannot express an operator; the text has its source line.
        InputError: If torch cannot trace the module, or the graph computes something else than it.
    """
    examples = tuple(torch.zeros(1, channels, height, width) for height, width, channels in input_shapes)
    training = module.training
    module.eval()
    try:
        program = exported(module, examples)
        try:
            graph, weights = _Reader(program, Translator(*input_shapes)).read()
        except UnsupportedError as error:
            raise UnsupportedError(error.node, error.why, true_source(module, examples, program, error.node)) from error
        _check_same(module, module_of(graph, weights))
    finally:
        module.train(training)
    return graph, weights


def _check_same(module: nn.Module, ours: GraphModule) -> None:
    """Raises `InputError` unless the graph gives what the module gives for an image of random numbers."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, channels, height, width) for height, width, channels in ours.graph.input_shapes]
    images = [torch.randn(shape, generator=generator) for shape in shapes]
    with torch.no_grad(), quiet():
        wanted, found = (_tensors(each(*(image.clone() for image in images))) for each in (module, ours))
    for theirs, own in zip(wanted, found, strict=True):
        largest = theirs.abs().max()
        error = (own.reshape(theirs.shape) - theirs).abs().max()
        if error > TOLERANCE * largest:
            raise InputError(
                f"{type(module).__name__} computes something else than its graph, by {error / largest:.1g} of the "
                f"largest output; does it draw random numbers, or keep something from call to call?\n{INSTEAD}"
            )


def _tensors(found: object) -> list[Tensor]:
    """The tensors among what a module gives, in the order in which torch.export has them."""
    return [leaf for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]


class _Reader:
    """Goes through a traced program operator by operator."""

    def __init__(self, program: ExportedProgram, to: Translator) -> None:
        self._program, self._to = program, to
        self._found: dict[Node, Any] = {}
        self._names: dict[Node, str] = {}
        self._makers: set[Node] = set()

    def read(self) -> tuple[OpGraph, dict[str, Array]]:
        inputs = 0
        for node in self._program.graph.nodes:
            self._to.node = node
            if node.op == "placeholder":
                tensor = self._constant(node)
                if tensor is None:
                    self._found[node] = self._to.input(inputs)
                    inputs += 1
                else:
                    self._found[node] = tensor
            elif node.op == "call_function":
                self._call(node)
            elif node.op != "output":
                raise UnsupportedError(node)
        return self._finish()

    def _constant(self, node: Node) -> Tensor | None:
        """The parameter, buffer or constant that a placeholder stands for; None for an image."""
        signature, state = self._program.graph_signature, self._program.state_dict
        name = signature.inputs_to_parameters.get(node.name) or signature.inputs_to_buffers.get(node.name)
        if name is not None:
            self._names[node] = name
        name = name or signature.inputs_to_lifted_tensor_constants.get(node.name)
        tensors: Mapping[str, Tensor] = {**self._program.constants, **state}
        return None if name is None else tensors[name]

    def _call(self, node: Node) -> None:
        name = operator_name(node)
        if name in CHECKS or not (node.users or works_in_place(node)):
            return
        args, kwargs = self._resolved(node.args), self._resolved(node.kwargs)
        before = len(self._to)
        try:
            if not _holds_values([*args, *kwargs.values()]):
                self._found[node] = _computed(node, args, kwargs)
            elif name == "getitem":
                self._found[node] = self._part(node, *args)
            else:
                self._found[node] = self._by_rule(node, name)
        except UnsupportedError:
            raise
        except InputError as error:
            raise UnsupportedError(node, str(error)) from error
        except Exception as error:  # what no rule foresees
            first = str(error).partition("\n")[0]
            raise UnsupportedError(node, f"{type(error).__name__}: {first}") from error
        if len(self._to) > before:
            self._makers.add(node)

    def _part(self, node: Node, whole: Traced, index: int) -> Traced:
        """One of several results."""
        if isinstance(whole, Parts):
            return shapes.part(self._to, whole, index)
        if index == 0:
            return whole
        raise UnsupportedError(node, f"result {index}")

    def _by_rule(self, node: Node, name: str) -> Traced:
        function = RULES.get(name.removeprefix("aten."))
        if function is None:
            raise UnsupportedError(node)
        given = _arguments(node)
        nodes = {key: value for key, value in given.items() if isinstance(value, Node)}
        first = next(iter(nodes.values()), None)
        call = Call(
            to=self._to,
            arguments=self._resolved(given),
            names={key: self._names[value] for key, value in nodes.items() if value in self._names},
            alone=first is not None and self._is_alone(first),
        )
        found = function(call)
        if first is not None and works_in_place(node):
            self._found[first] = found  # what is computed in place is what others read from now on
        return found

    def _is_alone(self, node: Node) -> bool:
        """Whether what a node gives is read once, also where it only hands on what another made."""
        while len(node.users) == 1:
            if node in self._makers or not node.all_input_nodes:
                return True
            node = node.all_input_nodes[0]
        return False

    def _resolved(self, argument: Any) -> Any:
        if isinstance(argument, Node):
            if argument not in self._found:
                raise UnsupportedError(argument)
            return self._found[argument]
        if isinstance(argument, Mapping):
            return {key: self._resolved(value) for key, value in argument.items()}
        return [self._resolved(value) for value in argument] if isinstance(argument, list | tuple) else argument

    def _finish(self) -> tuple[OpGraph, dict[str, Array]]:
        outputs_found = self._resolved(outputs(self._program))
        values = [self._to.value(output) for output in outputs_found]
        wrong = next(
            (v for v in values if not (v.layout == "image" or (v.layout == "flat" and v.shape[:2] == (1, 1)))), None
        )
        if wrong is not None or not values:
            raise InputError(f"an output of sizes {wrong.sizes if wrong else ()} is neither scores nor an image")
        return self._to.finish(*values), self._to.weights


def _computed(node: Node, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What an operator gives that reads no image."""
    if torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ()):
        raise UnsupportedError(node, "random numbers, which a graph would have once and for all")
    if not callable(node.target):
        raise UnsupportedError(node)
    return node.target(*args, **kwargs)


def _arguments(node: Node) -> dict[str, Any]:
    """The arguments of a call by their names, defaults too."""
    found: dict[str, Any] = {}
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        raise UnsupportedError(node)
    for i, argument in enumerate(schema.arguments):
        given = node.args[i] if i < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        found[argument.name] = given
    return found


def _holds_values(argument: Any) -> bool:
    """Whether anything of it is computed from the images."""
    if isinstance(argument, list | tuple):
        return any(map(_holds_values, argument))
    return isinstance(argument, Traced) and not isinstance(argument, Tensor)
