"""Prices of work: their text, and how they are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.rate_fit import (
    Sample,
    fit_rates,
    left_out_errors,
    nonnegative_least_squares,
    predicted_us,
    with_error,
)
from mobilenas.latency.rates import PRIOR, Rates, era_from_text, era_to_text
from mobilenas.latency.work import KINDS_OF_WORK

NAMES = ("mobilenet_v2", "mobilenet_v2_0.5", "mnasnet_a1", "mobilenet_v3_small", "mobilenet_v3_large")
RESOLUTIONS = (96, 160, 224)
TRUE = Rates(tuple((np.linspace(0.5, 2.0, len(KINDS_OF_WORK)) * PRIOR.us_per_unit).tolist()))


@pytest.fixture(scope="module")
def samples():
    """Networks on a device with known prices, whose newer runtime takes 0.8 times as long; one of them ran on both."""
    made = []
    for name in NAMES:
        for resolution in RESOLUTIONS:
            ops = models.get(name, resolution=resolution).graph().op_counts()
            latency_us = sum(count * TRUE.op_us(op) for op, count in ops.items())
            made.append(Sample(ops, latency_us, "old"))
            if name == NAMES[0]:
                made.append(Sample(ops, 0.8 * latency_us, "new"))
    return made


def test_an_op_costs_its_work_times_the_prices():
    op = OpSpec(OpKind.ADD, ((10, 10, 8),) * 2, 8)
    prices = dict.fromkeys(KINDS_OF_WORK, 0.0) | {"elementwise MB": 100.0, "ops": 2.0}
    assert Rates(tuple(prices.values())).op_us(op) == pytest.approx(100 * 2400 * 4e-6 + 2)


def test_text_reads_back():
    rates = Rates(TRUE.us_per_unit, {"a": 1.0, "b | c": 0.9}, 0.125)
    eras = dict(era_from_text(era_to_text(name, factor)) for name, factor in rates.eras.items())
    assert Rates.from_text(rates.to_text(), eras) == rates


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [("ops", "oops", "must give"), ("ops 5.0", "ops nan", "ops 'nan' is"), ("ops 5.0", "ops -5.0", "from 0 to")],
)
def test_damaged_text_is_refused(old, new, message):
    text = PRIOR.to_text()
    assert old in text
    with pytest.raises(ValueError, match=message):
        Rates.from_text(text.replace(old, new), {})


@pytest.mark.parametrize("text", ["0.9", "a | 0", "a | nan", "a | 11", "a | b"])
def test_a_damaged_era_is_refused(text):
    with pytest.raises(ValueError, match=r"era|float"):
        era_from_text(text)


def test_prices_and_era_are_found_again(samples):
    rates = fit_rates(samples, shrinkage=1e-7)
    assert list(rates.eras) == ["old", "new"]  # fifteen samples against three
    assert rates.eras["old"] == 1.0
    assert rates.eras["new"] == pytest.approx(0.8, abs=0.002)
    assert predicted_us(rates, samples) == pytest.approx([s.latency_us for s in samples], rel=2e-3)


def test_one_sample_moves_the_scale_and_keeps_the_proportions(samples):
    rates = fit_rates(samples[:1])
    assert predicted_us(rates, samples[:1])[0] == pytest.approx(samples[0].latency_us, rel=1e-3)
    ratios = np.array(rates.us_per_unit) / PRIOR.us_per_unit
    assert ratios.max() / ratios.min() < 1.6
    assert rates.eras == {"old": 1.0}


def test_a_strong_prior_leaves_only_the_scale(samples):
    ratios = np.array(fit_rates(samples, shrinkage=1e3).us_per_unit) / PRIOR.us_per_unit
    assert ratios == pytest.approx(np.full(len(ratios), ratios.mean()), rel=1e-3)


def test_units_do_not_matter(samples):
    slower = [Sample(s.ops, 1000 * s.latency_us, s.era) for s in samples]
    assert fit_rates(slower).us_per_unit == pytest.approx(
        [1000 * us for us in fit_rates(samples).us_per_unit], rel=1e-4
    )


def test_left_out_groups_are_predicted_from_the_others(samples):
    groups = [sorted(map(str, sample.ops))[0] for sample in samples]  # every resolution has ops of its own
    errors = left_out_errors(samples, groups, fit_rates, "float32")
    assert np.abs(errors).max() < 0.1
    only_new = [Sample(s.ops, s.latency_us, "new" if i == 0 else "old") for i, s in enumerate(samples)]
    errors = left_out_errors(only_new, list(range(len(samples))), fit_rates, "float32")
    assert np.isnan(errors).tolist() == [True, *[False] * (len(samples) - 1)]


@pytest.mark.parametrize("latencies", [[], [0.0], [1.0, -1.0]])
def test_nothing_and_no_time_are_refused(samples, latencies):
    with pytest.raises(InputError, match="at least one"):
        fit_rates([Sample(samples[0].ops, us) for us in latencies])


def test_an_error_is_added():
    assert with_error(PRIOR, 0.2) == Rates(PRIOR.us_per_unit, {}, 0.2)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 12))
def test_nonnegative_least_squares_meets_the_conditions_of_a_minimum(seed, columns, rows):
    rng = np.random.default_rng(seed)
    design, wanted = rng.normal(size=(rows, columns)), rng.normal(size=rows)
    x = nonnegative_least_squares(design, wanted)
    pull = design.T @ (wanted - design @ x)
    assert (x >= 0).all()
    assert pull.max() < 1e-6
    assert np.abs(pull[x > 1e-9]).max(initial=0) < 1e-6
