"""Frozen dataclasses that are read from JSON or TOML, with errors that name the field."""

import dataclasses
import errno
import os
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self, Union

from mobilenas.errors import FieldError, InputError, shorten

PLAIN = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
"""The types of plain values, as errors call them; a bool is no int."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Base of a frozen, keyword-only dataclass whose fields can be read from a mapping.

    Fields may be `int`, `float` (finite), `str`, `bool`, `Literal[...]`, a class whose objects are given as they are,
    a tuple of one of them, or a union of these. Ranges are checked by the dataclass itself in `__post_init__`, which
    raises `FieldError`.
    """

    @classmethod
    def from_dict(cls, data: object, *, where: str = "") -> Self:
        """Builds the object from `data`.

        Args:
            data: Mapping of field names to plain values.
            where: Path of this object in its file, for errors.

        Raises:
            InputError: If `data` is no mapping, a field is unknown or missing, or a value is not accepted.
        """
        here = where or "the file"
        if not isinstance(data, Mapping):
            raise InputError(f"{here}: {shorten(data)} is not accepted; give an object with fields")
        own: type = cls
        hints = _field_types(own)
        for name in data:
            if name not in hints:
                raise InputError(f"{here}: unknown field {shorten(name)}; accepted: {', '.join(hints)}")
        required = {f.name for f in dataclasses.fields(cls) if _is_required(f)}
        missing = sorted(required - data.keys())
        if missing:
            raise InputError(f"{here}: field {missing[0]!r} is missing; add it")
        values = {name: _convert(data[name], hints[name], name, where) for name in data}
        try:
            return cls(**values)
        except FieldError as error:
            raise (error.inside(where) if where else error) from None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values; those that stand at their default are left out."""
        own: type = type(self)
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, default in _defaults(own)
            if (value := getattr(self, name)) != default
        }


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


@cache
def _defaults(cls: type) -> tuple[tuple[str, Any], ...]:
    return tuple((field.name, field.default) for field in dataclasses.fields(cls))


@cache
def _field_types(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _convert(value: object, hint: Any, name: str, where: str) -> Any:
    for option in _options(hint):
        origin = typing.get_origin(option)
        if origin is Literal:
            if any(value == choice and type(value) is type(choice) for choice in typing.get_args(option)):
                return value
        elif origin is tuple and isinstance(value, list | tuple):
            item = typing.get_args(option)[0]
            return tuple(_convert(v, item, f"{name}[{i}]", where) for i, v in enumerate(value))
        elif option is float and isinstance(value, int | float) and not isinstance(value, bool):
            if abs(value) <= sys.float_info.max:  # neither NaN nor an infinity nor an int that no float holds
                return float(value)
        elif option is type(None) and value is None:
            return None
        elif type(value) is option or (isinstance(option, type) and option not in PLAIN and isinstance(value, option)):
            return value
    raise FieldError(name, value, _describe(hint), where)


def _options(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if typing.get_origin(hint) in (Union, types.UnionType) else (hint,)


def _describe(hint: Any) -> str:
    words = []
    for option in _options(hint):
        if typing.get_origin(option) is Literal:
            words += [repr(choice) for choice in typing.get_args(option)]
        elif typing.get_origin(option) is tuple:
            words.append(f"a list, each {_describe(typing.get_args(option)[0])}")
        else:
            words.append(PLAIN.get(option, str(option)))
    return " or ".join(words)


def check(condition: bool, field: str, value: object, accepted: str) -> None:
    """Raises `FieldError` unless `condition` holds; for `__post_init__`."""
    if not condition:
        raise FieldError(field, value, accepted)


def check_path(field: str, value: str) -> None:
    """Raises `FieldError` unless `value` can be a path, be something there or not; `~` and `~user` are homes."""
    try:
        os.stat(Path(value).expanduser())
    except (ValueError, RuntimeError):  # a zero byte, or nobody's home
        raise FieldError(field, value, "a path") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise FieldError(field, value, "a shorter path") from None
