import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import FieldError, InputError
from mobilenas.history import Trial
from mobilenas.testing.trials import make_trial

finite = st.floats(0, 1e12)
trials = st.builds(
    Trial,
    index=st.integers(0, 10**9),
    genotype=st.lists(st.integers(0, 255), max_size=50).map(tuple),
    status=st.just("ok"),
    accuracy=st.floats(0, 1),
    accuracy_std=st.none() | finite,
    latency_ms=finite,
    low_ms=finite,
    high_ms=finite,
    macs=st.integers(0, 10**15),
    params=st.integers(0, 10**12),
    reward=st.floats(-1e6, 1e6),
    seed=st.integers(0, 2**32 - 1),
    seconds=finite,
    cached=st.booleans(),
    detail=st.text(max_size=20),
)


@given(trials)
def test_one_line_of_json_is_the_whole_trial(trial: Trial) -> None:
    line = trial.to_line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert Trial.from_dict(json.loads(line)) == trial


def test_a_line_holds_what_is_not_at_its_default() -> None:
    assert json.loads(make_trial(3, genotype=(1, 0, 2)).to_line()) == {
        "index": 3,
        "genotype": [1, 0, 2],
        "status": "ok",
        "latency_ms": 2.0,
        "low_ms": 1.8,
        "high_ms": 2.2,
        "macs": 300_000_000,
        "params": 4_000_000,
        "accuracy": 0.5,
        "reward": 0.5,
        "seed": 3,
    }


def test_a_failed_trial_says_why() -> None:
    failed = dataclasses.replace(make_trial(0, accuracy=None), detail="loss is NaN")
    assert Trial.from_dict(json.loads(failed.to_line())) == failed


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("accuracy", 1.5),
        ("accuracy", None),
        ("accuracy", float("nan")),
        ("reward", None),
        ("reward", float("inf")),
        ("latency_ms", float("nan")),
        ("high_ms", float("inf")),
        ("low_ms", -1.0),
        ("seconds", -0.1),
        ("index", -1),
        ("genotype", (0, 256)),
        ("genotype", (0, -1)),
    ],
)
def test_values_that_cannot_be_are_named(field: str, value: Any) -> None:
    with pytest.raises(FieldError) as caught:
        dataclasses.replace(make_trial(0), **{field: value})
    assert caught.value.field == field


def test_a_failed_trial_has_no_accuracy() -> None:
    with pytest.raises(FieldError, match=r"accuracy: 0\.5 is not accepted; give null for a failed trial"):
        dataclasses.replace(make_trial(0), status="failed")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"status": "fine"}, "status: 'fine' is not accepted; give 'ok' or 'failed'"),
        ({"macs": 1.5}, r"macs: 1\.5 is not accepted"),
        ({"genotype": [0, "1"]}, r"genotype\[1\]: '1' is not accepted"),
        ({"surplus": 1}, "unknown field 'surplus'"),
    ],
)
def test_foreign_data_is_refused(change: dict[str, object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Trial.from_dict({**json.loads(make_trial(0).to_line()), **change})
