"""Estimates of ops that were not measured."""

import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency.interpolation import Interpolation


def conv(size, channels, out):
    return OpSpec(OpKind.CONV2D, ((size, size, channels),), out)


def roofline_us(op):
    return 0.3 + max(op.macs / 80e3, (op.activation_bytes() + op.weight_bytes()) / 30e3)


def random_convs(count, seed):
    rng = np.random.default_rng(seed)
    return list({conv(int(rng.choice([7, 14, 28, 56])), *map(int, rng.integers(8, 400, 2))) for _ in range(count)})


def test_neighbours_are_estimated_within_a_few_percent_and_the_error_says_so():
    known = {op: roofline_us(op) for op in random_convs(200, seed=0)}
    interpolation = Interpolation(known)
    fresh = [op for op in random_convs(150, seed=1) if op not in known]
    estimates = [interpolation.estimate(op) for op in fresh]
    truth = np.array([roofline_us(op) for op in fresh])
    errors = np.array([e.latency_us for e in estimates]) - truth
    assert np.sqrt(np.mean((errors / truth) ** 2)) < 0.10
    deviations = np.abs(errors) / np.array([e.error_us for e in estimates])
    assert 0.75 < np.mean(deviations < 1.645) <= 1.0


def test_a_kind_without_rows_is_estimated_from_all_kinds_with_more_doubt():
    known = {op: roofline_us(op) for op in random_convs(100, seed=0)}
    interpolation = Interpolation(known)
    pool = OpSpec(OpKind.MAX_POOL2D, ((28, 28, 64),), 64, kernel_size=(3, 3))
    estimate = interpolation.estimate(pool)
    assert estimate.latency_us > 0
    like = interpolation.estimate(conv(28, 64, 64))
    assert estimate.error_us / estimate.latency_us > like.error_us / like.latency_us


def test_far_outside_the_rows_it_grows_with_the_work():
    known = {op: roofline_us(op) for op in random_convs(150, seed=0)}
    interpolation = Interpolation(known)
    near, far = interpolation.estimate(conv(56, 256, 256)), interpolation.estimate(conv(112, 1024, 1024))
    assert far.latency_us > 10 * near.latency_us
    assert far.error_us / far.latency_us > near.error_us / near.latency_us


def test_the_order_of_rows_does_not_matter():
    known = list({op: roofline_us(op) for op in random_convs(900, seed=0)}.items())
    assert len(known) > 700  # more than are fitted
    shuffled = [known[i] for i in np.random.default_rng(1).permutation(len(known))]
    for op in (conv(28, 64, 64), conv(7, 500, 33), conv(112, 16, 8)):
        assert Interpolation(dict(known)).estimate(op) == Interpolation(dict(shuffled)).estimate(op)


@pytest.mark.parametrize(
    ("op", "beyond"),
    [
        (conv(28, 64, 64), False),
        (conv(14, 450, 300), False),  # of more channels, but not by half a doubling
        (conv(28, 1200, 64), True),
        (conv(28, 64, 2), True),
        (conv(224, 64, 64), True),
        (OpSpec(OpKind.CONV2D, ((28, 28, 64),), 64, kernel_size=(7, 7)), True),
        (OpSpec(OpKind.MAX_POOL2D, ((28, 28, 64),), 64, kernel_size=(3, 3)), True),  # the only one of its kind
    ],
)
def test_what_lies_beyond_all_rows_is_said_to(op, beyond):
    interpolation = Interpolation({op: roofline_us(op) for op in random_convs(200, seed=0)})
    estimate = interpolation.estimate(op)
    assert estimate.extrapolated == beyond
    like = interpolation.estimate(conv(28, 64, 64))
    assert (estimate.error_us / estimate.latency_us > 1.5 * like.error_us / like.latency_us) == beyond


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 12])
def test_few_rows_leave_much_doubt(rows):
    """At least 80 % of what is true is inside of the intervals, over several draws."""
    inside = []
    for seed in range(10):
        interpolation = Interpolation({op: roofline_us(op) for op in random_convs(rows, seed=seed)})
        for op in random_convs(30, seed=100 + seed):
            estimate = interpolation.estimate(op)
            ratio = abs(np.log(roofline_us(op) / estimate.latency_us))
            inside.append(ratio <= 1.645 * np.log1p(estimate.error_us / estimate.latency_us))
    assert np.mean(inside) > 0.8


def test_an_empty_table_is_an_error_that_says_what_to_run():
    with pytest.raises(InputError, match="mobilenas profile"):
        Interpolation({}).estimate(conv(7, 8, 8))
