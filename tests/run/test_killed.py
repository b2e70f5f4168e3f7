"""A run that SIGKILL ends, again and again, ends as one that nobody disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from known_device import install

DRIVER = Path(__file__).with_name("search_driver.py")
SEARCH = ["--device", "fake", "--data", "digits", "--resolution", "16", "--target-ms", "3", "--trials", "2"]
SEARCH += ["--trial-epochs", "1", "--final-epochs", "2", "--seed", "4", "--json"]
SAME = ("result.json", "best.json", "best.tflite", "journal.jsonl", "latency_table.csv")


def start(home, arguments, die=None):
    environment = {**os.environ, "MOBILENAS_HOME": str(home), "OMP_NUM_THREADS": "1"}
    chosen = ["--die", die] if die else []
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *chosen, "search", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def arguments(run):
    """Begins the run, or goes on with it."""
    return ["--resume", str(run), "--json"] if (run / "run.json").exists() else [*SEARCH, "--out", str(run)]


def end(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return json.loads(out)


def trials(run):
    """The trials without how long they took."""
    found = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    return [{key: value for key, value in trial.items() if key != "seconds"} for trial in found]


def assert_same(run, whole):
    assert trials(run) == trials(whole)
    for name in SAME:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name


@pytest.fixture(scope="module")
def home(tmp_path_factory, small_space):
    folder = tmp_path_factory.mktemp("killed") / "home"
    install(folder, small_space)
    return folder


@pytest.fixture(scope="module")
def undisturbed(home):
    run = home.parent / "whole"
    begin = time.monotonic()
    document = end(start(home, arguments(run)))
    assert document["met"]
    return run, time.monotonic() - begin


DEATHS = ("rename:0", "rename:1", "trial:1", "journal:0", "rename:1", "visit:0", "journal:0")
"""Where each of the processes dies that go on with one run, counted from its own start.

Before run.json and the table are renamed, in the second trial, in the answer about the candidate, before a checkpoint
is renamed, before the file is measured, in the answer about the file.
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_in_the_middle_of_every_kind_of_write(tmp_path, home, undisturbed):
    run = tmp_path / "run"
    for die in DEATHS:
        process = start(home, arguments(run), die)
        _, err = process.communicate(timeout=200)
        assert process.returncode == -signal.SIGKILL, (die, err)
        assert not (run / "result.json").exists(), die
    end(start(home, arguments(run)))
    assert_same(run, undisturbed[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_random_moments(tmp_path, home, undisturbed):
    whole, seconds = undisturbed
    moments = random.Random(0)
    run, kills = tmp_path / "run", 0
    for _ in range(4):
        process = start(home, arguments(run))
        try:
            process.communicate(timeout=moments.uniform(0.05, 0.3) * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
        else:
            assert process.returncode == 0
            break
    assert kills >= 1
    end(start(home, arguments(run)))
    assert_same(run, whole)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_worker_in_a_process_of_its_own_ends_as_this_process(tmp_path, home, undisturbed):
    run = tmp_path / "run"
    end(start(home, [*arguments(run), "--workers", "1"]))
    assert_same(run, undisturbed[0])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_with_two_workers(tmp_path, home):
    """Two trainings are under way when the second trial is torn: no trial is lost, none is there twice."""
    run = tmp_path / "run"
    process = start(home, [*arguments(run), "--workers", "2", "--trials", "3"], "trial:1")
    _, err = process.communicate(timeout=200)
    assert process.returncode == -signal.SIGKILL, err
    assert end(start(home, arguments(run)))["met"]
    found = trials(run)
    assert [trial["index"] for trial in found] == [0, 1, 2]
    assert len({tuple(trial["genotype"]) for trial in found}) == len({trial["seed"] for trial in found}) == 3
