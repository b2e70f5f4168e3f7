"""What is no time is never taken for milliseconds."""

import pytest

from mobilenas.errors import InputError
from mobilenas.runners import Timing, Unit


def test_microseconds_are_shown_as_milliseconds():
    assert Unit.MICROSECONDS.milliseconds(1500.0) == 1.5
    assert Unit.MICROSECONDS.show(1500.0) == 1.5
    assert Unit.MICROSECONDS.shown == "ms"
    Unit.MICROSECONDS.check_is_time("a table")


def test_instructions_are_shown_as_they_are_and_are_no_milliseconds():
    assert Unit.INSTRUCTIONS.show(1500.0) == 1500.0
    assert Unit.INSTRUCTIONS.shown == "instructions"
    with pytest.raises(InputError, match="counted in instructions, which is not comparable with milliseconds"):
        Unit.INSTRUCTIONS.milliseconds(1500.0)
    with pytest.raises(InputError, match="device x is counted in instructions"):
        Unit.INSTRUCTIONS.check_is_time("device x")


def test_a_timing_keeps_its_unit_and_gives_milliseconds_only_where_it_is_a_time():
    counted = Timing.from_visits([[5.0]], 1, Unit.INSTRUCTIONS)
    assert Timing.merged([counted, counted]).unit is Unit.INSTRUCTIONS
    with pytest.raises(InputError, match="not comparable with milliseconds"):
        _ = counted.latency_ms
    assert Timing.from_visits([[5000.0]], 1).latency_ms == 5.0
