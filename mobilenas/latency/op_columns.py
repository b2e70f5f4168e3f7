"""How an op or a block stands in the columns of a CSV file."""

from collections.abc import Sequence
from typing import get_args

from mobilenas.errors import shorten
from mobilenas.graph import OpKind, OpSpec
from mobilenas.graph.kind import Activation, Padding
from mobilenas.latency.figures import whole
from mobilenas.latency.op_key import OpKey, key_of, ops_of

OP_COLUMNS = (
    "kind",
    "in_shapes",
    "out_channels",
    "kernel_size",
    "stride",
    "dilation",
    "groups",
    "padding",
    "activation",
)


JOINT = ";"
"""Between the ops of a block, in every column."""
_PADDINGS: dict[str, Padding] = {"same": "same", "valid": "valid"}
_ACTIVATIONS: dict[str, Activation] = {name: name for name in get_args(Activation)}


def write_op(op: OpSpec) -> tuple[str, ...]:
    """The columns of an op: shapes as `56x56x24`, joined by `+`; explicit padding as `top:bottom:left:right`."""
    padding = op.padding if isinstance(op.padding, str) else ":".join(str(n) for pair in op.padding for n in pair)
    return (
        str(op.kind),
        "+".join("x".join(map(str, shape)) for shape in op.in_shapes),
        str(op.out_channels),
        "x".join(map(str, op.kernel_size)),
        "x".join(map(str, op.stride)),
        "x".join(map(str, op.dilation)),
        str(op.groups),
        padding,
        op.activation,
    )


def read_op(values: Sequence[str]) -> OpSpec:
    """Reads what `write_op` wrote.

    Raises:
        ValueError: If a column is malformed.
        InputError: If the op cannot be.
    """
    kind, in_shapes, out_channels, kernel_size, stride, dilation, groups, padding, activation = values
    shapes = tuple(_numbers(shape, 3, "in_shapes") for shape in in_shapes.split("+"))
    for name, text, known in (("kind", kind, tuple(OpKind)), ("activation", activation, _ACTIVATIONS)):
        if text not in known:
            raise ValueError(f"{name} {shorten(text)} is not known; accepted: {', '.join(known)}")
    return OpSpec(
        kind=OpKind(kind),
        in_shapes=tuple((s[0], s[1], s[2]) for s in shapes),
        out_channels=whole(out_channels, "out_channels"),
        kernel_size=_pair(kernel_size, "kernel_size"),
        stride=_pair(stride, "stride"),
        dilation=_pair(dilation, "dilation"),
        groups=whole(groups, "groups"),
        padding=_padding(padding),
        activation=_ACTIVATIONS[activation],
    )


def write_key(key: OpKey) -> tuple[str, ...]:
    """The columns of an op or a block; each column of a block holds those of its ops, joined by `;`."""
    return tuple(JOINT.join(column) for column in zip(*(write_op(op) for op in ops_of(key)), strict=True))


def read_key(values: Sequence[str]) -> OpKey:
    """Reads what `write_key` wrote.

    Raises:
        ValueError: If a column is malformed or the columns hold different numbers of ops.
        InputError: If an op cannot be.
    """
    columns = [value.split(JOINT) for value in values]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"the columns of a block must hold as many values each, joined by {JOINT!r}")
    return key_of(read_op(op) for op in zip(*columns, strict=True))


def _padding(text: str) -> Padding:
    if text in _PADDINGS:
        return _PADDINGS[text]
    top, bottom, left, right = _numbers(text, 4, "padding", ":")
    return (top, bottom), (left, right)


def _pair(text: str, name: str) -> tuple[int, int]:
    first, second = _numbers(text, 2, name)
    return first, second


def _numbers(text: str, count: int, name: str, separator: str = "x") -> tuple[int, ...]:
    parts = text.split(separator)
    if len(parts) != count:
        raise ValueError(f"{name} {shorten(text)} is not accepted; give {count} numbers joined by {separator!r}")
    return tuple(whole(part, name) for part in parts)
