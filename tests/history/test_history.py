import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mobilenas.errors import InputError, StorageError
from mobilenas.history import History, Trial
from mobilenas.testing.trials import make_trial

TRIALS = [make_trial(index, accuracy=None if index == 1 else index / 10) for index in range(5)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A history of five trials."""
    path = tmp_path / "trials.jsonl"
    History.open(path).extend(TRIALS)
    return path


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    history = History.open(path)
    assert (len(history), list(history)) == (0, [])
    assert not path.exists()
    for trial in TRIALS:
        history.append(trial)
        assert list(History.open(path))[-1] == trial
    assert list(history) == list(History.open(path)) == TRIALS
    assert len(history) == len(History.open(path)) == 5


def test_all_at_once_is_the_same_file(tmp_path: Path, path: Path) -> None:
    one_by_one = History.open(tmp_path / "other.jsonl")
    for trial in TRIALS:
        one_by_one.append(trial)
    assert one_by_one.path.read_bytes() == path.read_bytes()


def test_the_index_must_be_the_next(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="next trial is 5, not 7"):
        History.open(path).append(make_trial(7))
    with pytest.raises(ValueError, match="next trial is 6, not 5"):
        History.open(path).extend([make_trial(5), make_trial(5)])
    assert path.read_bytes() == before


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_line_is_dropped_and_cut_off(path: Path, cut: int) -> None:
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    path.write_bytes(whole[:-cut])
    history = History.open(path)
    assert list(history) == TRIALS[:4]
    assert path.read_bytes() == whole[: -len(last)]
    history.append(TRIALS[4])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "torn", [b"{", b'{"index": 5', b"\x00\x00\x00\n", b"\xff\xfe\n", b"[1, 2\n", b'{"index": NaN}\n']
)
def test_a_last_line_that_is_no_json_is_dropped(path: Path, torn: bytes) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    history = History.open(path)
    assert path.read_bytes() == whole
    history.append(make_trial(5))
    assert list(History.open(path)) == [*TRIALS, make_trial(5)]


def test_a_file_of_one_torn_line_is_an_empty_history(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    path.write_bytes(TRIALS[0].to_line()[:20])
    assert len(History.open(path)) == 0
    assert path.read_bytes() == b""


@pytest.mark.parametrize("corrupt", [b"{\n", b"\n", b"\x00\x00\n", b'{"index": NaN}\n'])
def test_a_corrupt_line_in_the_middle_is_named(path: Path, corrupt: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], corrupt, *lines[3:]]))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"trials.jsonl line 3: not valid JSON"):
        History.open(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"accuracy": 7}, r"line 5\.accuracy: 7.* is not accepted"),
        ({"unit": "ms"}, "line 5: unknown field 'unit'"),
        ({"index": 3}, "line 5: index 3 is not accepted; give 4"),
    ],
)
def test_a_line_that_is_no_trial_is_named_and_kept(path: Path, change: dict[str, object], text: str) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:4]) + json.dumps({**json.loads(lines[4]), **change}).encode() + b"\n")
    before = path.read_bytes()
    with pytest.raises(InputError, match=text):
        History.open(path)
    assert path.read_bytes() == before


def test_a_genotype_is_found(path: Path) -> None:
    history = History.open(path)
    history.append(make_trial(5, genotype=TRIALS[2].genotype))
    history.append(make_trial(6, genotype=(9, 9, 9)))
    assert history.find(TRIALS[2].genotype) == TRIALS[2]
    assert history.find((9, 9, 9)) == make_trial(6, genotype=(9, 9, 9))
    assert history.find((8, 8, 8)) is None
    assert History.open(path).find(TRIALS[4].genotype) == TRIALS[4]


def test_two_genotypes_of_one_hash_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobilenas.history.history.hash", lambda key: 1, raising=False)
    history = History.open(path)
    assert history.find(TRIALS[0].genotype) == TRIALS[0]
    assert history.find(TRIALS[1].genotype) is None


def test_the_best_is_the_earliest_of_the_highest(path: Path) -> None:
    history = History.open(path)
    history.append(make_trial(5, accuracy=0.4))

    def accuracy(trial: Trial) -> float:
        assert trial.accuracy is not None
        return trial.accuracy

    assert history.best(accuracy) == TRIALS[4]
    assert history.best(lambda trial: -accuracy(trial)) == TRIALS[0]


def test_failed_trials_are_never_the_best(tmp_path: Path) -> None:
    history = History.open(tmp_path / "trials.jsonl")
    history.append(make_trial(0, accuracy=None))
    assert history.best(lambda trial: 1.0) is None


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    history = History.open(tmp_path / "absent" / "trials.jsonl")
    with pytest.raises(InputError, match=r"cannot write .*trials\.jsonl: No such file"):
        history.append(make_trial(0))
    assert len(history) == 0


def test_a_folder_in_its_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").mkdir()
    with pytest.raises(InputError, match="cannot read history"):
        History.open(tmp_path / "trials.jsonl")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_is_an_error_and_leaves_the_history_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    history = History.open(path)
    path.symlink_to("/dev/full")
    with pytest.raises(InputError, match="No space left on device; free space there, then resume"):
        history.append(make_trial(0))
    assert len(history) == 0


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file can grow beyond `size` bytes."""
    resource = pytest.importorskip("resource", reason="Windows has no limit of file sizes")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_is_cut_short_is_undone(path: Path) -> None:
    history = History.open(path)
    before = path.read_bytes()
    with room_for(len(before) + 10), pytest.raises(StorageError, match="the disk is full; free space there"):
        history.append(make_trial(5))
    assert path.read_bytes() == before
    history.append(make_trial(5))
    assert list(History.open(path)) == [*TRIALS, make_trial(5)]


@pytest.mark.parametrize("whole", [0, 1, 199, 200, 201, 450])
def test_what_fits_on_the_disk_is_kept(tmp_path: Path, whole: int) -> None:
    path, trials = tmp_path / "trials.jsonl", [make_trial(index) for index in range(500)]
    history = History.open(path)
    size = sum(len(trial.to_line()) for trial in trials[:whole])
    with room_for(size + 7), pytest.raises(StorageError, match="then resume the run"):
        history.extend(trials)
    assert (len(history), list(History.open(path))) == (whole, trials[:whole])
    history.extend(trials[whole:])
    assert list(History.open(path)) == trials


def test_a_killed_writer_loses_at_most_the_trial_in_flight(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    script = (
        "import sys; from pathlib import Path; from mobilenas.history import History\n"
        "from mobilenas.testing.trials import make_trial\n"
        "history = History.open(Path(sys.argv[1]))\n"
        "while True:\n"
        "    history.append(make_trial(len(history))); print(len(history), flush=True)\n"
    )
    for attempt in range(3):
        with subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(50 + 37 * attempt)]
            process.kill()
            lines += process.stdout.readlines()
        written = [int(line) for line in lines if line.endswith(b"\n")]
        history = History.open(path)
        assert written[-1] <= len(history) <= written[-1] + 1
        assert [trial.index for trial in history] == list(range(len(history)))


def test_a_hundred_thousand_trials_take_seconds(tmp_path: Path) -> None:
    history = History.open(tmp_path / "trials.jsonl")
    start = time.perf_counter()
    for index in range(100_000):
        history.append(make_trial(index))
    assert time.perf_counter() - start < 20
    assert history.path.read_bytes().count(b"\n") == len(history) == 100_000
