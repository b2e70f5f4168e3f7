import pytest
from phone import AdbServer, FakePhone, why_not


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory):
    """A real adb server of the tests' own; not started here, since whoever needs one starts it."""
    if reason := why_not():
        pytest.skip(f"no fake phone: {reason}")
    server = AdbServer(tmp_path_factory.mktemp("adb"))
    yield server
    server.command("kill-server")


@pytest.fixture
def adb(adb_server, monkeypatch):
    """The same, as the one that this process uses."""
    for name, value in adb_server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    monkeypatch.delenv("MOBILENAS_BENCHMARK_BINARY", raising=False)
    yield adb_server
    adb_server.command("disconnect")


@pytest.fixture
def make_phone(adb, tmp_path):
    """Switches phones on; they are switched off at the end."""
    made = []

    def make(**settings):
        made.append(FakePhone(tmp_path / f"phone{len(made)}", **settings))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


@pytest.fixture
def phone(make_phone):
    """One phone."""
    return make_phone()
