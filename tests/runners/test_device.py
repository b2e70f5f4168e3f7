"""Device files."""

import pytest

from mobilenas.errors import FieldError, InputError
from mobilenas.runners import Device, known_devices, open_runner
from mobilenas.storage import shipped


def test_shipped_devices_load_under_their_own_name():
    assert "host" in known_devices()
    for name, path in known_devices().items():
        assert Device.load(str(path)).name == name


def test_the_readme_tells_of_every_shipped_device_and_runner():
    folder = shipped("devices")
    text = (folder / "README.md").read_text()
    for path in folder.glob("*.toml"):
        assert f"| `{path.stem}` |" in text
        assert f"| `{Device.load(str(path)).runner}` |" in text


def test_a_users_device_hides_a_shipped_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_HOME", str(tmp_path))
    folder = tmp_path / "devices"
    folder.mkdir()
    (folder / "host.toml").write_text('name = "host"\nrunner = "host"\nthreads = 2\n')
    assert Device.load("host").threads == 2


def test_an_unknown_device_names_the_near_ones():
    with pytest.raises(InputError, match="unknown device 'hots'; did you mean: host"):
        Device.load("hots")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\n", "'runner' is missing"),
        ("name = 'x'\nrunner = 'host'\nthread = 1\n", "unknown field 'thread'"),
        ("name = 'x'\nrunner = 'host'\nthreads = 0\n", "threads: 0"),
        ("name = 'x'\nrunner = 'host'\nthreads = true\n", "threads: True"),
        ("name = 'a;rm -rf'\nrunner = 'host'\n", "name: 'a;rm -rf'"),
        ("name = '../up'\nrunner = 'host'\n", "name: '../up'"),
        ("name = 'x'\nrunner = 'host'\noptions = 3\n", "options: 3"),
        ("name = \n", "not valid TOML"),
    ],
)
def test_a_bad_file_names_the_field(tmp_path, text, message):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Device.load(str(path))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("runner", "option", "value"),
    [
        ("adb", "benchmark_binary", "~nobody-of-this-name/benchmark_model"),
        ("adb", "most_celsius", -1.0),
        ("adb", "least_percent", 101),
        ("emulated", "sysroot", "a\0b"),
        ("emulated", "sysroot", "x" * 5000),
    ],
)
def test_an_option_that_cannot_be_is_named_before_anything_is_reached(runner, option, value):
    with pytest.raises(FieldError, match=f"options.{option}"):
        open_runner(Device(name="x", runner=runner, options={option: value}))
