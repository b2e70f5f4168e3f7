import math

import numpy as np
import pytest

from mobilenas.searchers._gaussian_process import GaussianProcess, Hyperparameters

GROUPS = np.array([0, 0, 1, 2])
RNG = np.random.default_rng(3)
POINTS = RNG.random((12, 4))
VALUES = RNG.normal(size=12)
LOGS = np.array([0.3, -0.7, 0.9, 0.2, -2.0])


def process(logs: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]" = LOGS) -> GaussianProcess:
    return GaussianProcess(POINTS, VALUES, GROUPS, Hyperparameters(logs))


def test_one_value_by_hand() -> None:
    # relevance 1, signal 1, noise 0.5 + 0.0001; distance 1: k = (1 + sqrt 5 + 5/3) exp(-sqrt 5) = 0.52399
    model = GaussianProcess(np.zeros((1, 1)), np.array([3.0]), np.array([0]), Hyperparameters(np.log([1.0, 1.0, 0.5])))
    mean, deviation = model.predict(np.array([[0.0], [1.0]]))
    k = (1 + math.sqrt(5) + 5 / 3) * math.exp(-math.sqrt(5))
    assert k == pytest.approx(0.52399, abs=1e-5)
    assert mean == pytest.approx([3 / 1.5001, 3 * k / 1.5001])
    assert deviation == pytest.approx([math.sqrt(1 - 1 / 1.5001), math.sqrt(1 - k**2 / 1.5001)])


def test_gradient_agrees_with_finite_differences() -> None:
    gradient = process().gradient()
    for place in range(len(LOGS)):
        step = np.zeros(len(LOGS))
        step[place] = 1e-5
        difference = process(LOGS + step).log_posterior() - process(LOGS - step).log_posterior()
        assert gradient[place] == pytest.approx(difference / 2e-5, rel=1e-5, abs=1e-7)


def test_fitting_finds_what_matters() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((60, 4))
    values = np.sin(6 * points[:, 2])
    start = GaussianProcess(points, values / values.std(), GROUPS, Hyperparameters.expected(3))
    fitted = start.fitted(40)
    assert fitted.log_posterior() > start.log_posterior() + 10
    assert fitted.hyperparameters.relevances[1] > 10 * fitted.hyperparameters.relevances[[0, 2]].max()
    assert fitted.hyperparameters.noise < 0.01
    fresh = rng.random((200, 4))
    mean, _ = fitted.predict(fresh)
    assert np.abs(mean * values.std() - np.sin(6 * fresh[:, 2])).mean() < 0.1


def test_what_is_certain_is_reproduced() -> None:
    model = process(np.array([1.0, 1.0, 1.0, 0.0, -20.0]))
    mean, deviation = model.predict(POINTS)
    assert mean == pytest.approx(VALUES, abs=0.05)
    assert deviation.max() < 0.05
