"""read_tflite: a TFLite file as an OpGraph."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mobilenas.errors import InputError, shorten
from mobilenas.export.constants import KERNEL_AXES
from mobilenas.export.delegation import QUANTIZED, delegation_warnings, is_delegated, is_dynamic, is_unsigned
from mobilenas.export.excerpt import Excerpt
from mobilenas.export.large_windows import is_in_pieces, is_large
from mobilenas.export.pattern import Group
from mobilenas.export.raising import RAISED, first_channel, fused
from mobilenas.export.recognition import recognised
from mobilenas.export.tflite_file import MAX_OPERANDS, FileOperator, TfliteFile
from mobilenas.export.wiring import TooMuchWorkError, Wiring, computes_sizes
from mobilenas.graph import WEIGHTED, OpGraph, OpKind, OpNode, OpSpec, Shape

ARITHMETIC = frozenset({"ADD", "SUB", "MUL", "DIV"})
"""With a constant: scaling of inputs, or a batch norm that nobody folded."""
OPERANDS = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"), (2, 3)),
    **dict.fromkeys(("PAD", "MEAN", "TRANSPOSE", *ARITHMETIC), (2, 2)),
    **dict.fromkeys(("PADV2", "SLICE"), (3, 3)),
    "STRIDED_SLICE": (4, 4),
    "CONCATENATION": (1, MAX_OPERANDS),
}
"""How many operands an operator has, at least and at most; every other has one."""
PARTS = frozenset({"PADV2"})
"""What is an op only together with others."""
SHOWN = 5


@dataclass(frozen=True)
class TfliteNetwork:
    """What a TFLite file computes.

    Attributes:
        graph: Its ops; batch norms are folded, as in the file.
        dtype: Element type: "float32", "float16" (weights alone) or "int8" (uint8 too).
        left_out: Operators that are no op of the graph, and how often they occur: SOFTMAX, arithmetic with constants.
            They keep the shape of what they read; their time is not predicted.
        warnings: One line for each kind of operator that XNNPACK leaves to slow kernels, and what to do instead.
        other_forms: Ops whose form here is none that `lower` writes: not delegated, in uint8, with weights alone in
            int8, in float32 in an int8 file and the other way round, or depthwise with a large window in one piece.
            They take the time of these operators and not that of the op.
    """

    graph: OpGraph
    dtype: str
    left_out: Counter[str]
    warnings: tuple[str, ...]
    other_forms: Mapping[OpSpec, Excerpt] = field(default_factory=dict)


def read_tflite(data: bytes) -> TfliteNetwork:
    """Reads a network for one image.

    Explicit padding, decomposed activations and pools become the one op that they compute; RESHAPE, QUANTIZE and
    DEQUANTIZE, which change how values are stored, are passed over. What `write_tflite` wrote is read as it was, but
    for its batch norms, which are folded; every op with weights then has a bias.

    Args:
        data: The file.

    Raises:
        InputError: If it is no TFLite file, is damaged, or computes what the graph cannot say; the text names the
            operators.
    """
    file = TfliteFile.parse(data)
    wiring = Wiring.of(file)
    _check_known(wiring)
    reading = _Reading(wiring)
    try:
        graph = reading.graph()
    except TooMuchWorkError as error:
        raise InputError(str(error)) from error
    dtype = reading.kinds.most_common(1)[0][0] if reading.kinds else _kind(_types(wiring, wiring.file.operators))
    return TfliteNetwork(
        graph=graph,
        dtype=dtype,
        left_out=reading.left_out,
        warnings=delegation_warnings(wiring),
        other_forms=reading.other_forms | (reading.other_types if dtype == "int8" else {}),
    )


def _check_known(wiring: Wiring) -> None:
    """Raises `InputError` with the names of all operators that no rule reads, or for one that lacks an operand."""
    if "INT16" in _types(wiring, wiring.file.operators):
        raise InputError("activations in int16 are not accepted; give a file in float32, float16, int8 or uint8")
    codes = [operator.code for operator in wiring.file.operators if not _is_known(wiring, operator)]
    if codes:
        raise InputError(f"unknown operators: {counted(Counter(codes), SHOWN)}; the graph has {', '.join(RAISED)}")
    for index, operator in enumerate(wiring.file.operators):
        least, most = OPERANDS.get(operator.code, (1, 1))
        given = operator.inputs
        known = operator.code in RAISED or operator.code in PARTS or operator.code == "SOFTMAX"
        if known and not (least <= len(given) <= most and min(given[:least]) >= 0):
            raise InputError(f"damaged: operator {index} ({operator.code}) has the operands {shorten(list(given))}")
        if len(operator.outputs) != 1 and not computes_sizes(wiring.file, operator):
            raise InputError(f"operator {index} ({operator.code}): writes {len(operator.outputs)} tensors, not one")


def _is_known(wiring: Wiring, operator: FileOperator) -> bool:
    if (
        computes_sizes(wiring.file, operator)
        or operator.code in RAISED
        or operator.code in PARTS
        or operator.code == "SOFTMAX"
    ):
        return True
    kept = wiring.sources[operator.outputs[0]] != operator.outputs[0]
    return kept or (operator.code in ARITHMETIC and len(wiring.operands(operator)) == 1)


def counted(codes: Counter[str], limit: int | None = None) -> str:
    """Names, with how often they occur where that is more than once."""
    names = [f"{name} ({count})" if count > 1 else name for name, count in codes.most_common(limit)]
    rest = len(codes) - len(names)
    return ", ".join(names) + (f" and {rest} more" if rest > 0 else "")


class _Reading:
    """The graph of one file under construction."""

    def __init__(self, wiring: Wiring) -> None:
        self._wiring, self._file = wiring, wiring.file
        self._values: dict[int, int] = {}
        self._shapes: list[Shape] = []
        self._nodes: list[OpNode] = []
        self._names: set[str] = set()
        self._numbers: Counter[str] = Counter()
        self._weight_names: dict[int, str] = {}
        self.left_out: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.other_forms: dict[OpSpec, Excerpt] = {}
        self.other_types: dict[OpSpec, Excerpt] = {}

    def graph(self) -> OpGraph:
        """The operators in the order of the file, each group where its last one stands."""
        groups = self._groups()
        inner = {index for group in groups.values() for index in group.operators}
        for tensor in self._file.inputs:
            self._values[tensor] = len(self._shapes)
            self._shapes.append(self._wiring.shape(self._image(tensor)))
        inputs = tuple(self._shapes)
        for index, operator in enumerate(self._file.operators):
            tensor = operator.outputs[0]
            if index in groups:
                self._add(groups[index], tensor)
            elif index not in inner and self._wiring.sources[tensor] == tensor and not self._is_size(operator):
                self._leave_out(index, operator)
        outputs = tuple(self._value(tensor) for tensor in self._file.outputs)
        return OpGraph(input_shapes=inputs, nodes=tuple(self._nodes), outputs=outputs)

    def _is_size(self, operator: FileOperator) -> bool:
        return computes_sizes(self._file, operator)

    def _groups(self) -> dict[int, Group]:
        """By their last operator, found from the end of the file on."""
        groups: dict[int, Group] = {}
        taken: set[int] = set()
        for index in reversed(range(len(self._file.operators))):
            operator = self._file.operators[index]
            kept = self._wiring.sources[operator.outputs[0]] != operator.outputs[0]
            if index in taken or kept or operator.code not in RAISED or self._is_size(operator):
                continue
            try:
                group = recognised(self._wiring, index)
            except InputError as error:
                if operator.code in ARITHMETIC and len(self._wiring.operands(operator)) == 1:
                    continue
                raise InputError(f"operator {index} ({operator.code}): {error}") from error
            groups[index] = group
            taken |= group.operators
        return groups

    def _add(self, group: Group, tensor: int) -> None:
        last, weighted = self._file.operators[group.last], group.spec.kind in WEIGHTED
        parts = tuple(self._file.operators[index] for index in sorted(group.operators))
        kernels = [part for part in parts if part.code in KERNEL_AXES]
        operator = kernels[0] if weighted else last
        if weighted:
            self.kinds[_stored(self._wiring, operator, last)] += 1
        if (
            not all(is_delegated(self._wiring, part) for part in parts)
            or is_dynamic(self._wiring, operator)
            or is_unsigned(self._wiring, last)
            or (is_in_pieces(group.spec) and len(kernels) == 1)
        ):
            self.other_forms[group.spec] = Excerpt(self._wiring, parts)
        elif weighted and is_large(group.spec) != _is_float(self._wiring, last):
            self.other_types[group.spec] = Excerpt(self._wiring, parts)
        name = self._name(tensor)
        node = OpNode(
            name=name,
            spec=group.spec,
            inputs=tuple(self._value(source) for source in group.inputs),
            bias=weighted and len(operator.inputs) > 2 and operator.inputs[2] >= 0,
            weight_name=self._weight_names.setdefault(self._wiring.sources[operator.inputs[1]], name)
            if weighted
            else "",
            first_channel=first_channel(self._wiring, operator) if group.spec.kind is OpKind.SLICE else 0,
        )
        read = tuple(self._shapes[i] for i in node.inputs)
        if read != group.spec.in_shapes:
            raise InputError(f"operator {group.last} ({last.code}): a RESHAPE before it turns pixels into channels")
        self._append(node, tensor)

    def _leave_out(self, index: int, operator: FileOperator) -> None:
        """An operator that is no op: its output is its input; a fused activation becomes an op of its own."""
        (source,) = self._wiring.operands(operator)[:1] or (None,)
        tensor = operator.outputs[0]
        if source is None or self._wiring.shape(source) != self._wiring.shape(tensor):
            raise InputError(f"operator {index} ({operator.code}): changes the shape of what it reads")
        self.left_out[operator.code] += 1
        value = self._value(source)
        self._values[tensor] = value
        if (activation := fused(operator)) != "none":
            shape = self._shapes[value]
            spec = OpSpec(OpKind(activation), (shape,), shape[2])
            self._append(OpNode(name=self._name(tensor), spec=spec, inputs=(value,)), tensor)

    def _append(self, node: OpNode, tensor: int) -> None:
        self._values[tensor] = len(self._shapes)
        self._shapes.append(node.spec.out_shape)
        self._nodes.append(node)

    def _value(self, tensor: int) -> int:
        source = self._wiring.sources.get(tensor, -1)
        if source not in self._values:
            raise InputError(f"tensor {self._file.tensors[tensor].name!r} is a constant, not a value of the network")
        return self._values[source]

    def _image(self, tensor: int) -> int:
        """An input, or what a first TRANSPOSE to channels last makes of it."""
        operator = self._file.first_readers.get(("TRANSPOSE", tensor))
        return tensor if operator is None else operator.outputs[0]

    def _name(self, tensor: int) -> str:
        """The tensor's name, with a number where it was there before."""
        first = self._file.tensors[tensor].name or "op"
        name = first
        while name in self._names:
            self._numbers[first] += 1
            name = f"{first}_{self._numbers[first]}"
        self._names.add(name)
        return name


def _stored(wiring: Wiring, operator: FileOperator, last: FileOperator) -> str:
    """The type of an op with weights, by what reads them and what gives the op's output."""
    image, weight = operator.inputs[:2]
    types = [wiring.file.tensors[t].type for t in (image, wiring.sources[weight])]
    return "int8" if _is_between_types(wiring, last) else _kind(types)


def _is_float(wiring: Wiring, operator: FileOperator) -> bool:
    return wiring.file.tensors[operator.outputs[0]].type not in QUANTIZED


def _is_between_types(wiring: Wiring, operator: FileOperator) -> bool:
    """Whether it computes in float32 what is stored as integers after it."""
    after = wiring.file.first_readers.get(("QUANTIZE", operator.outputs[0]))
    return _is_float(wiring, operator) and after is not None and not _is_float(wiring, after)


def _types(wiring: Wiring, operators: Iterable[FileOperator]) -> list[str]:
    return [wiring.file.tensors[t].type for operator in operators for t in operator.outputs]


def _kind(types: list[str]) -> str:
    """Of an activation's and a weight's type, or of any."""
    if types and types[0] in ("INT8", "UINT8"):
        return "int8"
    return "float16" if "FLOAT16" in types else "float32"
