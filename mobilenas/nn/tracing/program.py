"""exported: a module's operators as torch.export writes them down, and where in somebody's code they stand."""

import traceback
from collections.abc import Iterator
from types import TracebackType

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind
from torch.fx import Node

from mobilenas.errors import InputError
from mobilenas.nn.quiet import quiet
from mobilenas.nn.tracing.unsupported import importable, is_own, operator_name, source_line, works_in_place


def exported(module: nn.Module, examples: tuple[Tensor, ...]) -> ExportedProgram:
    """Traces a module in evaluation.

    Where an operator changes in place what others still read under another name, such as a part of it or a view, the
    program is rewritten by torch into one in which nothing is changed in place.

    Args:
        module: A network that takes images.
        examples: Images of the sizes that it is traced for.

    Raises:
        InputError: If torch cannot trace the module; the text has the line where it stopped.
    """
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(module, examples)
            return program.run_decompositions({}) if _changes_what_others_read(program) else program
    except SystemExit as error:
        raise InputError(f"{type(module).__name__}.forward failed: {said(error)}{_at(error.__traceback__)}") from error
    except Exception as error:  # torch raises whatever a module leads to
        first = (str(error).strip() or type(error).__name__).partition("\n")[0]
        at = _at(error.__traceback__)
        raise InputError(f"torch.export cannot trace {type(module).__name__}: {first}{at}") from error


def true_source(module: nn.Module, examples: tuple[Tensor, ...], program: ExportedProgram, node: Node) -> str:
    """The line of an operator, also outside any `forward`; that of the `forward` around it where torch tells no more.

    torch's quick way of tracing records lines of functions called `forward` only; its slower one records all.
    """
    try:
        with torch.no_grad(), quiet():
            precise = torch.export.export(module, examples, strict=True)
    except (Exception, SystemExit):  # it takes fewer modules
        return source_line(node)
    name = operator_name(node)
    own, theirs = ([each for each in of.graph.nodes if _is_call(each, name)] for of in (program, precise))
    return source_line(theirs[own.index(node)] if len(own) == len(theirs) and node in own else node)


def said(error: BaseException) -> str:
    """What somebody's code stopped with, in one line."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _is_call(node: Node, name: str) -> bool:
    return node.op == "call_function" and operator_name(node) == name


def _at(where: TracebackType | None) -> str:
    """The line of somebody's code that an exception comes from; empty where it was torch's alone."""
    frames = [frame for frame in traceback.extract_tb(where) if is_own(frame.filename)]
    return f" at {importable(frames[-1].filename)}:{frames[-1].lineno}: {frames[-1].line}" if frames else ""


def _changes_what_others_read(program: ExportedProgram) -> bool:
    """Whether an operator works in place on memory that is read later under another name, or on a weight."""
    order = {node: i for i, node in enumerate(program.graph.nodes)}
    sharing: dict[int, list[Node]] = {}
    fixed = {**program.graph_signature.inputs_to_parameters, **program.graph_signature.inputs_to_buffers}
    for node in program.graph.nodes:
        if works_in_place(node) and isinstance(changed := node.args[0], Node):
            others = [other for memory in _memories(changed) for other in sharing[memory] if other is not changed]
            if any(order[user] > order[node] for other in others for user in other.users):
                return True
            if any(other.name in fixed for other in (changed, *others)):
                return True
        for memory in _memories(node):
            sharing.setdefault(memory, []).append(node)
    return False


def _memories(node: Node) -> Iterator[int]:
    """The memory in which the results of an operator lie."""
    found = node.meta.get("val")
    for value in found if isinstance(found, list | tuple) else [found]:
        if isinstance(value, Tensor):
            yield value.untyped_storage()._cdata


def outputs(program: ExportedProgram) -> list[Node]:
    """What the module gives, without the inputs and buffers that it changes besides."""
    (last,) = (node for node in program.graph.nodes if node.op == "output")
    kinds = [spec.kind for spec in program.graph_signature.output_specs]
    found = zip(last.args[0], kinds, strict=True)
    return [node for node, kind in found if kind is OutputKind.USER_OUTPUT and isinstance(node, Node)]
