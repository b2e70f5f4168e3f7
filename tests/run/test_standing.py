"""Standing: what all trials amount to, without all trials in memory."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenas.history import Third, pareto_front
from mobilenas.run import standing
from mobilenas.run.standing import Standing, rank
from mobilenas.testing.trials import make_trial


def made(count):
    """Trials of coarse figures, so that many are equal; some failed, some were known."""
    rng = np.random.default_rng(count)
    trials = []
    for index in range(count):
        accuracy = None if index % 11 == 5 else int(rng.integers(0, 40)) / 40
        latency_ms = float(rng.integers(1, 60))
        trial = make_trial(index, accuracy=accuracy, latency_ms=latency_ms, params=int(rng.integers(1, 9)))
        trials.append(replace(trial, cached=index % 7 == 3, seconds=0.5))
    return trials


@pytest.mark.parametrize("count", [0, 1, 60, 99, 100, 101, 500])
@pytest.mark.parametrize("third", [None, Third("params", lambda trials: [trial.params for trial in trials])])
def test_it_is_what_all_trials_at_once_give(monkeypatch, count, third):
    monkeypatch.setattr(standing, "CHUNK", 100)
    trials, found = made(count), Standing(third)
    for trial in trials:
        found.add(trial)
        if trial.index % 37 == 0:
            assert found.front == pareto_front(trials[: trial.index + 1], third)
    fine = sorted((trial for trial in trials if trial.accuracy is not None), key=rank)
    assert found.leaders == fine[:64]
    assert found.holds_all == (len(fine) < 64)
    assert found.front == pareto_front(trials, third)
    assert found.evaluated == sum(not trial.cached for trial in trials)
    assert found.seconds == found.evaluated / 2
