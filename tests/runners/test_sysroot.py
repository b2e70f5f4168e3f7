"""Setting up the sysroot: what can go wrong leaves the old one as it was."""

import stat

import pytest

from mobilenas.errors import InputError
from mobilenas.runners.sysroot import Sysroot, build, is_up_to_date
from mobilenas.runners.sysroot._sysroot import Contents


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Puts scripts in the place of the programs that are called."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def write(name, body):
        path = folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    write("qemu-aarch64", "echo qemu-aarch64 version 7.2.22")
    for name in ("cc", "apt-get", "dpkg-deb"):
        write(name, "exit 0")
    monkeypatch.setenv("PATH", str(folder))
    return write


def old(folder, runtime="ai-edge-litert 0.1"):
    folder.mkdir()
    made = Sysroot(folder, Contents(python="usr/bin/python3.11", runtime=runtime, counter="c.so", qemu=7), "qemu")
    made.save()
    return made


def test_a_missing_program_is_named_with_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"qemu-aarch64 is not on PATH; install it \(Debian: apt-get install qemu-user\)"
    ):
        build(tmp_path / "x")


def test_a_step_that_fails_says_why_and_leaves_the_old_one(tmp_path, programs):
    old(tmp_path / "x")
    programs("apt-get", "echo 'E: no arm64 here' >&2; exit 100")
    with pytest.raises(InputError, match=r"apt-get update for arm64 failed \(100\): E: no arm64 here"):
        build(tmp_path / "x")
    assert Sysroot.load(tmp_path / "x").contents.runtime == "ai-edge-litert 0.1"


def test_packages_without_a_python_are_refused(tmp_path, programs):
    with pytest.raises(InputError, match="apt gave 0 Pythons for arm64"):
        build(tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_another_runtime_or_emulator_makes_it_out_of_date(tmp_path, programs):
    from importlib.metadata import version

    assert not is_up_to_date(tmp_path / "absent")
    old(tmp_path / "old")
    assert not is_up_to_date(tmp_path / "old")
    old(tmp_path / "new", f"ai-edge-litert {version('ai-edge-litert')}")
    assert is_up_to_date(tmp_path / "new")
    programs("qemu-aarch64", "echo qemu-aarch64 version 10.0.2")
    assert not is_up_to_date(tmp_path / "new")


def test_a_comma_in_its_path_does_not_end_the_plugins_path(tmp_path, programs):
    made = old(tmp_path / "a,b")
    command = made.command()
    assert command[command.index("-plugin") + 1] == f"{tmp_path}/a,,b/c.so"
    assert command[command.index("-L") + 1] == f"{tmp_path}/a,b"
