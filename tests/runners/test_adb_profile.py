"""Profiling a phone whose connection breaks: every row that was written stays, and the table is the undisturbed one."""

import json
import random
from pathlib import Path

import pytest
from phone import FakePhone

from mobilenas.cli.main import run
from mobilenas.errors import DeviceError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import (
    LatencyTable,
    Profiler,
    calibration_networks,
    load_table,
    measuring,
    profiling,
    table_path,
)
from mobilenas.latency.journal import Journal
from mobilenas.runners import adb as adb_runner
from mobilenas.runners import open_runner

OPS = [OpSpec(OpKind.CONV2D, ((7, 7, channels),), 32) for channels in range(8, 48, 8)]
CUTS = 20


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path / "home"))


def profile(device, progress=None):
    path = table_path(device, "float32")
    with open_runner(device) as runner:
        table = load_table(device, "float32")
        profiler = Profiler(device=device, dtype="float32", runner=runner, path=path, table=table, progress=progress)
        profiler.measure(OPS)
    return rows(LatencyTable.load(path))


def rows(table):
    return {op: (row.latency_us, row.runs, row.visits) for op, row in table.items()}


def journal_path(device):
    path = table_path(device, "float32")
    return path.with_name(path.name + ".partial")


def journalled(device):
    """The bytes of the journal; none where there is no journal."""
    return journal_path(device).read_bytes() if journal_path(device).exists() else b""


@pytest.fixture
def last_journal(monkeypatch):
    """The journals that sessions ended with, before they were removed."""
    found, remove = [], Journal.remove

    def keep(journal):
        found.append(journal._path.read_bytes())
        remove(journal)

    monkeypatch.setattr(Journal, "remove", keep)
    return found


@pytest.fixture
def undisturbed(make_phone, monkeypatch):
    """The table of an undisturbed session and the bytes that went over the cable in it."""
    monkeypatch.setattr(adb_runner, "CLOCK_US", 0.0)  # short as the ops are, one visit is one run of the program
    phone = make_phone()
    device = phone.device()
    table = profile(device)
    table_path(device, "float32").unlink()
    return table, phone.tell()["bytes"]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_connection_that_breaks_at_any_point_costs_no_row(make_phone, undisturbed):
    table, total_bytes = undisturbed
    rng = random.Random(0)
    for number in range(CUTS):
        phone = make_phone()
        phone.tell(cut_after=rng.randrange(500, total_bytes * 9 // 10))
        device = phone.device()
        try:
            found = profile(device)
        except DeviceError:  # before it was ever found
            found = profile(device)
        assert found == table, f"cut {number}"
        assert phone.tell()["cuts"] == 1
        assert phone.is_clean()
        table_path(device, "float32").unlink()
        phone.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_session_that_ended_goes_on_after_its_last_row(make_phone, undisturbed, adb, last_journal, monkeypatch):
    table, total_bytes = undisturbed
    monkeypatch.setattr(profiling, "CHUNK", 2)
    rng, interrupted = random.Random(1), 0
    for number in range(CUTS):
        phone = make_phone()
        at = (number + rng.random()) / CUTS  # one in every part of the session
        phone.tell(cut_after=500 + int(at * 0.9 * total_bytes), stays_out=True)
        device = phone.device(reconnect_seconds=0.1)
        with pytest.raises(DeviceError):
            profile(device)
        kept = journalled(device)
        phone.tell(out=False)
        before = len(phone.ran())
        assert profile(device) == table, f"cut {number}"
        assert last_journal[-1].startswith(kept), f"cut {number}"  # every row is still there and unchanged
        rows_kept = max(len(kept.splitlines()) - 1, 0)
        interrupted += rows_kept > 0
        visits = sum(visits for _, _, visits in table.values())
        # the overhead's 30 runs, the try-out and two sentinels a chunk come again; rows that were written do not
        ran = len(phone.ran()) - before
        assert ran <= visits - rows_kept + 1 + 30 + 2 * 6, f"cut {number}"
        table_path(device, "float32").unlink()
        adb.command("disconnect", phone.address)
        phone.close()
    assert interrupted >= 3


def test_one_cut_costs_no_row(make_phone, undisturbed):
    table, total_bytes = undisturbed
    phone = make_phone()
    phone.tell(cut_after=total_bytes // 2)
    assert profile(phone.device()) == table
    assert phone.tell()["cuts"] == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        pytest.param(lambda phone, adb: adb.command("kill-server"), None, id="the adb server is restarted"),
        pytest.param(lambda phone, adb: phone.feel(awake="Asleep"), None, id="asleep"),
        pytest.param(lambda phone, adb: phone.feel(thermal=3), FakePhone.feel, id="throttled"),
        pytest.param(lambda phone, adb: phone.feel(percent=3), FakePhone.feel, id="empty"),
        pytest.param(lambda phone, adb: phone.tell(disk_bytes=0), lambda phone: phone.tell(disk_bytes=None), id="full"),
        pytest.param(
            lambda phone, adb: phone.tell(trust=False, cut_after=1),
            lambda phone: phone.tell(trust=True),
            id="not trusted any more",
        ),
        pytest.param(
            lambda phone, adb: phone.tell(cut_after=1, stays_out=True),
            lambda phone: phone.tell(out=False),
            id="offline",
        ),
    ],
)
def test_a_fault_in_the_middle_costs_no_row(phone, undisturbed, adb, last_journal, monkeypatch, fault, remedy):
    monkeypatch.setattr(profiling, "CHUNK", 2)  # several trips a round, and something to push in each of the first ones
    table, _ = undisturbed
    device = phone.device(reconnect_seconds=10.0 if remedy is None else 1.0)
    chunks, kept = [], []

    def at_the_second_chunk(done, total):
        chunks.append(done)
        if len(chunks) == 2:
            kept.append(journalled(device))
            fault(phone, adb)

    if remedy is None:
        assert profile(device, at_the_second_chunk) == table
    else:
        with pytest.raises(DeviceError):
            profile(device, at_the_second_chunk)
        assert journalled(device).startswith(kept[0])
        remedy(phone)
        assert profile(device) == table
    assert len(kept[0].splitlines()) > 4
    assert last_journal[-1].startswith(kept[0])
    assert phone.is_clean()


@pytest.mark.slow
def test_a_lost_phone_is_not_replaced_by_another(make_phone, adb):
    first, second = make_phone(), make_phone(model="Another")
    adb.command("connect", first.address)
    device = first.device(address="", reconnect_seconds=1.0)

    def swap(done, total):
        first.tell(out=True)
        adb.command("disconnect", first.address)
        adb.command("connect", second.address)

    with pytest.raises(DeviceError, match="the phone was lost and not back after 1 s"):
        profile(device, swap)
    assert second.ran() == []


@pytest.fixture
def pixel(phone, tmp_path):
    """The device file of a user who has such a phone; commands find it by its name."""
    options = "\n".join(f"{name} = {json.dumps(value)}" for name, value in phone.device().options.items())
    path = tmp_path / "home" / "devices" / "pixel.toml"
    path.parent.mkdir(parents=True)
    path.write_text(f'name = "pixel"\nrunner = "adb"\n\n[options]\n{options}\n')
    return path


def command(capsys, *arguments):
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def few_models(monkeypatch):
    """Five small networks instead of twenty, and no further ops: what is tested does not depend on which."""
    monkeypatch.setattr(measuring, "support_ops", list)
    monkeypatch.setattr(measuring, "networks_for", lambda space: calibration_networks(space, count=5))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_phone_is_profiled_predicted_and_measured_by_its_name(phone, pixel, capsys, few_models):
    space = ("--space", "mnasnet", "--resolution", "32", "--classes", "10", "--share", "0.1")
    code, out, err = command(capsys, "profile", "--device", "pixel", *space, "--json")
    assert code == 0, err
    table = LatencyTable.load(Path(json.loads(out)["path"]))
    assert table.info.cpu == "Fake Phone (GS0, Android 14)"
    assert len(table) == json.loads(out)["ops"] > 50
    predict = ("predict", "mobilenet_v3_small", "--device", "pixel", "--json")
    code, out, err = command(capsys, *predict)
    assert code == 0, err
    assert {op["source"] for op in json.loads(out)["ops"]} == {"measured"}
    code, out, err = command(capsys, "measure", "mobilenet_v3_small", "--device", "pixel", "--seconds", "1", "--json")
    assert code == 0, err
    document = json.loads(out)
    assert document["p10_ms"] is None
    assert document["p90_ms"] is None
    assert document["latency_ms"] > 0
    phone.close()  # what is in the table needs no phone
    code, out, err = command(capsys, *predict)
    assert code == 0, err
    code, out, err = command(capsys, "measure", "mobilenet_v3_small", "--device", "pixel")
    assert (code, out) == (4, "")
    assert "is not connected" in err


def test_commands_name_what_is_missing(phone, pixel, tmp_path, capsys):
    pixel.write_text(pixel.read_text().replace(str(phone.binary), ""))
    code, out, err = command(capsys, "measure", "mobilenet_v2", "--device", "pixel")
    assert (code, out) == (2, "")
    assert err.startswith("error: TFLite's benchmark_model is needed; Google publishes it at https://")
    given = ("--benchmark-binary", phone.binary)
    code, out, err = command(capsys, "measure", "mobilenet_v2", "--device", "pixel", "--seconds", "0.1", *given)
    assert code == 0, err
    code, out, err = command(capsys, "measure", "mobilenet_v2", "--device", "host", *given)
    assert code == 2
    assert err == "error: --benchmark-binary is for phones, and the runner of device host is host; leave it out\n"
