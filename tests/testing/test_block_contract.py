"""Every block in the registry keeps the contract, with several settings each."""

import dataclasses
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from mobilenas.blocks import BLOCKS, Block
from mobilenas.testing.block_contract import BlockContract

NUMBERS: dict[str, tuple[int, ...]] = {
    "kernel_size": (3, 5),
    "start_kernel_size": (0, 3),
    "middle_kernel_size": (0, 5),
    "stride": (1, 2),
    "expand_groups": (1, 2),
    "project_groups": (1, 2),
}
"""Values of whole-number settings; every other one is a count of channels."""
LISTS: dict[str, tuple[tuple[int, ...], ...]] = {"kernel_sizes": ((3,), (3, 5))}
"""Values of settings that are lists."""
CHANNELS = (8, 24)


def examples() -> Iterator[Any]:
    """The smallest settings of every block, and each of its settings changed on its own."""
    for name in BLOCKS:
        cls = BLOCKS[name]
        options = {field.name: _options(cls, field.name) for field in dataclasses.fields(cls)}
        least = {
            field.name: options[field.name][0]
            for field in dataclasses.fields(cls)
            if field.default is dataclasses.MISSING
        }
        yield pytest.param(partial(cls, **least), id=name)
        for setting, values in options.items():
            for value in values:
                if {**least, setting: value} != least:
                    yield pytest.param(partial(cls, **{**least, setting: value}), id=f"{name}-{setting}-{value}")


def _options(cls: type[Block], setting: str) -> tuple[Any, ...]:
    """Values that a setting may have, by its type."""
    if setting in LISTS:
        return LISTS[setting]
    hint = get_type_hints(cls)[setting]
    kinds = get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,)
    values: list[Any] = []
    for kind in kinds:
        if get_origin(kind) is Literal:
            values += get_args(kind)
        elif kind is bool:
            values += [True, False]
        elif kind is int:
            values += NUMBERS.get(setting, CHANNELS)
        elif kind is float:
            values += [0.25, 0.5]
    return tuple(values)


class TestRegisteredBlocks(BlockContract):
    @pytest.fixture(params=examples())
    def factory(self, request: pytest.FixtureRequest) -> Callable[[], Block]:
        made: Callable[[], Block] = request.param
        return made

    def test_it_is_called_as_its_file(self, block: Block) -> None:
        assert BLOCKS[block.type] is type(block)


def test_examples_reach_every_setting_of_every_block() -> None:
    blocks = [example.values[0]() for example in examples()]
    for name in BLOCKS:
        own = [block for block in blocks if block.type == name]
        for field in dataclasses.fields(BLOCKS[name]):
            assert len({getattr(block, field.name) for block in own}) > 1, (name, field.name)
