"""operators_check: are a file's operators those of the network, in form too? It needs neither images nor torch."""

from collections.abc import Iterator, Sequence

import numpy as np

from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, expected_operators, lower
from mobilenas.export.tflite_file import OPTION_FIELDS, FileOperator, Tensor, option
from mobilenas.export.tflite_op import Constant, TfliteOp
from mobilenas.graph import OpGraph
from mobilenas.verification.report import Check

RELATIVE = 1e-3
"""What float16 rounds constants by, at most."""


def operators_check(file: TfliteFile, found: Sequence[str], graph: OpGraph, dtype: str, *, float_io: bool) -> Check:
    """Whether a file consists of what `lower` gives, with its options and constants, and of nothing else.

    Args:
        file: The file.
        found: Names of its operators as the runtime sees them, in order.
        graph: The network.
        dtype: Element type it was exported in.
        float_io: Whether it was exported so that inputs and outputs are float32 though the network is int8.
    """
    wanted = expected_operators(graph, dtype, float_io=float_io)
    unexpected = sorted({a for a, b in zip(found, wanted, strict=False) if a != b})
    words, passed = f"{len(found)}, unexpected: {unexpected or 'none'}", list(found) == wanted
    if file.subgraphs > 1:
        words, passed = f"{words}, in {file.subgraphs} subgraphs", False
    if passed:
        different = next(_differences(file, graph, dtype, skip=len(graph.input_shapes) if float_io else 0), "")
        words, passed = (f"{len(found)}, {different}", False) if different else (words, True)
    return Check("operators", passed, words, f"the {len(wanted)} that lower() gives")


def _differences(file: TfliteFile, graph: OpGraph, dtype: str, *, skip: int) -> Iterator[str]:
    """In what operators of the right names differ; `skip` stand before those of the network."""
    lowered = ((node.name, op) for node in graph.nodes for op in lower(node.spec, dtype))
    for (name, op), written in zip(lowered, file.operators[skip:], strict=False):
        if written.code != op.code:
            yield f"{name}: {written.code} and not {op.code}"
            return
        for field, value in _options(op).items():
            if written.options[field] != value:
                yield f"{name}: {op.code} with {field} {written.options[field]}, not {value}"
        if any(_differs(file, written, i, operand) for i, operand in enumerate(op.inputs)):
            yield f"{name}: {op.code} with another constant"


def _options(op: TfliteOp) -> dict[str, object]:
    """The options that a file should say."""
    fields = OPTION_FIELDS.get(op.code, {})
    return {name: op.options.get(name, option(name, default)) for name, (_, _, default) in fields.items()}


def _differs(file: TfliteFile, written: FileOperator, index: int, operand: object) -> bool:
    if not isinstance(operand, Constant):
        return False
    if index >= len(written.inputs) or written.inputs[index] < 0:
        return True
    number = written.inputs[index]
    if not file.is_constant(number):  # float16 files widen it first
        return False
    tensor = file.tensors[number]
    try:
        stored = file.constant(number)
    except InputError:
        return True
    wanted = np.asarray(operand.value)
    if stored.size != wanted.size:
        return True
    if not tensor.scale:
        return not np.allclose(stored.reshape(-1), wanted.reshape(-1), rtol=RELATIVE, atol=0)
    return _is_off(tensor, stored, wanted)


def _is_off(tensor: Tensor, stored: np.ndarray, wanted: np.ndarray) -> bool:
    """Whether a quantized constant is more than a step from what it should be; what no value reaches is the nearest."""
    scale, zero = np.asarray(tensor.scale), np.asarray(tensor.zero_point or (0,))
    if stored.dtype.kind not in "iu" or len(zero) not in (1, len(scale)):
        return True
    if len(scale) > 1:
        if not 0 <= tensor.axis < stored.ndim or stored.shape[tensor.axis] != len(scale):
            return True
        shape = [1] * stored.ndim
        shape[tensor.axis] = -1
        scale, zero = scale.reshape(shape), np.broadcast_to(zero, len(scale)).reshape(shape)
    limits = np.iinfo(stored.dtype)
    lowest, highest = scale * (limits.min - zero), scale * (limits.max - zero)
    real = scale * (stored.astype(np.float64) - zero)
    return not (np.abs(real - np.clip(wanted.reshape(stored.shape), lowest, highest)) <= 1.001 * scale).all()
