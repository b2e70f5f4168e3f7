"""Timing arithmetic and the bounds of a protocol."""

import pytest

from mobilenas.errors import FieldError
from mobilenas.runners import Timing, TimingProtocol


def test_value_is_the_10th_percentile_over_visits_of_their_lower_quartiles():
    timing = Timing.from_visits([[1, 2, 3, 4, 5], [10, 20, 30, 40, 50], [2, 3, 4, 5, 1000]], delegates=1)
    assert timing.visit_us == (2.0, 20.0, 3.0)
    assert timing.latency_us == pytest.approx(2.2)
    assert timing.runs == 15
    assert timing.visits == 3
    assert timing.spread_us == pytest.approx((11.5 - 2.5) / 2)


def test_percentiles_lie_around_the_value():
    timing = Timing.from_visits([list(range(1, 12)), list(range(101, 112))], delegates=1)
    assert timing.p10_us == pytest.approx(2 + 0.1 * 100)
    assert timing.latency_us == pytest.approx(3.5 + 0.1 * 100)
    assert timing.p90_us == pytest.approx(10 + 0.9 * 100)


def test_merged_timings_are_as_if_the_visits_had_been_made_together():
    visits = [[1, 2, 3, 4, 5], [10, 20, 30, 40, 50], [2, 3, 4, 5, 1000]]
    apart = [Timing.from_visits([visit], delegates=1) for visit in visits]
    assert Timing.merged(apart) == Timing.from_visits(visits, delegates=1)


@pytest.mark.parametrize(
    ("field", "value"),
    [("visits", 0), ("runs", 4), ("visit_seconds", 0.0), ("visit_seconds", float("nan")), ("warmup_runs", -1)],
)
def test_a_protocol_out_of_range_names_the_field(field, value):
    with pytest.raises(FieldError, match=field):
        TimingProtocol(**{field: value})
