"""A device without a connection never answers, and says what can be had instead."""

import pytest

from mobilenas.errors import DeviceError, FieldError
from mobilenas.runners import Device, TimingProtocol, open_runner


@pytest.fixture
def runner():
    return open_runner(Device(name="phone", runner="none"))


def test_it_never_answers(runner):
    assert not runner.answers()
    assert not runner.has_connection
    assert runner.mismatch({"cpu": "any", "runtime": "any"}) == ""


@pytest.mark.parametrize(
    "use", [lambda r: r.__enter__(), lambda r: r.environment(), lambda r: r.measure([b""], TimingProtocol())]
)
def test_whoever_measures_is_told_what_can_be_had(runner, use):
    with pytest.raises(DeviceError, match=r"phone has no connection.*mobilenas predict MODEL --device phone"):
        use(runner)


def test_options_are_refused():
    with pytest.raises(FieldError, match="no connection to set up"):
        open_runner(Device(name="phone", runner="none", options={"serial": "1"}))


def test_the_shipped_pixel1_is_such_a_device():
    device = Device.load("pixel1")
    assert (device.runner, device.threads) == ("none", 1)
    assert not open_runner(device).has_connection
