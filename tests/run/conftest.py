import pytest
from fake_runner import FakeRunner
from known_device import install

from mobilenas.runners import RUNNERS
from mobilenas.spaces.mnasnet import MnasNetSpace


@pytest.fixture(scope="session")
def space():
    return MnasNetSpace(resolution=32, num_classes=10)


@pytest.fixture(scope="session")
def small_space():
    """At 16 pixels a training takes seconds."""
    return MnasNetSpace(resolution=16, num_classes=10)


@pytest.fixture
def fake_home(tmp_path, monkeypatch, small_space):
    """A home with the fake device and its table for 16 pixels."""
    home = tmp_path / "home"
    monkeypatch.setenv("MOBILENAS_HOME", str(home))
    install(home, small_space)
    FakeRunner.reset()
    RUNNERS.add("fake", FakeRunner)
    yield home
    FakeRunner.reset()
