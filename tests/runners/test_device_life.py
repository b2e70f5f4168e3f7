"""A device from its first row to a search on it, through commands in processes of their own, as a user types them.

The phone, the board and the emulated processor are those of the other tests here: the real adb client and server, a
real sshd, the real qemu-aarch64.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from loopback_board import SSHD, LoopbackBoard
from phone import FakePhone

from mobilenas.errors import DeviceError
from mobilenas.latency import LatencyTable
from mobilenas.runners.sysroot import Sysroot

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
SMALL_SPACE = {
    "name": "small",
    "resolution": [32],
    "stem": {"type": "conv_bn_act", "out_channels": 16, "stride": 2},
    "stages": [
        {"out_channels": [16], "conv_op": ["depthwise_separable"]},
        {"out_channels": [24, 32], "kernel_size": [3, 5], "conv_op": ["mbconv3", "mbconv6"], "stride": 2},
    ],
    "head": {"type": "conv_pool_linear", "out_channels": 64},
}
IN_PART = pytest.param(("--share", "0.1"), id="a tenth of the ops")
IN_FULL = pytest.param((), id="every op", marks=pytest.mark.exhaustive)
SEARCH_ON_DIGITS = ("--data", "digits", "--trials", "2", "--trial-epochs", "1", "--final-epochs", "1")
SYSROOT = Sysroot.default_folder()


class Commands:
    """Runs `mobilenas` in a home of its own.

    Args:
        folder: Where the home is, and where runs go.
        device: What `--device` is given.
        environment: Further variables.
    """

    def __init__(self, folder, device, environment=()):
        self.folder, self._device = folder, device
        home = folder / "home"
        (home / "devices").mkdir(parents=True, exist_ok=True)
        self._environment = {**os.environ, "MOBILENAS_HOME": str(home), "OMP_NUM_THREADS": "1", **dict(environment)}

    def __call__(self, *arguments, code=0):
        """What a command prints with --json; nothing if it is to end with another code than 0."""
        command = [sys.executable, "-m", "mobilenas.cli.main", *arguments, "--json"]
        done = subprocess.run(
            command, capture_output=True, text=True, env=self._environment, cwd=self.folder, check=False
        )
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout) if code == 0 else done.stderr

    def on_device(self, name, *arguments, code=0):
        """The same of a command that takes a device."""
        return self(name, *arguments, "--device", self._device, code=code)

    def write_device(self, runner, options):
        """Writes the device file of a user."""
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in options.items()]
        path = self.folder / "home" / "devices" / f"{self._device}.toml"
        path.write_text(f'name = "{self._device}"\nrunner = "{runner}"\n[options]\n{"".join(lines)}')

    def small_space(self):
        """Path of a space file with few ops."""
        path = self.folder / "small.json"
        path.write_text(json.dumps(SMALL_SPACE))
        return str(path)


def assert_found(result, folder, target_ms):
    """Whether a search ended with a network that was measured and meets its target."""
    assert result["met"]
    assert result["measured"]["latency_ms"] <= target_ms
    assert (folder / result["run"] / "best.tflite").stat().st_size > 1000


@pytest.mark.parametrize("share", [IN_PART, IN_FULL])
def test_a_phone_by_the_shipped_device_file(phone: FakePhone, adb, tmp_path, share):
    binary = {"MOBILENAS_BENCHMARK_BINARY": str(phone.binary)}
    mobilenas = Commands(tmp_path, "pixel", {**adb.environment, **binary})
    adb.command("connect", phone.address)
    assert {row["name"]: row["answers"] for row in mobilenas("devices")}["pixel"]
    document = mobilenas.on_device("profile", "--space", "mnasnet", *share)
    table = LatencyTable.load(Path(document["path"]))
    assert len(table) == document["ops"] > (300 if share else 1000)
    assert table.info.cpu == "Fake Phone (GS0, Android 14)"
    assert phone.is_clean()
    visited = len(phone.ran())
    assert mobilenas.on_device("profile", "--space", "mnasnet")["ops"] == len(table)
    assert len(phone.ran()) == visited  # there was nothing left to do
    predicted = mobilenas.on_device("predict", "mnasnet_a1")
    measured = mobilenas.on_device("measure", "mnasnet_a1", "--seconds", "0.5")
    assert predicted["latency_ms"] == pytest.approx(measured["latency_ms"], rel=0.03)
    (row,) = [row for row in mobilenas("devices") if row["name"] == "pixel"]
    (known,) = row["tables"]
    assert (known["dtype"], known["method"]) == ("float32", "measured")
    assert known["ops"] >= len(table)  # predict measures what it lacks
    target = ("--target-ms", "15", "--space", mobilenas.small_space())
    on_images = mobilenas.on_device("search", *target, *SEARCH_ON_DIGITS, "--out", "digits")
    assert_found(on_images, tmp_path, 15)
    bare = mobilenas.on_device("search", "--target-ms", "15", "--trials", "20", "--out", "bare")
    assert_found(bare, tmp_path, 15)
    assert phone.is_clean()


@pytest.mark.exhaustive
@pytest.mark.skipif(SSHD is None, reason="no sshd here (Debian: openssh-server)")
@pytest.mark.xdist_group("ssh")
def test_a_board(tmp_path):
    with LoopbackBoard(tmp_path) as board:
        mobilenas = Commands(tmp_path, "board")
        mobilenas.write_device("ssh", board.options())
        assert {row["name"]: row["answers"] for row in mobilenas("devices")}["board"]
        document = mobilenas.on_device("profile", "--space", mobilenas.small_space())
        table = LatencyTable.load(Path(document["path"]))
        assert len(table) == document["ops"] > 50
        assert table.info.runtime.startswith(("ai-edge-litert ", "tflite-runtime "))
        predicted = mobilenas.on_device("predict", "mobilenet_v3_small", "--no-measure")
        measured = mobilenas.on_device("measure", "mobilenet_v3_small", "--seconds", "2")
        assert 0.5 < predicted["latency_ms"] / measured["latency_ms"] < 2  # what else runs here is not quiet
        target = ("--target-ms", "100", "--space", mobilenas.small_space())
        found = mobilenas.on_device("search", *target, *SEARCH_ON_DIGITS, "--out", "digits")
        assert_found(found, tmp_path, 100)


@pytest.mark.exhaustive
@pytest.mark.xdist_group("emulated")
def test_an_emulated_processor(tmp_path):
    try:
        Sysroot.load(SYSROOT)
    except DeviceError as error:
        pytest.skip(str(error))
    mobilenas = Commands(tmp_path, "board")
    mobilenas.write_device("emulated", {"sysroot": str(SYSROOT)})
    document = mobilenas.on_device("profile", "--space", mobilenas.small_space())
    table = LatencyTable.load(Path(document["path"]))
    assert len(table) == document["ops"] > 50
    assert document["unit"] == table.info.unit == "instructions"
    predicted = mobilenas.on_device("predict", "mobilenet_v3_small")
    measured = mobilenas.on_device("measure", "mobilenet_v3_small")
    assert predicted["latency_instructions"] == pytest.approx(measured["latency_instructions"], rel=0.005)
    said = mobilenas.on_device("search", "--target-ms", "75", code=2)
    assert "not comparable with milliseconds" in said
