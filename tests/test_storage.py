import errno
import json
import os
import subprocess
import sys
import tempfile

import pytest

from mobilenas.errors import DeviceError, InputError, StorageError
from mobilenas.storage import (
    exclusive,
    exclusive_folder,
    home,
    read_json,
    read_text,
    shipped,
    write_atomically,
    write_json,
)


def test_home_is_the_variable_or_the_platforms_place(monkeypatch, tmp_path):
    monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path))
    assert home() == tmp_path
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("MOBILENAS_HOME")
        else:
            monkeypatch.setenv("MOBILENAS_HOME", value)
        assert home().name == "mobilenas"
        assert home().is_absolute()


def test_shipped_folders_are_found_in_a_checkout():
    assert (shipped("devices") / "host.toml").is_file()
    assert shipped("latency_tables").is_dir()


def test_text_bytes_and_json_are_written_as_they_are(tmp_path):
    write_atomically(tmp_path / "a", "ä\n")
    write_atomically(tmp_path / "b", b"\x00\xff")
    write_json(tmp_path / "c", {"x": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa4\n"
    assert (tmp_path / "b").read_bytes() == b"\x00\xff"
    assert json.loads((tmp_path / "c").read_text()) == {"x": [1, None]}
    assert (tmp_path / "c").read_text().endswith("}\n")


def test_folders_are_made_and_files_replaced(tmp_path):
    path = tmp_path / "deep" / "folder" / "file"
    write_atomically(path, "old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_nan_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_files_have_the_permissions_that_the_user_asked_for(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_atomically(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("number", "helps"), [(errno.ENOSPC, "free space there"), (errno.EIO, "give a folder that can be written")]
)
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, number, helps):
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        write_atomically(path, "new")
    assert str(caught.value) == f"cannot write {path}: {os.strerror(number)}; {helps}"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", "new")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from mobilenas.storage import write_atomically\n"
        "os.fsync = lambda descriptor: os._exit(9)\n"
        "write_atomically(Path(sys.argv[1]), 'new' * 1000)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60).returncode == 9
    assert path.read_text() == "old"


def test_where_no_file_can_be(tmp_path):
    (tmp_path / "file").write_text("x")
    said = f"cannot write {tmp_path}/file/.*: {tmp_path}/file is a file and no folder; give a folder that can be"
    for path in (tmp_path / "file" / "inside", tmp_path / "file" / "deep" / "inside"):
        with pytest.raises(InputError, match=said):
            write_atomically(path, "x")
        with pytest.raises(InputError, match=said), exclusive_folder(path, "it"):
            pytest.fail("no folder can be there")
    with pytest.raises(InputError, match="a folder or a device has this name"):
        write_atomically(tmp_path, "x")
    with pytest.raises(InputError, match="cannot write"):
        write_atomically(tmp_path / ("n" * 300), "x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_plain_file_is_left_alone(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="a folder or a device has this name"):
        write_atomically(tmp_path / "pipe", "x")
    assert (tmp_path / "pipe").is_fifo()


def test_reading_what_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"^cannot read table .*none: .*; give the path of a table$"):
        read_text(tmp_path / "none", "table")
    with pytest.raises(InputError, match="cannot read file"):
        read_text(tmp_path)
    (tmp_path / "plain").write_text("x")
    with pytest.raises(InputError, match=f"plain/table: {tmp_path}/plain is a file and no folder; give the path"):
        read_text(tmp_path / "plain" / "table")
    (tmp_path / "marked").write_bytes(b"\xef\xbb\xbfcaf\xc3\xa9")
    assert read_text(tmp_path / "marked") == "café"
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match=r"not UTF-8 \(.* at byte 3\)"):
        read_text(tmp_path / "latin")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON: Expecting value at line 1 column 1"),
        ('{"a": 1,\n "b" 2}', "at line 2 column 6"),
        ('{"a": NaN}', "NaN is not accepted"),
        ("[Infinity]", "Infinity is not accepted"),
        ('{"a": {"b": [[1, [NaN]]]}}', "the field 'b': NaN is not accepted"),
        ("9" * 5000, "too many digits"),
        ("[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_json(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


HOLD = """
import sys
from pathlib import Path
from mobilenas.storage import exclusive
with exclusive(Path(sys.argv[1]), "the table"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_keeps_other_processes_out_until_it_is_let_go(tmp_path):
    path = tmp_path / "locks" / "table.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match="the table is in use by another process"), exclusive(path, "the table"):
            pytest.fail("two hold one lock")
        with pytest.raises(DeviceError, match="in use"), exclusive(path, "the table", busy=DeviceError):
            pytest.fail("two hold one lock")
        holder.stdin.close()
        holder.wait(30)
    with exclusive(path, "the table"):
        pass


def test_who_waits_for_a_lock_says_so_once(tmp_path, caplog, monkeypatch):
    path = tmp_path / "host.lock"
    monkeypatch.setattr("mobilenas.storage.SOON_S", 0.1)
    with exclusive(path, "this machine", wait_seconds=600):
        assert caplog.messages == []
        with pytest.raises(InputError), exclusive(path, "this machine"):
            pytest.fail("two hold one lock")
        assert caplog.messages == []
        with pytest.raises(InputError), exclusive(path, "this machine", wait_seconds=0.2):
            pytest.fail("two hold one lock")
    assert caplog.messages == ["waiting for another process that measures this machine, at most 0.2 s"]


def test_a_folder_that_was_made_and_left_empty_goes_again(tmp_path):
    deep = tmp_path / "a" / "b"
    with exclusive_folder(deep, "it"):
        assert (deep / ".lock").exists()
    assert list(tmp_path.iterdir()) == []
    with exclusive_folder(deep, "it"):
        (deep / "file").write_text("x")
        with pytest.raises(InputError, match="it is in use"), exclusive_folder(deep, "it"):
            pytest.fail("two hold one folder")
    assert sorted(path.name for path in deep.iterdir()) == [".lock", "file"]
    (tmp_path / "old").mkdir()
    with exclusive_folder(tmp_path / "old", "it"):
        pass
    assert (tmp_path / "old").exists()


def test_a_lock_dies_with_its_process(tmp_path):
    path = tmp_path / "table.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        holder.kill()
        holder.wait(30)
    with exclusive(path, "the table"):
        pass


def test_the_lock_is_let_go_after_an_error(tmp_path):
    def fail():
        with exclusive(tmp_path / "lock", "it"):
            raise KeyError("body")

    for _ in range(2):
        with pytest.raises(KeyError, match="body"):
            fail()


@pytest.mark.parametrize(
    ("variable", "inside", "helps"),
    [
        (None, "run/.lock", "give a folder that can be written"),
        ("MOBILENAS_HOME", "latency_tables/table.lock", "set MOBILENAS_HOME to a folder that can be written"),
        ("TMPDIR", "host.lock", "set TMPDIR to a folder that can be written"),
    ],
)
def test_what_cannot_be_written_says_what_chooses_its_folder(tmp_path, monkeypatch, variable, inside, helps):
    (tmp_path / "file").write_text("x")
    if variable == "MOBILENAS_HOME":
        monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path / "file"))
    elif variable == "TMPDIR":
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    path = tmp_path / "file" / inside
    with pytest.raises(InputError) as caught, exclusive(path, "it"):
        pytest.fail("locked inside a file")
    assert str(caught.value).startswith(f"cannot write {path}: ")
    assert str(caught.value).endswith(f"; {helps}")
    with pytest.raises(InputError, match=f"; {helps}$"):
        write_atomically(path, "x")
