"""FlatbufferTable: reads a flatbuffer in which every offset and every length may be a lie."""

import struct
from dataclasses import dataclass

from mobilenas.errors import InputError

MAX_TEXT_BYTES = 300
"""Names are cut there: many of them may point to one long text."""


@dataclass(frozen=True, slots=True)
class FlatbufferTable:
    """One table of a flatbuffer; whatever lies outside the file is an error.

    Many entries of a file may point to one long list; so that its size bounds the work, all lists that are read
    together may not be much longer than the file.

    Attributes:
        data: The file.
        start: Where the table begins.
        vtable: Where the list of its fields begins.
        fields: How many fields that list has.
        left: How many bytes of lists may still be read; one count for all tables of a file.

    Source: FlatBuffers, "FlatBuffer Internals".
    """

    data: bytes
    start: int
    vtable: int
    fields: int
    left: list[int]

    @classmethod
    def root(cls, data: bytes) -> "FlatbufferTable":
        """The first table of a file.

        Raises:
            InputError: If it does not lie in the file.
        """
        return _table(data, _unpack("<I", data, 0), [4 * len(data)])

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """A number, whole unless `kind`, its letter in `struct`, is `f`."""
        position = self._position(field)
        return default if position is None else _unpack(f"<{kind}", self.data, position)

    def table(self, field: int) -> "FlatbufferTable | None":
        """Another table."""
        position = self._position(field)
        return None if position is None else _table(self.data, self._target(position), self.left)

    def tables(self, field: int, limit: int) -> tuple["FlatbufferTable", ...]:
        """A list of tables, of `limit` at most."""
        start, count = self._read(field, 4, limit)
        return tuple(_table(self.data, self._target(start + 4 * i), self.left) for i in range(count))

    def numbers(self, field: int, kind: str, limit: int) -> tuple[int, ...]:
        """A list of whole numbers, of `limit` at most; `kind` is their letter in `struct`."""
        return tuple(int(value) for value in self._values(field, kind, limit))

    def floats(self, field: int, limit: int) -> tuple[float, ...]:
        """A list of float32, of `limit` at most."""
        return self._values(field, "f", limit)

    def span(self, field: int) -> tuple[int, int]:
        """Where a list of bytes begins, and how many there are."""
        return self._vector(field, 1)

    def text(self, field: int) -> str:
        """A text, cut at `MAX_TEXT_BYTES`; what is no UTF-8 or cannot be printed is replaced."""
        start, count = self._vector(field, 1)
        count = min(count, MAX_TEXT_BYTES)
        text = self.data[start : start + count].decode(errors="replace")
        return "".join(character if character.isprintable() else "?" for character in text)

    def _values(self, field: int, kind: str, limit: int) -> tuple[float, ...]:
        start, count = self._read(field, struct.calcsize(kind), limit)
        return struct.unpack_from(f"<{count}{kind}", self.data, start)

    def _read(self, field: int, size: int, limit: int) -> tuple[int, int]:
        """Where a list begins and how long it is, after a look at the limits."""
        start, count = self._vector(field, size)
        self.left[0] -= count * size
        if count > limit or self.left[0] < 0:
            raise InputError(f"damaged or too large: a list of {count} entries at byte {start}")
        return start, count

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        position = self._position(field)
        if position is None:
            return 0, 0
        start = self._target(position)
        count = _unpack("<I", self.data, start)
        if start + 4 + count * size > len(self.data):
            raise InputError(f"damaged: a list of {count} entries at byte {start} goes beyond the end of the file")
        return start + 4, count

    def _position(self, field: int) -> int | None:
        if field >= self.fields:
            return None
        offset = _unpack("<H", self.data, self.vtable + 4 + 2 * field)
        return self.start + offset if offset else None

    def _target(self, position: int) -> int:
        return position + _unpack("<I", self.data, position)


def _table(data: bytes, start: int, left: list[int]) -> FlatbufferTable:
    vtable = start - _unpack("<i", data, start)
    size = _unpack("<H", data, vtable)
    if size < 4 or vtable + size > len(data):
        raise InputError(f"damaged: the fields of the table at byte {start} lie outside the file")
    return FlatbufferTable(data, start, vtable, (size - 4) // 2, left)


def _unpack(form: str, data: bytes, position: int) -> int:
    if not 0 <= position <= len(data) - struct.calcsize(form):
        raise InputError(f"damaged: something should stand at byte {position}, but the file has {len(data)} bytes")
    return int(struct.unpack_from(form, data, position)[0])
