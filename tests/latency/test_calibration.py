"""The footprint model finds the constants it was generated with."""

import numpy as np
import pytest

from mobilenas.latency import Calibration, CalibrationNetwork


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


def test_arrays_and_numbers_agree():
    calibration = Calibration(1.1, 12.5, 4.0)
    sums, sizes = np.array([100.0, 2000.0]), np.array([1e6, 9e6])
    np.testing.assert_allclose(calibration.network_us(sums, sizes), [110.0, 2200.0 + 12.5 * 5])
    assert calibration.network_us(2000.0, 9e6) == 2200.0 + 12.5 * 5


def test_text_round_trip():
    fit = Calibration.fit(networks(12, noise=0.01))
    assert Calibration.from_text(fit.to_text()) == fit


@pytest.mark.parametrize("text", ["", "scale 1", "scale nan, us_per_mb 0, cache_mb 0, held_out_error 0.1, networks 3"])
def test_malformed_text_is_refused(text):
    with pytest.raises(ValueError, match=r"the calibration (must give|has a number)"):
        Calibration.from_text(text)
