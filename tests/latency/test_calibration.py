"""The footprint model finds the constants it was generated with."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenas.graph import GraphBuilder
from mobilenas.latency import BlockKey, Calibration, CalibrationNetwork
from mobilenas.latency.calibration import _Candidates, _error_of_the_best
from mobilenas.latency.footprint import Footprint


def networks(count, *, scale=1.05, us_per_mb=20.0, cache_mb=8.0, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        op_sum, megabytes = rng.uniform(1000, 6000), rng.uniform(2, 25)
        latency = scale * op_sum + us_per_mb * max(0.0, megabytes - cache_mb)
        latency *= 1 + noise * rng.standard_normal()
        made.append(CalibrationNetwork(f"net{i}", op_sum, int(megabytes * 1e6), latency))
    return made


def test_no_networks_leave_the_sum_as_it_is():
    calibration = Calibration.fit([])
    assert calibration.network_us(100.0, 10**7) == 100.0
    assert calibration.error == 0.10


def test_known_constants_are_found():
    fit = Calibration.fit(networks(30))
    assert fit.scale == pytest.approx(1.05, rel=0.01)
    truth = Calibration(1.05, 20.0, 8.0)
    for op_sum, megabytes in [(1500.0, 3.0), (3000.0, 12.0), (5000.0, 24.0)]:
        assert fit.network_us(op_sum, megabytes * 1e6) == pytest.approx(
            truth.network_us(op_sum, megabytes * 1e6), rel=0.01
        )


def test_a_disturbed_network_does_not_move_the_fit():
    clean = networks(24, noise=0.005)
    disturbed = [
        *clean[:-1],
        CalibrationNetwork("bad", clean[-1].op_sum_us, clean[-1].footprint_bytes, 3 * clean[-1].measured_us),
    ]
    a, b = Calibration.fit(clean), Calibration.fit(disturbed)
    assert b.network_us(3000.0, 12e6) == pytest.approx(a.network_us(3000.0, 12e6), rel=0.02)


def test_stated_error_is_what_held_out_networks_show():
    fit = Calibration.fit(networks(24, noise=0.03))
    fresh = networks(400, noise=0.03, seed=1)
    errors = [fit.network_us(n.op_sum_us, n.footprint_bytes) / n.measured_us - 1 for n in fresh]
    assert fit.error == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))), rel=0.4)
    assert fit.error < 0.05


def test_the_error_is_that_of_networks_which_took_no_part_in_the_choice_of_the_knee():
    """By hand: without the first, candidate 1 has 4 + 9 and candidate 2 has 16 + 4; the first errs by 5 with 1."""
    errors = np.array([[5.0, 2.0, 3.0], [1.0, 4.0, 2.0]])
    assert _error_of_the_best(errors) == pytest.approx(np.sqrt((5**2 + 4**2 + 2**2) / 3))


def test_the_fewer_networks_the_wider_the_interval():
    assert Calibration(error=0.02, networks=2).spread == pytest.approx(0.04)
    assert Calibration(error=0.02, networks=11).spread == pytest.approx(0.022)
    assert Calibration(error=0.02, networks=1).spread == Calibration(error=0.02).spread == 0.02


def test_few_networks_fit_a_scale_only_and_claim_little():
    fit = Calibration.fit(networks(3))
    assert fit.us_per_mb == 0.0
    assert fit.error >= 0.05


def test_slope_is_never_negative():
    rng = np.random.default_rng(0)
    falling = [
        CalibrationNetwork(str(i), 2000.0, int(mb * 1e6), 2000.0 - 30 * mb)
        for i, mb in enumerate(rng.uniform(1, 20, 20))
    ]
    assert Calibration.fit(falling).us_per_mb >= 0.0


def parted(count, *, depthwise=1.1, activation=0.85, noise=0.0, seed=0):
    """Networks whose depthwise convolutions and activations take other times than the sum says."""
    rng = np.random.default_rng(seed)
    made = []
    for network in networks(count, noise=noise, seed=seed):
        first, second = network.op_sum_us * rng.uniform((0.05, 0.02), (0.5, 0.3))
        more = 1.05 * ((depthwise - 1) * first + (activation - 1) * second)
        made.append(replace(network, measured_us=network.measured_us + more, depthwise_us=first, activation_us=second))
    return made


def test_factors_of_depthwise_convolutions_and_activations_are_found_and_pulled_to_one():
    fit = Calibration.fit(parted(400))
    assert (fit.depthwise, fit.activation) == pytest.approx((1.1, 0.85), abs=0.01)
    assert fit.scale == pytest.approx(1.05, rel=0.01)
    few = Calibration.fit(parted(10))
    assert 1.0 < few.depthwise < 1.1
    assert 0.85 < few.activation < 1.0
    assert Calibration.fit(parted(7)).depthwise == 1.0


def test_factors_make_a_better_fit_of_held_out_networks():
    known, fresh = parted(40, noise=0.02), parted(400, noise=0.02, seed=1)
    alike = [replace(network, depthwise_us=0.0, activation_us=0.0) for network in known]

    def error(fit):
        sums = [
            n.op_sum_us + (fit.depthwise - 1) * n.depthwise_us + (fit.activation - 1) * n.activation_us for n in fresh
        ]
        found = [fit.network_us(s, n.footprint_bytes) / n.measured_us - 1 for s, n in zip(sums, fresh, strict=True)]
        return float(np.sqrt(np.mean(np.square(found))))

    fit = Calibration.fit(known)
    assert error(fit) < 0.9 * error(Calibration.fit(alike))
    assert fit.error == pytest.approx(error(fit), rel=0.4)


@pytest.mark.parametrize("unit", [0.3, 1e3])
def test_the_fit_does_not_depend_on_the_unit(unit):
    plain = Calibration.fit(parted(20))
    other = Calibration.fit([replace(n, measured_us=unit * n.measured_us) for n in parted(20)])
    assert (other.scale / unit, other.depthwise, other.activation, other.error) == pytest.approx(
        (plain.scale, plain.depthwise, plain.activation, plain.error), rel=1e-6
    )


def test_a_network_says_what_its_parts_take():
    builder = GraphBuilder((7, 7, 8))
    x = builder.conv2d(builder.inputs[0], 8, kernel_size=(1, 1), name="conv")
    for i in range(2):
        x = builder.depthwise_conv2d(x, kernel_size=(3, 3), name=f"depthwise_{i}")
    for i in range(4):
        x = builder.activation(x, "silu", name=f"silu_{i}")
    graph = builder.finish(x)
    conv, depthwise, silu = graph.op_counts()
    price = {conv: 5.0, depthwise: 3.0, silu: 0.25}
    network = CalibrationNetwork.of("n", graph, price.__getitem__, dtype="float32", measured_us=13.0)
    assert (network.op_sum_us, network.depthwise_us, network.activation_us) == (12.0, 6.0, 1.0)
    assert CalibrationNetwork.from_text(network.to_text()) == network
    fit = Calibration(depthwise=1.5, activation=0.5)
    assert [fit.factor(op) for op in price] == [1.0, 1.5, 0.5]
    assert fit.factor(BlockKey((conv, depthwise))) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "n | 12.0 | 10 | 13.0 | 6.0",
        "n | 12.0 | 10 | 13.0 | 6.0 | 13.0",
        "n | 1 | 1 | 1 | nan | 0",
        "n | 12.0 | 10 | 13.0 | 6.0 | 1.0 | 11",
    ],
)
def test_parts_that_do_not_add_up_are_refused(text):
    with pytest.raises(ValueError, match=r"calibration network 'n' has|depthwise_us 'nan' is not accepted"):
        CalibrationNetwork.from_text(text)


def test_of_small_ops_footprint_only_weights_that_stay_in_the_cache_count():
    """By hand: 16 x 8 weights and 8 biases; 1,024 x 800 are 3.3 MB in float32 and 0.8 MB in int8."""
    builder = GraphBuilder((1, 1, 16))
    x = builder.conv2d(builder.inputs[0], 8, kernel_size=(1, 1), name="small")
    x = builder.conv2d(x, 1024, kernel_size=(1, 1), name="wide")
    graph = builder.finish(builder.fully_connected(x, 800, name="large"))
    small, wide, large = (4 * (a * b + b) for a, b in ((16, 8), (8, 1024), (1024, 800)))
    assert Footprint.WHOLE.of(graph, "float32") == graph.footprint_bytes("float32") > small + wide + large
    assert Footprint.SMALL_OPS.of(graph, "float32") == small + wide
    assert Footprint.SMALL_OPS.of(graph, "int8") == graph.weight_bytes("int8")


def test_of_streamed_footprint_weights_that_meet_one_value_each_count_three_quarters():
    """By hand: 3 x 3 x 4 x 8 weights and 8 biases over four positions, 8 x 64 and 64 over one, 64 x 10 and 10."""
    builder = GraphBuilder((2, 2, 4))
    x = builder.conv2d(builder.inputs[0], 8, kernel_size=(3, 3), name="spatial")
    x = builder.conv2d(builder.mean(x, name="pool"), 64, kernel_size=(1, 1), name="wide")
    graph = builder.finish(builder.fully_connected(x, 10, name="classifier"))
    spatial, wide, classifier = (4 * (a * b + b) for a, b in ((36, 8), (8, 64), (64, 10)))
    activations = 4 * (64 + 10)  # the most that are alive at once
    assert Footprint.WHOLE.of(graph, "float32") == spatial + wide + classifier + activations
    assert Footprint.STREAMED.of(graph, "float32") == spatial + 0.75 * (wide + classifier) + activations


def two_kinds(count, *, of_small_ops, noise=0.005):
    """Networks that differ in what share of their weights small ops have."""
    rng = np.random.default_rng(3)
    made = []
    for i in range(count):
        op_sum, whole = rng.uniform(1000, 6000), rng.uniform(4, 40)
        small = whole * rng.uniform(0.2, 0.9)
        beyond = max(0.0, (small if of_small_ops else whole) - 3.0)
        latency = (1.1 * op_sum + 40.0 * beyond) * (1 + noise * rng.standard_normal())
        made.append(CalibrationNetwork(f"n{i}", op_sum, int(1e6 * whole), latency, small_ops_bytes=int(1e6 * small)))
    return made


@pytest.mark.parametrize("of_small_ops", [True, False])
def test_the_footprint_that_fits_is_taken(of_small_ops):
    made = two_kinds(20, of_small_ops=of_small_ops)
    fit = Calibration.fit(made)
    assert fit.footprint is (Footprint.SMALL_OPS if of_small_ops else Footprint.WHOLE)
    assert (fit.scale, fit.us_per_mb) == pytest.approx((1.1, 40.0), rel=0.1)
    assert Calibration.from_text(fit.to_text()) == fit
    assert ("footprint" in fit.to_text()) == of_small_ops


def test_the_streamed_footprint_is_taken_where_all_networks_have_it():
    """Half of the weights are streamed: what is beyond the cache is known only where these count three quarters."""
    made = [
        replace(each, footprint_bytes=2 * each.footprint_bytes, streamed_bytes=each.footprint_bytes)
        for each in two_kinds(20, of_small_ops=False)
    ]
    fit = Calibration.fit(made)
    assert fit.footprint is Footprint.STREAMED
    assert (fit.scale, fit.us_per_mb) == pytest.approx((1.1, 40.0), rel=0.1)
    assert Calibration.from_text(fit.to_text()) == fit
    assert [CalibrationNetwork.from_text(each.to_text()).streamed_bytes for each in made] == [
        each.streamed_bytes for each in made
    ]
    assert Calibration.fit([replace(made[0], streamed_bytes=None), *made[1:]]).footprint is Footprint.WHOLE


def test_where_the_two_footprints_fit_alike_or_one_is_not_known_it_is_the_whole():
    same = [replace(each, small_ops_bytes=each.footprint_bytes) for each in two_kinds(20, of_small_ops=True)]
    assert Calibration.fit(same).footprint is Footprint.WHOLE
    one_unknown = two_kinds(20, of_small_ops=True)
    one_unknown[7] = replace(one_unknown[7], small_ops_bytes=None)
    assert Calibration.fit(one_unknown).footprint is Footprint.WHOLE
    assert Calibration.fit(two_kinds(5, of_small_ops=True)).footprint is Footprint.WHOLE


@pytest.mark.parametrize(("ratio", "is_better"), [(0.94, True), (0.96, False)])
def test_a_footprint_is_clearly_better_from_five_percent_less_error_on(ratio, is_better):
    """Of the candidates' best, which is not the last."""
    errors = np.array([[3.0, 4.0], [6.0, 8.0]])
    whole = _Candidates(None, [0.0, 1.0], errors)
    assert _Candidates(None, [0.0, 1.0], ratio * errors).is_clearly_better_than(whole) == is_better


def test_a_footprint_that_nobody_knows_is_refused():
    text = Calibration.fit(two_kinds(20, of_small_ops=True)).to_text()
    with pytest.raises(ValueError, match="footprint must be one of whole, streamed, small_ops, not 'tiny'"):
        Calibration.from_text(text.replace("small_ops", "tiny"))


def test_arrays_and_numbers_agree():
    calibration = Calibration(1.1, 12.5, 4.0)
    sums, sizes = np.array([100.0, 2000.0]), np.array([1e6, 9e6])
    np.testing.assert_allclose(calibration.network_us(sums, sizes), [110.0, 2200.0 + 12.5 * 5])
    assert calibration.network_us(2000.0, 9e6) == 2200.0 + 12.5 * 5


def test_text_round_trip():
    fit = Calibration.fit(networks(12, noise=0.01))
    assert Calibration.from_text(fit.to_text()) == fit
    earlier = fit.to_text().partition(", depthwise")[0]
    assert Calibration.from_text(earlier) == replace(fit, depthwise=1.0, activation=1.0)
    with pytest.raises(ValueError, match=r"factors must be from 0\.5 to 2"):
        Calibration.from_text(earlier + ", depthwise 9.0, activation 1.0")


@pytest.mark.parametrize("text", ["", "scale 1", "scale nan, us_per_mb 0, cache_mb 0, held_out_error 0.1, networks 3"])
def test_malformed_text_is_refused(text):
    with pytest.raises(ValueError, match=r"the calibration must give|scale 'nan' is not accepted"):
        Calibration.from_text(text)
