"""The SSH runner against a real sshd on loopback."""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from loopback_board import SSHD, Cable, LoopbackBoard, make_key

from mobilenas.errors import DeviceError, FieldError, InputError
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Profiler
from mobilenas.runners import Device, Failure, LiteRTProcess, Timing, TimingProtocol, _local_transport, open_runner
from mobilenas.runners._ssh_connection import CLOSE_SECONDS
from mobilenas.runners._ssh_transport import BOOTSTRAP

pytest.importorskip("asyncssh", reason="asyncssh is not installed (the extra ssh)")
pytestmark = [
    pytest.mark.skipif(SSHD is None, reason="no sshd here (Debian: openssh-server)"),
    pytest.mark.xdist_group("ssh"),  # a board is held by one measurement at a time, and all are this machine
]
QUICK = TimingProtocol(visits=2, runs=5, visit_seconds=0.01)
CONV = OpSpec(OpKind.CONV2D, ((8, 8, 16),), 16)
OPS = [OpSpec(OpKind.CONV2D, ((4, 4, 8),), 4 * i) for i in range(1, 40)]
FILE = write_micro_model(CONV)
HOSTILE = [
    "a b",
    "it's",
    'say "x"',
    "; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\ntouch pwned",
    "-oProxy=x",
    "&|<>*",
]


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    with LoopbackBoard(tmp_path_factory.mktemp("board")) as made:
        yield made


@pytest.fixture
def cable(board):
    made = Cable(board.port)
    board.trust_at(made.port)
    yield made
    made.close()


@pytest.fixture
def changed_agent(tmp_path, monkeypatch):
    """Lets the agent crash or hang on models that say so."""
    source = _local_transport.AGENT.read_text()
    visit = "    def visit(self, request, payload):\n"
    assert visit in source
    extra = (
        "        if b'please crash' in self.models[request['id']]:\n            os.abort()\n"
        "        if b'please hang' in self.models[request['id']]:\n            time.sleep(600)\n"
    )
    path = tmp_path / "agent.py"
    path.write_text(source.replace(visit, visit + extra))
    monkeypatch.setattr("mobilenas.runners._ssh_transport.AGENT", path)


def device(board, **changes):
    return Device(name="board", runner="ssh", options=board.options(**changes))


def agents(board):
    """Processes that run for us on this board; another board may be on the same machine."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if BOOTSTRAP.encode() in (path / "cmdline").read_bytes() and board.started(path):
                found.append(path.name)
    return found


def wait_for_end(board):
    """Waits until nothing runs there any more."""
    end = time.monotonic() + 30  # a busy machine takes its time
    while agents(board):
        assert time.monotonic() < end, agents(board)
        time.sleep(0.05)


def test_each_model_is_timed_and_a_broken_one_fails_alone(board):
    with open_runner(device(board)) as runner:
        first, broken, last = runner.measure([FILE, b"not a model at all", FILE], QUICK)
    assert isinstance(broken, Failure)
    assert isinstance(first, Timing)
    assert isinstance(last, Timing)
    assert first.latency_us > 0
    assert (first.visits, first.delegates, first.unit) == (2, 1, "us")
    assert first.runs >= 10
    wait_for_end(board)


def test_environment_says_what_a_table_needs(board):
    runner = open_runner(device(board))
    assert runner.mismatch({"cpu": "another", "runtime": "another"}) == ""  # nobody knows before it is connected
    with runner:
        environment = runner.environment()
        assert set(environment) == {"cpu", "runtime", "threads", "pinning", "governor"}
        assert re.match(r"(ai-edge-litert|tflite-runtime) \d", environment["runtime"])
        assert runner.mismatch(environment) == ""
        assert "cpu another, here" in runner.mismatch({**environment, "cpu": "another"})


def test_models_that_come_again_are_not_sent_again(board):
    with open_runner(device(board)) as runner:
        runner.measure([FILE, write_micro_model(OPS[0])], QUICK)
        runner.measure([FILE], QUICK)
        assert runner._process._sent == 2


def test_a_model_that_crashes_the_runtime_fails_alone(board, changed_agent):
    with open_runner(device(board)) as runner:
        first, crashed, last = runner.measure([FILE, FILE + b"please crash", FILE], QUICK)
    assert crashed == Failure("the runtime ended with signal 6")
    assert isinstance(first, Timing)
    assert isinstance(last, Timing)


def test_a_hung_model_ends_after_its_timeout_and_does_not_run_on(board, changed_agent):
    with open_runner(device(board)) as runner:
        hung, last = runner.measure([FILE + b"please hang", FILE], replace(QUICK, timeout_seconds=4.0))
        assert hung == Failure("no answer in 4 s")
        assert isinstance(last, Timing)
    wait_for_end(board)


def test_an_agent_that_takes_nothing_in_is_ended_at_once(board):
    with open_runner(device(board)) as runner:
        runner.measure([FILE], QUICK)
        os.kill(max(map(int, agents(board))), signal.SIGSTOP)  # the supervisor's child
        start = time.monotonic()
        stuck, last = runner.measure([FILE + bytes(2**23), FILE], replace(QUICK, timeout_seconds=4.0))
        assert stuck == Failure("no answer in 4 s")
        assert isinstance(last, Timing)
        assert time.monotonic() - start < 4 + CLOSE_SECONDS
    wait_for_end(board)


def test_a_cut_in_the_middle_of_a_run_leaves_nothing_running(board, cable, changed_agent):
    with open_runner(device(board, port=cable.port)) as runner:
        runner.measure([FILE], QUICK)
        assert agents(board)
        threading.Timer(0.3, cable.pull).start()
        with pytest.raises(DeviceError, match="was lost; see that the board is on and reachable, and run it again"):
            runner.measure([FILE, FILE + b"please hang"], QUICK)
    wait_for_end(board)


def test_a_killed_client_leaves_nothing_running(board, changed_agent, tmp_path):
    toml = tmp_path / "board.toml"
    options = "".join(f"{name} = {value!r}\n" for name, value in board.options().items())
    toml.write_text(f"name = 'board'\nrunner = 'ssh'\n[options]\n{options}")
    code = (
        "import sys\nfrom mobilenas.runners import *\n"
        f"with open_runner(Device.load({str(toml)!r})):\n    print('open', flush=True)\n    sys.stdin.read()\n"
    )
    client = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with client:
        assert client.stdout.readline() == b"open\n"
        assert len(agents(board)) >= 2  # the supervisor and the agent
        client.kill()
    wait_for_end(board)


@pytest.mark.parametrize("cuts", [3, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_profiling_goes_on_after_cuts_at_random_points(board, cable, tmp_path, monkeypatch, cuts):
    monkeypatch.setattr("mobilenas.latency.steady.RETRIES", 0)  # what else runs here does not matter
    monkeypatch.setattr("mobilenas.latency.profiling.CHUNK", 3)
    rng = random.Random(cuts)
    path = tmp_path / "board.float32.csv"
    journal = path.with_name(path.name + ".partial")
    target = device(board, port=cable.port)
    kept = []
    for cut in range(cuts):
        cable.pull_in(rng.randint(0, 5_000) if cut % 4 == 2 else None)  # while it connects, or begins
        with pytest.raises(DeviceError, match=r"run it again|cannot be reached|Connection lost"):
            profile(target, path, cut_after(cable, chunks=rng.randint(1, 3), count=rng.randint(0, 2_000)))
        kept.append(journal.read_bytes() if journal.exists() else b"")
    cable.pull_in(None)
    table = profile(target, path)
    for before, after in pairwise(kept):
        assert after.startswith(before)
    assert len(kept[-1].splitlines()) >= cuts
    assert set(table) == set(OPS)
    assert all(row.visits >= 2 for row in table.values())
    assert not journal.exists()
    wait_for_end(board)


def cut_after(cable, chunks, count):
    """For a profiler's progress: pulls the cable so many bytes after so many chunks."""
    told = []

    def progress(done, total):
        told.append(done)
        if len(told) == chunks:
            cable.pull_in(count)

    return progress


def profile(target, path, progress=None):
    with open_runner(target) as runner:
        return Profiler(device=target, dtype="float32", runner=runner, path=path, progress=progress).measure(OPS)


def test_nobody_else_measures_on_the_board_meanwhile(board):
    with open_runner(device(board)) as runner:
        start = time.monotonic()
        with pytest.raises(DeviceError, match="another process measures there; wait for it or stop it"):
            open_runner(device(board, wait_seconds=0.3)).__enter__()
        assert time.monotonic() - start >= 0.3
        assert isinstance(runner.measure([FILE], QUICK)[0], Timing)
    with open_runner(device(board, wait_seconds=60.0)):
        pass


def test_an_unknown_host_key_is_refused(board, tmp_path):
    empty = tmp_path / "known_hosts"
    empty.touch()
    with pytest.raises(DeviceError, match=rf"host key of -p {board.port} .* is not in .*known_hosts; connect once"):
        open_runner(device(board, known_hosts=str(empty))).__enter__()
    assert not open_runner(device(board, known_hosts=str(empty))).answers()
    assert empty.read_text() == ""  # and not remembered either


def test_a_changed_host_key_is_refused(board, tmp_path):
    make_key(tmp_path / "other")
    other = tmp_path / "known_hosts"
    other.write_text(f"[127.0.0.1]:{board.port} {Path(tmp_path / 'other.pub').read_text()}")
    with pytest.raises(
        DeviceError, match=r"shows another host key than the one in .*; if you know why, run: ssh-keygen -R"
    ):
        open_runner(device(board, known_hosts=str(other))).__enter__()


def test_a_key_that_is_not_accepted_is_named(board, tmp_path):
    make_key(tmp_path / "stranger")
    with pytest.raises(DeviceError, match="accepts none of our keys; run: ssh-copy-id"):
        open_runner(device(board, key_file=str(tmp_path / "stranger"))).__enter__()


def test_a_key_file_that_is_absent_or_damaged_is_bad_input(board, tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*absent: No such file"):
        open_runner(device(board, key_file=str(tmp_path / "absent"))).__enter__()
    (tmp_path / "damaged").write_text("no key at all")
    with pytest.raises(InputError, match=r"key_file .*damaged.*give a private key without a passphrase"):
        open_runner(device(board, key_file=str(tmp_path / "damaged"))).__enter__()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"one-word\n"])
def test_a_damaged_list_of_host_keys_is_bad_input(board, tmp_path, content):
    (tmp_path / "known_hosts").write_bytes(content)
    with pytest.raises(InputError, match=r"^known_hosts .*/known_hosts: .*; mend that file"):
        open_runner(device(board, known_hosts=str(tmp_path / "known_hosts"))).__enter__()


def test_a_damaged_ssh_configuration_is_bad_input(board, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Port many\n")
    without_port = {name: value for name, value in board.options().items() if name != "port"}
    with pytest.raises(InputError, match=r"\.ssh/config line 2: .*many; mend that line"):
        open_runner(Device(name="board", runner="ssh", options=without_port)).__enter__()


def test_a_passphrase_is_never_asked_for(board, tmp_path):
    import asyncssh

    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(str(tmp_path / "locked"), "pkcs8-pem", passphrase="secret")
    with pytest.raises(InputError, match="or leave key_file out and run: ssh-add"):
        open_runner(device(board, key_file=str(tmp_path / "locked"))).__enter__()


def test_a_board_that_is_off_does_not_answer(tmp_path):
    off = Device(name="off", runner="ssh", options={"host": "127.0.0.1", "port": 1, "known_hosts": os.devnull})
    assert not open_runner(off).answers()
    with pytest.raises(DeviceError, match=r"-p 1 127.0.0.1 cannot be reached: .*; see that it is on"):
        open_runner(off).__enter__()


def test_a_board_that_is_on_answers_and_is_left_as_it_was(board):
    assert open_runner(device(board)).answers()
    wait_for_end(board)


def test_a_python_without_the_runtime_says_what_to_install(board):
    bare = device(board, python=sys.base_prefix + "/bin/python3")
    with pytest.raises(DeviceError, match=r"No module named '\w+'; run there: .* -m pip install ai-edge-litert"):
        open_runner(bare).__enter__()


def test_a_full_disk_on_the_board_does_not_matter(tmp_path):
    forced = 'ulimit -f 0; eval \\"$SSH_ORIGINAL_COMMAND\\"'  # no file can be written
    with LoopbackBoard(tmp_path, forced_command=forced) as full, open_runner(device(full)) as runner:
        assert isinstance(runner.measure([FILE], QUICK)[0], Timing)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("field", ["host", "user"])
def test_hostile_names_are_refused_before_anything_is_reached(board, field, text):
    if (field, text) == ("user", ""):
        return
    with pytest.raises(FieldError, match=f"options.{field}: .* is not accepted"):
        open_runner(device(board, **{field: text}))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_paths_are_paths(board, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / text
    folder.mkdir()
    (folder / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python3").chmod(0o755)
    (folder / "key").write_bytes(board.key_file.read_bytes())
    (folder / "known").write_bytes(board.known_hosts.read_bytes())
    paths = {"key_file": str(folder / "key"), "known_hosts": str(folder / "known")}
    python = str(folder / "python3")
    if "\n" in text:
        with pytest.raises(FieldError, match=r"options.python: .* is not accepted"):
            open_runner(device(board, python=python))
        python = sys.executable
    with open_runner(device(board, python=python, **paths)) as runner:
        assert isinstance(runner.measure([FILE], QUICK)[0], Timing)
    assert [path.name for path in tmp_path.iterdir()] == [text]
    assert not Path.home().joinpath("pwned").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", ""),
        ("host", "a..b"),  # no name server could be asked for these two
        ("host", f"{'a' * 64}.local"),
        ("port", 0),
        ("port", 70000),
        ("python", ""),
        ("connect_seconds", 0.0),
        ("keep_mb", 0),
        ("wait_seconds", -1.0),
        ("key_file", "~nobody-of-this-name/key"),
        ("known_hosts", "a\0b"),
        ("known_hosts", "x" * 5000),
    ],
)
def test_options_out_of_range_name_the_field(board, field, value):
    with pytest.raises(FieldError, match=f"options.{field}"):
        open_runner(device(board, **{field: value}))


def test_no_password_can_be_given(board):
    with pytest.raises(InputError, match="unknown field 'password'"):
        open_runner(device(board, password="secret"))


def test_the_local_process_is_the_same_mechanism():
    with LiteRTProcess() as process:
        answer, _ = process.request("inspect", FILE, timeout_seconds=30)
    assert answer["operators"] == ["CONV_2D", "DELEGATE"]
