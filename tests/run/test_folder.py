"""RunFolder: answers are asked for once, whatever happens to the process in between."""

import json

import pytest

from mobilenas.errors import DeviceError, InputError, StorageError, TargetError
from mobilenas.run import SearchSettings
from mobilenas.run.folder import RunFolder

SETTINGS = SearchSettings(target_ms=5.0, trials=3, seed=7)
OWN = ("log.txt", "latency_table.csv", "latency_table.1.int8.csv", "trials.jsonl", "journal.jsonl", "space.json")


def never():
    raise AssertionError("the answer is in the journal")


def test_settings_come_back_and_versions_stand_beside_them(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        assert folder.settings == SETTINGS
    with RunFolder(tmp_path / "run", None) as again:
        assert again.settings == SETTINGS
    document = json.loads((tmp_path / "run" / "run.json").read_text())
    assert document["settings"] == {"target_ms": 5.0, "trials": 3, "seed": 7}
    assert {"python", "platform", "mobilenas", "torch", "numpy"} <= document["versions"].keys()


def test_answers_are_replayed_in_the_same_process_and_in_the_next(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        assert folder.once("a", lambda: {"ms": 1.25}) == {"ms": 1.25}
        assert folder.once("a", never) == {"ms": 1.25}
        assert folder.once("b", lambda: 2) == 2
    with RunFolder(tmp_path / "run", None) as again:
        assert again.once("a", never) == {"ms": 1.25}
        assert again.once("b", never) == 2
        assert again.once("c", lambda: 3) == 3
    assert len((tmp_path / "run" / "journal.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("cut", range(1, 26))
def test_a_torn_last_line_is_dropped_wherever_it_is_torn(tmp_path, cut):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        folder.once("a", lambda: 1)
        folder.once("b", lambda: 2)
    journal = tmp_path / "run" / "journal.jsonl"
    whole = journal.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    journal.write_bytes(whole[: len(whole) - min(cut, len(last))])
    with RunFolder(tmp_path / "run", None) as again:
        assert again.once("a", never) == 1
        assert again.once("b", lambda: 20) == 20
    assert [json.loads(line) for line in journal.read_text().splitlines()] == [
        {"key": "a", "answer": 1},
        {"key": "b", "answer": 20},
    ]


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"key": "a"}', b"3", b'{"key": [1], "answer": 2}', b"\xff"])
def test_a_damaged_line_in_the_middle_is_named(tmp_path, line):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        folder.once("a", lambda: 1)
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + line + b"\n" + b'{"key": "c", "answer": 3}\n')
    with pytest.raises(InputError, match=r"journal\.jsonl line 2"), RunFolder(tmp_path / "run", None):
        pass


def test_a_run_is_not_overwritten(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS):
        pass
    before = (tmp_path / "run" / "run.json").read_bytes()
    other = SearchSettings(target_ms=9.0, trials=3, seed=8)
    for settings, said in (
        (SETTINGS, "holds a run already; give --resume {run}, or another --out"),
        (
            other,
            "holds a run with target_ms 5.0, seed 7, and its trials were chosen by that; give another --out for "
            "target_ms 9.0, seed 8, or --resume {run} for the old run",
        ),
    ):
        with pytest.raises(InputError) as caught, RunFolder(tmp_path / "run", settings):
            pass
        assert str(caught.value) == f"{tmp_path / 'run'} {said.format(run=tmp_path / 'run')}"
    assert (tmp_path / "run" / "run.json").read_bytes() == before


def test_a_run_whose_settings_cannot_be_read_is_not_overwritten_either(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="holds a run already"), RunFolder(tmp_path, SETTINGS):
        pass
    assert (tmp_path / "run.json").read_text() == "{"


def test_nothing_is_resumed_and_nothing_is_made_where_no_run_is(tmp_path):
    with pytest.raises(InputError, match="holds no run"), RunFolder(tmp_path / "run", None):
        pass
    assert not (tmp_path / "run").exists()


def test_two_processes_do_not_share_a_run(tmp_path):
    with (
        RunFolder(tmp_path / "run", SETTINGS),
        pytest.raises(InputError, match="in use by another process"),
        RunFolder(tmp_path / "run", None),
    ):
        pass
    with RunFolder(tmp_path / "run", None) as again:
        assert again.settings == SETTINGS


def test_a_run_that_fails_lets_go_of_its_lock(tmp_path):
    with pytest.raises(RuntimeError), RunFolder(tmp_path / "run", SETTINGS):
        raise RuntimeError
    with RunFolder(tmp_path / "run", None) as again:
        assert again.once("a", lambda: 1) == 1


@pytest.mark.parametrize(
    "text", ["", "[]", "3", "{}", '{"settings": 3}', '{"settings": {}}', '{"settings": {"target_ms": -1}}']
)
def test_a_damaged_run_file_is_named(tmp_path, text):
    with RunFolder(tmp_path / "run", SETTINGS):
        pass
    (tmp_path / "run" / "run.json").write_text(text)
    with pytest.raises(InputError, match=r"run\.json"), RunFolder(tmp_path / "run", None):
        pass
    (tmp_path / "run" / "run.json").write_text(json.dumps({"settings": {"target_ms": 4.0}}))
    with RunFolder(tmp_path / "run", None) as mended:
        assert mended.settings.target_ms == 4.0


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"), RunFolder(tmp_path / "file" / "run", SETTINGS):
        pass


def test_the_log_has_times(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        folder.log("one")
        folder.log("two")
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["one", "two"]
    assert all(line[4] == "-" and "T" in line.split(" ")[0] for line in lines)


def ended_by(error, path, files, text=""):
    """A new run that writes some files and fails."""
    with RunFolder(path, SETTINGS):
        for name in files:
            (path / name).write_text(text)
        raise error


@pytest.mark.parametrize("error", [InputError("no such data"), TargetError("too fast")])
def test_a_new_run_that_ends_before_its_first_trial_leaves_nothing(tmp_path, error):
    path = tmp_path / "run"
    with pytest.raises(type(error)):
        ended_by(error, path, OWN)
    assert not path.exists()
    with RunFolder(path, SETTINGS) as folder:
        assert folder.settings == SETTINGS


@pytest.mark.parametrize(
    "error", [InputError("x"), DeviceError("the cable"), KeyboardInterrupt(), StorageError("full")]
)
def test_a_run_with_trials_or_that_can_go_on_is_kept(tmp_path, error):
    path = tmp_path / "run"
    with pytest.raises(type(error)):
        ended_by(error, path, ("trials.jsonl",) if type(error) is InputError else (), "{}\n")
    assert (path / "run.json").exists()


def test_folders_that_it_made_go_with_it_and_others_stay(tmp_path):
    for keep in (False, True):
        path = tmp_path / "runs" / "tonight" / "run"
        with pytest.raises(InputError):
            ended_by(InputError("no such data"), path, OWN)
        assert (tmp_path / "runs").exists() == keep
        assert not (tmp_path / "runs" / "tonight").exists()
        (tmp_path / "runs").mkdir(exist_ok=True)


def test_files_of_the_user_stay(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError), RunFolder(tmp_path, SETTINGS):
        raise InputError("x")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", OWN)
def test_what_a_run_would_take_for_its_own_is_neither_used_nor_removed(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"holds {name}, which a run would take for its own"):
        RunFolder(tmp_path, SETTINGS).__enter__()
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_a_damaged_answer_of_the_journal_is_refused(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        assert folder.once("workers", lambda: 3) == 3
    journal = tmp_path / "run" / "journal.jsonl"
    journal.write_text(journal.read_text().replace("3", '"many"'))
    with (
        RunFolder(tmp_path / "run", None) as folder,
        pytest.raises(InputError, match="workers: 'many' is not accepted; start a new run"),
    ):
        folder.once("workers", lambda: 3, lambda answer: isinstance(answer, int))


def test_a_log_that_cannot_be_written_is_an_error_of_one_line(tmp_path):
    with RunFolder(tmp_path / "run", SETTINGS) as folder:
        (tmp_path / "run" / "log.txt").mkdir()
        with pytest.raises(InputError, match=r"cannot write .*log\.txt"):
            folder.log("something")
