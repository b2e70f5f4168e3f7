"""Finds what lies in a package: adding one thing is adding one file."""

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from mobilenas.errors import InputError, shorten

T = TypeVar("T")
MOST_LISTED = 16
"""More names than this are no help in an error."""


class Registry(Mapping[str, type[T]], Generic[T]):
    """The concrete subclasses of `base` in one package, by file name: `mbconv` is the class in `mbconv.py`.

    Names are read from the file list, so that listing them imports nothing; a look-up imports that one module.

    Args:
        package: Import path of the package, such as `mobilenas.blocks`.
        base: What the classes derive from; its own module, subpackages and modules named `_...` are not listed.
        noun: How errors call one of them.
    """

    def __init__(self, package: str, base: type[T], noun: str) -> None:
        self._package, self._base, self._noun = package, base, noun
        self._found: dict[str, type[T]] = {}

    def add(self, name: str, cls: type[T]) -> None:
        """Registers a class that lives elsewhere (a user's own)."""
        self._found[name] = cls

    def __getitem__(self, name: str) -> type[T]:
        if name in self._found:
            return self._found[name]
        if name not in self._modules:
            raise InputError(unknown(self._noun, name, self))
        module = importlib.import_module(f"{self._package}.{name}")
        found = [cls for cls in vars(module).values() if self._fits(cls) and cls.__module__ == module.__name__]
        if len(found) != 1:
            raise TypeError(f"{module.__name__} must hold exactly one {self._base.__name__}, not {len(found)}")
        return self._found.setdefault(name, found[0])

    def __contains__(self, name: object) -> bool:
        return name in self._found or name in self._modules

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._modules.union(self._found)))

    def __len__(self) -> int:
        return len(self._modules.union(self._found))

    def _fits(self, cls: object) -> bool:
        return inspect.isclass(cls) and issubclass(cls, self._base) and not inspect.isabstract(cls)

    @cached_property
    def _modules(self) -> frozenset[str]:
        files = pkgutil.iter_modules(importlib.import_module(self._package).__path__)
        names = {file.name for file in files if not file.ispkg and not file.name.startswith("_")}
        return frozenset(names - {self._base.__module__.rpartition(".")[2]})


def unknown(noun: str, name: str, known: Mapping[str, object] | list[str]) -> str:
    """The text for a name that is not known, with those that begin so, else the nearest, or all where they are few."""
    names = sorted(known)
    begun = [each for each in names if each.startswith(str(name))]
    near = begun if name and len(begun) <= MOST_LISTED else []
    near = near or difflib.get_close_matches(str(name), names, n=3) or (names if len(names) <= MOST_LISTED else [])
    question = f"; did you mean: {', '.join(near)}?" if near else ""
    return f"unknown {noun} {shorten(name)}{question}"
