"""Foreign look-up tables of whole blocks: the YAML files of ProxylessNAS and Once-for-All."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilenas.blocks import make_divisible
from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import InputError, shorten
from mobilenas.graph import ActivationName, GraphBuilder, OpGraph, Shape, TensorRef
from mobilenas.latency.figures import MOST_US, finite, whole
from mobilenas.latency.op_key import OpKey, key_of
from mobilenas.latency.table import Measurement
from mobilenas.storage import read_text

SE_DIVISOR = 4
"""Squeeze-and-excitation of Once-for-All keeps a quarter of the expanded channels, rounded to a multiple of 8."""
STEM_KERNEL = 3
KINDS = ("Conv", "Conv_1", "Conv_2", "AvgPool2D", "expanded_conv", "Logits")
_LIKE: Mapping[ActivationName, tuple[ActivationName, ...]] = {
    "relu": ("relu", "relu6"),
    "relu6": ("relu6", "relu"),
    "hard_swish": ("hard_swish",),
}
"""Activations that cost the same: clamping at 6 comes with the same instruction."""


@dataclass(frozen=True, slots=True)
class BlockEntry:
    """One entry of a foreign table.

    Attributes:
        name: What the table calls it.
        graph: Its ops, as it was measured.
        keys: The rows it gives: the block as it was measured, and with activations that cost the same.
        measurement: What it took.
    """

    name: str
    graph: OpGraph
    keys: tuple[OpKey, ...]
    measurement: Measurement


def read_block_file(path: Path) -> list[BlockEntry]:
    """Reads one file; its latencies are milliseconds.

    Every entry is a line with a name and a colon, and indented lines `mean`, `count` and `var` or `std`. A name is a
    kind and fields, such as `expanded_conv-input:56x56x24-output:28x28x40-expand:3-kernel:5-stride:2-idskip:0`. Files
    whose names also have `se` and `hs` are Once-for-All's: `expand` counts channels, and what has no `hs` is followed
    by h-swish. In the others it is a ratio, and activations are ReLU6.

    Raises:
        InputError: If a line is not of this form, an entry stands there twice, or a value is not accepted; the text
            names file and line.

    Source: ProxylessNAS, arXiv 1812.00332, and Once-for-All, arXiv 1908.09791; the form is that of their files.
    """
    raw = list(_entries(path))
    is_once_for_all = any("-se:" in name for _, name, _ in raw)
    found: dict[str, BlockEntry] = {}
    for number, name, values in raw:
        where = f"{path} line {number}"
        if name in found:
            raise InputError(f"{where}: {shorten(name)} stands there twice; remove one of them")
        try:
            kind, fields = _fields(name)
            activation = _activation(fields, is_once_for_all)
            graphs = [_graph(kind, fields, like, is_once_for_all) for like in _LIKE[activation]]
            keys = dict.fromkeys(key_of(node.spec for node in graph.nodes) for graph in graphs)
            found[name] = BlockEntry(name, graphs[0], tuple(keys), _measurement(values))
        except (ValueError, KeyError, InputError) as error:
            reason = f"field {error} is missing" if isinstance(error, KeyError) else error
            raise InputError(f"{where}: {shorten(name, 100)}: {reason}") from error
    if not found:
        raise InputError(f"{path}: holds no entries; give a look-up table of ProxylessNAS or Once-for-All")
    return list(found.values())


def _entries(path: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Line, name and values of each entry."""
    number, name, values = 0, "", dict[str, str]()
    for line_number, line in enumerate(read_text(path, "look-up table").splitlines(), 1):
        text = line.partition(" #")[0].rstrip()
        if not text or text.startswith("#") or text == "---":
            continue
        if not text[0].isspace():
            if not text.endswith(":"):
                raise InputError(f"{path} line {line_number}: {shorten(text)} is not accepted; give NAME:")
            if name:
                yield number, name, values
            number, name, values = line_number, text[:-1].strip("'\""), {}
            continue
        key, separator, value = text.strip().partition(": ")
        if not name or not separator:
            raise InputError(f"{path} line {line_number}: {shorten(text)} is not accepted; give an entry's NAME: VALUE")
        values[key] = value.strip()
    if name:
        yield number, name, values


def _fields(name: str) -> tuple[str, dict[str, str]]:
    kind, *parts = name.split("-")
    if kind not in KINDS:
        raise ValueError(f"kind {shorten(kind)} is not known; accepted: {', '.join(KINDS)}")
    pairs = (part.partition(":") for part in parts)
    return kind, {key: value for key, _, value in pairs}


def _activation(fields: Mapping[str, str], is_once_for_all: bool) -> ActivationName:
    if not is_once_for_all:
        return "relu6"
    return "relu" if fields.get("hs", "1") == "0" else "hard_swish"


def _graph(kind: str, fields: Mapping[str, str], activation: ActivationName, is_once_for_all: bool) -> OpGraph:
    shape, out = _shape(fields["input"]), _numbers(fields["output"])
    builder = GraphBuilder(shape)
    x = builder.inputs[0]
    if kind == "Conv":
        stride = shape[0] // out[0]
        y = builder.conv2d(x, out[-1], name="conv", kernel_size=STEM_KERNEL, stride=stride, activation=activation)
    elif kind in ("Conv_1", "Conv_2"):
        y = builder.conv2d(x, out[-1], name="conv", activation=activation)
    elif kind == "AvgPool2D":
        y = builder.mean(x, name="pool")
    elif kind == "Logits":
        pooled = x if shape[:2] == (1, 1) else builder.mean(x, name="pool")
        y = builder.fully_connected(pooled, out[-1], name="classifier")
    else:
        y = _mbconv(builder, fields, activation, is_once_for_all)
    found = builder.finish(y)
    if found.value_shapes[found.outputs[0]][2] != out[-1]:
        raise ValueError(f"output {fields['output']} does not fit its kind")
    return found


def _mbconv(
    builder: GraphBuilder, fields: Mapping[str, str], activation: ActivationName, is_once_for_all: bool
) -> TensorRef:
    x = builder.inputs[0]
    expand = whole(fields["expand"], "expand")
    expanded = expand if is_once_for_all else expand * x.channels
    has_se = fields.get("se", "0") == "1"
    return MBConv(
        out_channels=_numbers(fields["output"])[-1],
        kernel_size=whole(fields["kernel"], "kernel"),
        stride=whole(fields["stride"], "stride"),
        expanded_channels=expanded,
        se_channels=make_divisible(expanded // SE_DIVISOR) if has_se else 0,
        se_gate="hard_sigmoid",
        activation=activation,
        residual=fields["idskip"] == "1",
    ).emit(builder, x)


def _shape(text: str) -> Shape:
    numbers = _numbers(text)
    if len(numbers) != 3:
        raise ValueError(f"size {shorten(text)} is not accepted; give height, width and channels joined by x")
    return numbers[0], numbers[1], numbers[2]


def _numbers(text: str) -> list[int]:
    numbers = [whole(part, "size") for part in text.split("x")]
    if 0 in numbers:
        raise ValueError(f"size {shorten(text)} is not accepted; give whole numbers above 0")
    return numbers


def _measurement(values: Mapping[str, str]) -> Measurement:
    mean_us = 1e3 * finite(values["mean"], "mean")
    if not 0 < mean_us <= MOST_US:
        raise ValueError(f"mean {values['mean']} is not accepted; give milliseconds above 0")
    deviation_ms = finite(values["std"], "std") if "std" in values else math.sqrt(finite(values.get("var", "0"), "var"))
    runs = int(finite(values.get("count", "0"), "count"))
    return Measurement(mean_us, 1e3 * deviation_ms, runs, 1 if runs else 0)
