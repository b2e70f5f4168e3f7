import pytest
from fake_runner import FakeRunner

from mobilenas.runners import RUNNERS, Device


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def fake_device():
    FakeRunner.reset()
    RUNNERS.add("fake", FakeRunner)
    yield Device(name="fake", runner="fake")
    FakeRunner.reset()
