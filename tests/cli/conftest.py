import json

import pytest
from fake_runner import FakeRunner
from known_device import install

from mobilenas.cli.main import run
from mobilenas.runners import RUNNERS
from mobilenas.spaces.mnasnet import MnasNetSpace

TINY = {
    "name": "tiny",
    "resolution": 16,
    "num_classes": 10,
    "padding": "same",
    "stem": {"type": "conv_bn_act", "out_channels": 8, "kernel_size": 3, "stride": 2, "activation": "relu"},
    "stages": [
        [{"type": "mbconv", "out_channels": 8, "kernel_size": 3, "stride": 2, "expanded_channels": 16}],
    ],
    "head": {"type": "conv_pool_linear", "out_channels": 16, "activation": "relu"},
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """An own home with the fake device and its table of the MnasNet space at 16 pixels."""
    folder = tmp_path / "home"
    monkeypatch.setenv("MOBILENAS_HOME", str(folder))
    monkeypatch.chdir(tmp_path)
    FakeRunner.reset()
    RUNNERS.add("fake", FakeRunner)
    install(folder, None)
    yield folder
    FakeRunner.reset()


@pytest.fixture(scope="session")
def table_text(tmp_path_factory):
    from known_device import known_table

    return known_table(MnasNetSpace(resolution=16, num_classes=10)).to_csv()


@pytest.fixture
def table(home, table_text):
    """The fake device's table."""
    path = home / "latency_tables" / "fake.float32.csv"
    path.parent.mkdir()
    path.write_text(table_text)
    return path


@pytest.fixture
def tiny(tmp_path):
    """The file of a small architecture."""
    path = tmp_path / "tiny.json"
    path.write_text(json.dumps(TINY))
    return str(path)


@pytest.fixture
def mobilenas(capsys):
    """Runs a command; gives its exit code, stdout and stderr."""

    def command(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def answer(mobilenas):
    """Runs a command with --json that must succeed; gives its document, which is all of stdout."""

    def command(*arguments):
        code, out, err = mobilenas(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return command


@pytest.fixture
def refused(mobilenas):
    """Runs a command that must fail with a code; gives stderr: one or two lines, no traceback and no box."""

    def command(code, *arguments):
        found, out, err = mobilenas(*arguments)
        assert found == code, (found, out, err)
        assert out == ""
        lines = [
            line
            for line in err.splitlines()
            if not line.startswith(("no --weights", "space ", "mobilenet_v2 with the "))
        ]
        assert 1 <= len(lines) <= 2, err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in err
        assert not set("╭│╰┌└") & set(err)
        return err

    return command
