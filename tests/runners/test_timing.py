"""Timing arithmetic and the bounds of a protocol."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenas.errors import FieldError
from mobilenas.runners import Timing, TimingProtocol, Unit, response, undisturbed


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


def test_of_visits_beside_a_reference_the_quieter_half_counts_at_the_references_usual_speed():
    assert undisturbed([10.0, 12.0, 11.0, 20.0], [1.0, 1.2, 1.02, 2.0]) == pytest.approx(10.25)  # 10 and 11 as they are
    assert undisturbed([12.0, 30.0, 26.0], [1.2, 2.0, 1.3]) == pytest.approx(12.7)  # 12 / 1.2, 26 / 1.25
    assert undisturbed([10.0, 12.0, 11.0, 20.0]) == pytest.approx(10.3)


def test_no_more_is_promised_than_was_seen():
    """A session that is slow by a quarter: the latency is corrected, what may be promised is not."""
    slow = Timing.merged([Timing.from_visits([[us] * 5], delegates=1) for us in (10, 12, 11)])
    assert slow.visit_us == (10, 12, 11)
    assert slow.seen_us == slow.latency_us == pytest.approx(10.2)
    assert replace(slow, latency_us=8.2).seen_us == slow.p10_us == pytest.approx(10.2)


def test_a_device_that_gives_one_figure_a_visit_has_no_percentiles():
    timing = Timing.from_summaries([5.0, 3.0, 4.0], runs=30, delegates=None, estimator="median")
    assert timing.latency_us == pytest.approx(3.2)
    assert timing.visit_us == (5.0, 3.0, 4.0)
    assert timing.spread_us == pytest.approx((4.5 - 3.5) / 2)
    assert (timing.p10_us, timing.p90_us, timing.delegates, timing.estimator) == (None, None, None, "median")
    apart = [Timing.from_summaries([us], runs=10, delegates=None, estimator="median") for us in (5.0, 3.0, 4.0)]
    assert Timing.merged(apart) == timing
    assert Unit.MICROSECONDS.show(timing.p10_us) is None
    assert Unit.MICROSECONDS.show(1500.0) == 1.5


@pytest.mark.parametrize(
    ("field", "value"),
    [("visits", 0), ("runs", 4), ("visit_seconds", 0.0), ("visit_seconds", float("nan")), ("warmup_runs", -1)],
)
def test_a_protocol_out_of_range_names_the_field(field, value):
    with pytest.raises(FieldError, match=field):
        TimingProtocol(**{field: value})


def test_models_respond_as_their_visits_say():
    rng = np.random.default_rng(0)
    beside = [list(rng.uniform(1.0, 1.1, 3)) for _ in range(100)]

    def visits(power, noise):
        return [(np.array(b) ** power * rng.normal(7.0, 7 * noise, 3), b) for b in beside]

    for power in (0.0, 0.3, 0.7, 1.0):
        assert response(visits(power, 1e-6), prior=0.7) == pytest.approx(power, abs=1e-3)
        assert response(visits(power, 0.01), prior=0.7) == pytest.approx(power, abs=0.1)
    assert response(visits(2.0, 1e-6), prior=0.7) == 1.0
    assert response(visits(-0.5, 1e-6), prior=0.7) == 0.0


def test_a_wild_visit_does_not_change_what_models_respond():
    beside = [[1.0, 1.05]] * 40
    latency = [[7.0, 7.0]] * 30 + [[7.0, 21.0]] * 10
    assert response(zip(latency, beside, strict=True), prior=0.7) == 0.0


def test_few_visits_leave_the_prior():
    assert response([], prior=0.7) == 0.7
    assert response([([0.0, 7.0], [5.0, 7.0]), ([0.0, 0.0], [5.0, 7.0])], prior=0.7) == 0.7  # too short for the clock
    assert response([([7.0], [5.0]), ([7.0, 7.0], [5.0, 5.0])], prior=0.7) == 0.7
    assert response([([7.0, 7.0], [5.0, 5.2])], prior=0.7) == 0.7
    assert response([([7.0, 7.0], [5.0, 7.0])], prior=0.7) == 0.0  # 34 % apart: more than ten times 3 %
