"""What a search shows on a terminal."""

import pytest

from mobilenas.cli.search_bars import duration, search_bars, trials_line
from mobilenas.run import Progress
from mobilenas.run.progress import feasible_text
from mobilenas.testing.trials import make_trial

TRIAL = make_trial(3, genotype=(0,), accuracy=0.7421, latency_ms=71.26)


def test_the_line_says_what_is_known():
    progress = Progress(evaluated=120, planned=300, fresh=60, seconds=20.0, best=TRIAL, feasible_share=0.124)
    assert trials_line(progress) == (
        "120 of 300 trials, best 74.21 % at 71.3 ms, 12 % of the space feasible, 3 evaluations/s, 1 min 00 s left"
    )


def test_nothing_is_known_before_the_first():
    progress = Progress(evaluated=0, planned=12, fresh=0, seconds=0.0, best=None, feasible_share=1.0)
    assert trials_line(progress) == "0 of 12 trials, 100 % of the space feasible"


@pytest.mark.parametrize(
    ("share", "text"), [(1.0, "100 % of"), (0.1236, "12 % of"), (1 / 2048, "0.049 % of"), (0.0, "almost nothing of")]
)
def test_shares(share, text):
    assert feasible_text(share) == f"{text} the space feasible"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (7290, "2 h 01 min")]
)
def test_times(seconds, text):
    assert duration(seconds) == text


def test_it_is_quiet_without_a_terminal(capsys):
    with search_bars("phone") as (profiled, watch):
        profiled(1, 2)
        watch(Progress(evaluated=1, planned=2, fresh=1, seconds=1.0, best=TRIAL, feasible_share=0.5))
    assert capsys.readouterr() == ("", "")


def test_a_narrow_terminal_shows_all_of_it(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    for name, value in (("COLUMNS", "80"), ("TERM", "xterm"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    with search_bars("phone") as (profiled, watch):
        profiled(1, 2)
        watch(Progress(evaluated=120, planned=300, fresh=60, seconds=20.0, best=TRIAL, feasible_share=0.124))
    said = capsys.readouterr().err
    assert "profiling phone" in said
    assert all(part in said for part in ("120 of 300 trials", "3 evaluations/s", "1 min 00 s left"))
