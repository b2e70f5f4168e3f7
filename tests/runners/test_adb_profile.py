"""Profiling a phone whose connection breaks: every row that was written stays, and the table is the undisturbed one."""

import json
import random

import pytest

from mobilenas.errors import DeviceError
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import LatencyTable, Profiler, load_table, table_path
from mobilenas.runners import open_runner

OPS = [OpSpec(OpKind.CONV2D, ((7, 7, channels),), 32) for channels in range(8, 48, 8)]
CUTS = 20


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path / "home"))


def profile(device):
    path = table_path(device, "float32")
    with open_runner(device) as runner:
        profiler = Profiler(
            device=device, dtype="float32", runner=runner, path=path, table=load_table(device, "float32")
        )
        profiler.measure(OPS)
    return rows(LatencyTable.load(path))


def rows(table):
    return {op: (row.latency_us, row.runs, row.visits) for op, row in table.items()}


def journalled(device):
    path = table_path(device, "float32")
    partial = path.with_name(path.name + ".partial")
    return [json.loads(line) for line in partial.read_text().splitlines()[1:]] if partial.exists() else []


@pytest.fixture
def undisturbed(make_phone):
    """The table of an undisturbed session and the bytes that went over the cable in it."""
    phone = make_phone()
    device = phone.device()
    table = profile(device)
    table_path(device, "float32").unlink()
    return table, phone.tell()["bytes"]


@pytest.mark.slow
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
def test_a_session_that_ended_goes_on_after_its_last_row(make_phone, undisturbed, adb):
    table, total_bytes = undisturbed
    rng = random.Random(1)
    for number in range(CUTS):
        phone = make_phone()
        phone.tell(cut_after=rng.randrange(500, total_bytes * 9 // 10), stays_out=True)
        device = phone.device(reconnect_seconds=0.1)
        with pytest.raises(DeviceError):
            profile(device)
        kept = journalled(device)
        phone.tell(out=False)
        before = len(phone.ran())
        assert profile(device) == table, f"cut {number}"
        visits = sum(visits for _, _, visits in table.values())
        # the overhead's 30 runs, the try-out and two sentinels a chunk come again; rows that were written do not
        ran = len(phone.ran()) - before
        assert ran <= visits - len(kept) + 1 + 30 + 2 * 3, f"cut {number}"
        table_path(device, "float32").unlink()
        adb.command("disconnect", phone.address)
        phone.close()


def test_one_cut_costs_no_row(make_phone, undisturbed):
    table, total_bytes = undisturbed
    phone = make_phone()
    phone.tell(cut_after=total_bytes // 2)
    assert profile(phone.device()) == table
    assert phone.tell()["cuts"] == 1
