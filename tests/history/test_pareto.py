import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import InputError
from mobilenas.history import Third, Trial, pareto_front, write_pareto_csv
from mobilenas.testing.trials import make_trial

PARAMS = Third("params", lambda trials: [trial.params for trial in trials])
MACS = Third("macs", lambda trials: [trial.macs for trial in trials])
coarse = st.integers(0, 6)
points = st.lists(st.tuples(coarse, st.none() | coarse), max_size=40)


def beats(a: Trial, b: Trial) -> bool:
    assert a.accuracy is not None
    assert b.accuracy is not None
    as_good = a.latency_ms <= b.latency_ms and a.accuracy >= b.accuracy
    better = a.latency_ms < b.latency_ms or a.accuracy > b.accuracy
    return as_good and (better or a.index < b.index)


@given(points)
def test_it_is_what_comparing_all_pairs_gives(points: list[tuple[int, int | None]]) -> None:
    trials = [
        make_trial(index, latency_ms=float(latency), accuracy=None if accuracy is None else accuracy / 6)
        for index, (latency, accuracy) in enumerate(points)
    ]
    fine = [trial for trial in trials if trial.status == "ok"]
    expected = [trial for trial in fine if not any(beats(other, trial) for other in fine)]
    assert pareto_front(trials) == sorted(expected, key=lambda trial: trial.latency_ms)


@given(st.lists(st.tuples(coarse, coarse, coarse), max_size=40))
def test_three_figures_as_comparing_all_pairs_gives(points: list[tuple[int, int, int]]) -> None:
    trials = [
        make_trial(index, latency_ms=float(latency), accuracy=accuracy / 6, params=params)
        for index, (latency, accuracy, params) in enumerate(points)
    ]

    def beaten(trial: Trial) -> bool:
        def figures(each: Trial) -> tuple[float, float, int]:
            return each.latency_ms, -(each.accuracy or 0.0), each.params

        own = figures(trial)
        return any(
            all(a <= b for a, b in zip(figures(other), own, strict=True))
            and (figures(other) != own or other.index < trial.index)
            for other in trials
        )

    expected = {trial.index for trial in trials if not beaten(trial)}
    front = pareto_front(trials, PARAMS)
    assert {trial.index for trial in front} == expected
    assert [trial.latency_ms for trial in front] == sorted(trial.latency_ms for trial in front)


def test_a_smaller_network_stays_where_size_counts() -> None:
    rows = [(1.0, 0.5, 9), (2.0, 0.5, 8), (3.0, 0.4, 7), (4.0, 0.4, 7), (4.0, 0.6, 9)]
    trials = [make_trial(i, latency_ms=ms, accuracy=share, macs=macs) for i, (ms, share, macs) in enumerate(rows)]
    assert [trial.index for trial in pareto_front(trials)] == [0, 4]
    assert [trial.index for trial in pareto_front(trials, MACS)] == [0, 1, 2, 4]


def test_by_hand() -> None:
    rows = [(3.0, 0.7), (1.0, 0.5), (2.0, 0.5), (4.0, 0.6), (5.0, 0.9), (1.0, 0.4), (6.0, None), (3.0, 0.7)]
    trials = [make_trial(i, latency_ms=latency, accuracy=accuracy) for i, (latency, accuracy) in enumerate(rows)]
    assert [trial.index for trial in pareto_front(reversed(trials))] == [1, 0, 4]


def test_the_file_has_one_row_a_trial(tmp_path: Path) -> None:
    trials = [
        make_trial(0, latency_ms=3.0, accuracy=0.75, genotype=(1, 0, 2)),
        make_trial(1, latency_ms=2.0, accuracy=0.5, genotype=(0, 0, 12)),
        make_trial(2, latency_ms=4.0, accuracy=0.5),
    ]
    path = tmp_path / "pareto.csv"
    write_pareto_csv(path, trials)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["index"] for row in rows] == ["1", "0"]
    assert rows[1] == {
        "index": "0",
        "latency_ms": "3.0",
        "low_ms": "2.7",
        "high_ms": "3.3000000000000003",
        "accuracy": "0.75",
        "macs": "300000000",
        "params": "4000000",
        "genotype": "1 0 2",
    }


def test_without_trials_there_is_a_heading(tmp_path: Path) -> None:
    write_pareto_csv(tmp_path / "pareto.csv", [])
    assert (tmp_path / "pareto.csv").read_text() == "index,latency_ms,low_ms,high_ms,accuracy,macs,params,genotype\n"


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pareto.csv").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        write_pareto_csv(tmp_path / "pareto.csv", [])


def test_many_trials_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    trials = [make_trial(i, latency_ms=1.0 + i * 7 % 13, accuracy=(i * 7 % 13 + i * 5 % 11) / 24) for i in range(143)]
    whole = pareto_front(trials)
    monkeypatch.setattr("mobilenas.history.pareto.CHUNK", 10)
    assert pareto_front(trials) == whole
    assert len(whole) > 2
