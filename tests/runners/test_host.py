"""The host runner on the real runtime."""

import threading
import time
from dataclasses import replace

import pytest

from mobilenas.errors import DeviceError, FieldError
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import Device, Failure, Timing, TimingProtocol, host, open_runner
from mobilenas.storage import exclusive

pytestmark = pytest.mark.xdist_group("host")  # two measurements at once would disturb each other
QUICK = TimingProtocol(visits=2, runs=5, visit_seconds=0.01)
CONV = OpSpec(OpKind.CONV2D, ((8, 8, 16),), 16)


@pytest.fixture(autouse=True)
def own_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "lock_path", lambda: tmp_path / "host.lock")
    return tmp_path / "host.lock"


@pytest.fixture
def device():
    return Device.load("host")


def test_each_model_is_timed_and_a_broken_one_fails_alone(device):
    good = write_micro_model(CONV)
    with open_runner(device) as runner:
        first, broken, last = runner.measure([good, b"not a model at all", good], QUICK)
    assert isinstance(broken, Failure)
    assert isinstance(first, Timing)
    assert isinstance(last, Timing)
    assert first.latency_us > 0
    assert first.runs >= 10
    assert (first.visits, first.delegates) == (2, 1)


def test_the_gate_of_a_session_is_the_next_ones_usual(device):
    with open_runner(device) as runner:
        assert runner.gate_us == 0.0
        (first,) = runner.measure([write_micro_model(CONV)], QUICK)
        best_us = runner.gate_us
        assert 1 < best_us < 1e5
        runner.usual_gate_us = best_us / 4  # what it never was
        (second,) = runner.measure([write_micro_model(CONV)], QUICK)
    assert second.slowness > 2 > first.slowness


def test_only_visits_that_wait_are_watched_by_the_gate(device):
    with open_runner(device) as runner:
        assert runner.has_gate
        runner.measure([write_micro_model(CONV)], replace(QUICK, waits=False))
        assert runner.gate_us == 0.0
        runner.measure([write_micro_model(CONV)], QUICK)
        assert runner.gate_us > 0.0


def test_more_work_takes_longer(device):
    small = write_micro_model(OpSpec(OpKind.CONV2D, ((14, 14, 64),), 64))
    large = write_micro_model(OpSpec(OpKind.CONV2D, ((56, 56, 64),), 64))
    with open_runner(device) as runner:
        a, b = runner.measure([small, large], TimingProtocol(visits=3, runs=20))
    assert min(b.visit_us) > 4 * min(a.visit_us)


def test_environment_says_what_a_table_needs(device):
    with open_runner(device) as runner:
        environment = runner.environment()
        assert set(environment) == {"cpu", "runtime", "threads", "pinning", "governor"}
        assert environment["runtime"].startswith(("ai-edge-litert ", "tflite-runtime "))
        assert runner.mismatch(environment) == ""
        assert "cpu another" in runner.mismatch({**environment, "cpu": "another"})
        assert runner.mismatch({**environment, "cpu": "unknown"}) == ""


def test_two_measurements_never_overlap(device, own_lock):
    busy = Device(name="host", runner="host", options={"wait_seconds": 0.0})
    with open_runner(device), pytest.raises(DeviceError, match="in use by another process"):
        open_runner(busy).__enter__()
    with open_runner(busy):
        pass


def test_training_waits_while_the_host_is_measured(own_lock, monkeypatch, caplog):
    monkeypatch.setattr(host, "SAY_AFTER_S", 0.1)
    host._say_that_training_waits.cache_clear()
    waited = threading.Event()
    with exclusive(own_lock, "this machine"):
        thread = threading.Thread(target=lambda: (host.wait_while_host_is_measured(), waited.set()))
        thread.start()
        time.sleep(0.5)
        assert not waited.is_set()
    thread.join(5)
    assert waited.is_set()
    assert caplog.messages == ["training waits while another process measures this machine"]


def test_unknown_runner_and_option_are_named():
    with pytest.raises(FieldError, match="runner: 'telepathy'"):
        open_runner(Device(name="x", runner="telepathy"))
    with pytest.raises(Exception, match="unknown field 'pinn'"):
        open_runner(Device(name="x", runner="host", options={"pinn": True}))
