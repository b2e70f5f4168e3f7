"""Damaged and hostile variants of files, from a seeded random stream."""

import copy
import json
import struct
from collections.abc import Callable
from random import Random
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

NUMBERS = (0, 1, 2, 3, 4, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1)
WHOLE = (0, 1, -1, 2, 7, 255, 4096, 4097, 100_000, 2**20, 2**31 - 1, 2**31, -(2**31), 2**63, 10**30, 10**400)
ODD: tuple[Any, ...] = (
    *(None, True, False, "", "same", "x" * 10_000, "\x00\ud800", "nan", 0.5, -0.0, 1e308, 1e-320, 1e400),
    *(float("nan"), [], {}, [[]], {"": 0}, [1] * 5000, {"type": "mbconv"}, "../../x", "-1", "9" * 5000),
)


def damaged(data: bytes, random: Random, other: bytes) -> bytes:
    """One to six changes of bytes; `other` is a file of the same kind to take parts from."""
    if random.random() < 0.03:
        return random.randbytes(random.randrange(400))
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        at = random.randrange(len(changed) + 1)
        length = min(random.choice((1, 2, 4, 8, 40, 400)), len(changed) - at)
        match random.randrange(9):
            case 0:
                del changed[at:]
            case 1 if at < len(changed):
                changed[at] ^= 1 << random.randrange(8)
            case 2 if at < len(changed):
                changed[at] = random.choice((0, 1, 127, 128, 255, 34, 44, 45, 123))
            case 3 | 4:
                at -= at % 4
                changed[at : at + 4] = struct.pack(
                    "<I", random.choice((*NUMBERS, len(data), at, random.randrange(2**32)))
                )
            case 5:
                changed[at : at + 2] = struct.pack("<H", random.choice(NUMBERS) % 2**16)
            case 6:
                del changed[at : at + length]
            case 7:
                changed[at:at] = changed[at : at + length] * random.choice((1, 2, 50))
            case _:
                start = random.randrange(len(other) + 1)
                changed[at : at + length] = other[start : start + length]
    return bytes(changed)


def hostile_json(text: str, random: Random) -> str:
    """A JSON document with values, keys and lists that nobody would write."""
    document = json.loads(text)
    for _ in range(random.choice((1, 1, 2, 4))):
        document = _changed(document, random)
    try:
        return json.dumps(document)
    except (ValueError, RecursionError):
        return "[" * 100_000


def hostile_csv(text: str, random: Random) -> str:
    """A table with cells, lines and preamble that nobody would write."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2, 4))):
        at = random.randrange(len(lines))
        comma = random.choice(",:x+ ")
        cells = lines[at].split(comma)
        place = random.randrange(len(cells))
        match random.randrange(5):
            case 0:
                lines[at:at] = [lines[random.randrange(len(lines))]] * random.choice((1, 2))
            case 1:
                del lines[at]
                lines = lines or [""]
            case 2:
                cells[place] = str(random.choice(ODD))[:6000]
                lines[at] = comma.join(cells)
            case 3:
                cells[place] = str(random.choice(WHOLE))
                lines[at] = comma.join(cells)
            case _:
                lines[at] = comma.join(
                    [*cells[:place], random.choice(('"', "\x00", "inf", "1e999", "#", "")), *cells[place:]]
                )
    return "\n".join(lines) + "\n"


def hostile_safetensors(data: bytes, random: Random) -> bytes:
    """A weights file whose header lies."""
    length = struct.unpack("<Q", data[:8])[0]
    header = hostile_json(data[8 : 8 + length].decode(), random).encode(errors="replace")
    claimed = random.choice((len(header), len(header), len(header), len(header) + 1, 0, 2**63, 99_999_999))
    return struct.pack("<Q", claimed) + header + data[8 + length :]


def hostile_tflite(data: bytes, random: Random) -> bytes:
    """A whole flatbuffer whose tables say what no converter would write."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    model.subgraphs[0].inputs, model.subgraphs[0].outputs = (
        [int(n) for n in numbers] for numbers in (model.subgraphs[0].inputs, model.subgraphs[0].outputs)
    )
    for tensor in model.subgraphs[0].tensors:
        tensor.shape = [] if tensor.shape is None else [int(size) for size in tensor.shape]
    for operator in model.subgraphs[0].operators:
        operator.inputs, operator.outputs = (
            [int(n) for n in numbers] for numbers in (operator.inputs, operator.outputs)
        )
    for _ in range(random.choice((1, 1, 2, 5))):
        _change_model(model, random)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _change_model(model: Any, random: Random) -> None:
    subgraph = model.subgraphs[0]
    tensor, operator = random.choice(subgraph.tensors), random.choice(subgraph.operators)
    changes: tuple[Callable[[], object], ...] = (
        lambda: _set_number(tensor.shape, random),
        lambda: setattr(tensor, "shape", [random.choice((0, 1, 5, 2**31 - 1)) for _ in range(random.randrange(9))]),
        lambda: setattr(tensor, "type", random.randrange(-1, 25)),
        lambda: setattr(tensor, "buffer", random.randrange(len(model.buffers) + 2)),
        lambda: setattr(tensor, "quantization", random.choice(subgraph.tensors).quantization),
        lambda: _set_number(operator.inputs, random, len(subgraph.tensors)),
        lambda: _set_number(operator.outputs, random, len(subgraph.tensors)),
        lambda: setattr(operator, "inputs", operator.inputs[: random.randrange(len(operator.inputs) + 1)]),
        lambda: setattr(operator, "inputs", operator.inputs * random.choice((2, 100, 400))),
        lambda: setattr(operator, "opcodeIndex", random.randrange(len(model.operatorCodes) + 1)),
        lambda: setattr(random.choice(model.operatorCodes), "builtinCode", random.randrange(210)),
        lambda: _set_option(operator, random),
        lambda: setattr(operator, "builtinOptions", random.choice(subgraph.operators).builtinOptions),
        lambda: random.shuffle(subgraph.operators),
        lambda: subgraph.operators.append(copy.deepcopy(operator)),
        lambda: setattr(subgraph, "outputs", [random.randrange(-2, len(subgraph.tensors) + 2)]),
        lambda: setattr(subgraph, "inputs", [random.randrange(len(subgraph.tensors))] * random.randrange(3)),
        lambda: _set_constant(model, random),
        lambda: _chain(subgraph, operator, random.choice((10, 300))),
    )
    random.choice(changes if random.random() < 0.6 else _structural(model, random))()


def _structural(model: Any, random: Random) -> tuple[Callable[[], object], ...]:
    """Changes whose parts are each fine: counts, claims and numbers of readers that no network has."""
    subgraph = model.subgraphs[0]
    tensor, operator = random.choice(subgraph.tensors), random.choice(subgraph.operators)
    return (
        lambda: operator.outputs.append(_copied(subgraph, operator.outputs[0])),
        lambda: operator.outputs.append(operator.outputs[0]),
        lambda: subgraph.outputs.append(_copied(subgraph, random.randrange(len(subgraph.tensors)))),
        lambda: setattr(subgraph, "outputs", [int(n) for n in subgraph.outputs] * random.choice((2, 900))),
        lambda: setattr(subgraph, "inputs", [int(n) for n in subgraph.inputs] * random.choice((2, 900))),
        lambda: _resize(subgraph, random),
        lambda: _resize(subgraph, random),
        lambda: setattr(tensor, "shape", [random.choice((1, 3, 1000, 2**20)) for _ in tensor.shape]),
        lambda: setattr(tensor, "buffer", random.choice(subgraph.tensors).buffer),
        lambda: _crowd(subgraph, operator, random),
        lambda: _crowd(subgraph, operator, random),
        lambda: [setattr(found, "name", "same") for found in subgraph.tensors],
        lambda: [subgraph.inputs.append(_copied(subgraph, subgraph.inputs[0])) for _ in range(900)],
    )


def _copied(subgraph: Any, tensor: int) -> int:
    """The number of a new tensor that says the same."""
    subgraph.tensors.append(copy.copy(subgraph.tensors[tensor]))
    return len(subgraph.tensors) - 1


def _resize(subgraph: Any, random: Random) -> None:
    """One size becomes another wherever it stands."""
    sizes = sorted({size for tensor in subgraph.tensors for size in tensor.shape})
    if sizes:
        old, new = random.choice(sizes), random.choice((0, 1, 2, 7, 400, 3000, 2**16, 2**28, 2**31 - 1))
        for tensor in subgraph.tensors:
            tensor.shape = [new if size == old else size for size in tensor.shape]


def _crowd(subgraph: Any, operator: Any, random: Random) -> None:
    """Many copies of an operator side by side, or of its group with all that the operators before it wrote."""
    at = subgraph.operators.index(operator)
    group = subgraph.operators[max(0, at - random.choice((0, 0, 1, 3))) : at + 1]
    for _ in range(random.choice((20, 300, 3000)) // len(group)):
        new: dict[int, int] = {}
        for member in group:
            follower = copy.copy(member)
            follower.inputs = [new.get(n, n) for n in member.inputs]
            follower.outputs = [new.setdefault(n, _copied(subgraph, n)) for n in member.outputs]
            subgraph.operators.append(follower)
    if random.random() < 0.5:
        subgraph.outputs = [subgraph.operators[-1].outputs[0]]


def _chain(subgraph: Any, operator: Any, count: int) -> None:
    """Many operators, each on what the one before it wrote."""
    for _ in range(count):
        follower = copy.copy(operator)
        follower.inputs = [subgraph.operators[-1].outputs[0], *operator.inputs[1:]]
        subgraph.tensors.append(copy.copy(subgraph.tensors[operator.outputs[0]]))
        follower.outputs = [len(subgraph.tensors) - 1]
        subgraph.operators.append(follower)
    subgraph.outputs = [len(subgraph.tensors) - 1]


def _set_number(values: Any, random: Random, near: int = 0) -> None:
    if values is not None and len(values):
        number = random.choice(NUMBERS) if random.random() < 0.5 or not near else random.randrange(-2, near + 2)
        values[random.randrange(len(values))] = (number + 2**31) % 2**32 - 2**31


def _set_option(operator: Any, random: Random) -> None:
    options = operator.builtinOptions
    numbers = [name for name, value in vars(options).items() if type(value) is int] if options else []
    if numbers:
        name = random.choice(numbers)
        small = name in ("padding", "fusedActivationFunction", "weightsFormat")
        setattr(options, name, random.randrange(-1, 8) if small else random.choice((-1, *NUMBERS[:-2])))


def _set_constant(model: Any, random: Random) -> None:
    buffer = random.choice(model.buffers)
    size = 0 if buffer.data is None else len(buffer.data)
    buffer.data = bytearray(random.randbytes(random.choice((0, 1, size, size + 4, 4 * size))))


def _changed(value: Any, random: Random) -> Any:
    """The value with one thing in it replaced, removed or added."""
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        match random.randrange(12):
            case 0:
                return {name: entry for name, entry in value.items() if name != key}
            case 1:
                return {**value, random.choice(("", "x", "type", "\ud800", "__class__")): value[key]}
            case _:
                return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.9:
        at = random.randrange(len(value))
        if random.random() < 0.15:
            return value[:at] + [value[at]] * random.choice((0, 2, 2000)) + value[at + 1 :]
        return [*value[:at], _changed(value[at], random), *value[at + 1 :]]
    return random.choice(random.choice((ODD, WHOLE)))
