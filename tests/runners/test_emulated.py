"""The emulated aarch64 device on the real qemu-aarch64."""

from dataclasses import replace

import numpy as np
import pytest

from mobilenas import models
from mobilenas.errors import DeviceError, FieldError
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Profiler
from mobilenas.runners import Device, Failure, LiteRTProcess, Timing, TimingProtocol, open_runner
from mobilenas.runners.sysroot import Sysroot

SYSROOT = Sysroot.default_folder()
"""Of the user who runs the tests: `make sysroot` puts it there."""
PROTOCOL = TimingProtocol()
CONV = OpSpec(OpKind.CONV2D, ((8, 8, 16),), 16)
DEVICE = Device(name="aarch64_emulated", runner="emulated", options={"sysroot": str(SYSROOT)})


def why_not():
    try:
        Sysroot.load(SYSROOT)
    except DeviceError as error:
        return str(error)
    return ""


needs_emulator = pytest.mark.skipif(bool(why_not()), reason=why_not() or "all is there")
pytestmark = pytest.mark.xdist_group("emulated")


@pytest.fixture(scope="module")
def runner():
    with open_runner(DEVICE) as opened:
        yield opened


def counted(runner, *files):
    timings = runner.measure(files, PROTOCOL)
    assert all(isinstance(timing, Timing) for timing in timings), timings
    return [timing.latency_us for timing in timings]


@needs_emulator
def test_counts_are_instructions_and_grow_with_the_work(runner):
    wide = OpSpec(OpKind.CONV2D, ((28, 28, 64),), 64)
    small, large = counted(runner, write_micro_model(wide), write_micro_model(replace(wide, out_channels=128)))
    (timing,) = runner.measure([write_micro_model(wide)], PROTOCOL)
    assert (timing.unit, timing.delegates) == ("instructions", 1)
    assert wide.macs / 8 < small < wide.macs  # a vector instruction multiplies four floats
    assert 1.8 < large / small < 2.1


@needs_emulator
def test_a_second_emulation_counts_the_same(runner):
    wide = OpSpec(OpKind.CONV2D, ((28, 28, 64),), 64)
    files = [write_micro_model(op) for op in (CONV, wide, OpSpec(OpKind.MEAN, ((14, 14, 96),), 96))]
    first = counted(runner, *files)
    with open_runner(DEVICE) as other:
        again = counted(other, *reversed(files))
    assert again == pytest.approx(first[::-1], rel=1e-4, abs=500)  # the interpreter around an inference adds some


@needs_emulator
def test_ops_add_up_to_networks(runner, tmp_path):
    graph = models.get("mobilenet_v3_small", resolution=64).graph()
    path = tmp_path / "x.csv"
    table = Profiler(device=DEVICE, dtype="float32", runner=runner, path=path).measure(graph.op_counts())
    (whole,) = counted(runner, write_tflite(graph, random_weights(graph)))
    ops = sum(count * table[op].latency_us for op, count in graph.op_counts().items())
    assert table.info.overhead_us + ops == pytest.approx(whole, rel=0.005)
    assert table.info.unit == "instructions"
    assert all(row.spread_us == 0 for row in table.values())


@needs_emulator
@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_kernels_are_those_of_another_processor_and_agree_with_this_one(runner, dtype):
    graph = models.get("mobilenet_v2", resolution=32, num_classes=10).graph()
    model = write_tflite(graph, random_weights(graph), dtype=dtype)
    images = np.random.default_rng(0).standard_normal((1, 32, 32, 3)).astype(np.float32)
    found = []
    with LiteRTProcess() as here:
        for process in (here, runner._process):
            _, raw = process.request("invoke", model, timeout_seconds=100, data=images.tobytes())
            found.append(np.frombuffer(raw, np.float32))
    np.testing.assert_allclose(found[1], found[0], atol=0.02 * np.abs(found[0]).max() + 1e-6)


@needs_emulator
def test_a_broken_model_fails_alone_and_a_crash_too(tmp_path, monkeypatch):
    from mobilenas.runners import _local_transport

    source, visit = _local_transport.AGENT.read_text(), "    def visit(self, request, payload):\n"
    assert visit in source
    path = tmp_path / "agent.py"
    extra = "        if b'please crash' in self.models[request['id']]:\n            os.abort()\n"
    path.write_text(source.replace(visit, visit + extra))
    monkeypatch.setattr(_local_transport, "AGENT", path)
    model = write_micro_model(CONV)
    with open_runner(DEVICE) as opened:
        broken, crashed, fine = opened.measure([b"no model", model + b"please crash", model], PROTOCOL)
    assert "not a valid Flatbuffer" in broken.reason
    assert crashed == Failure("the runtime ended with signal 6")
    assert isinstance(fine, Timing)


@needs_emulator
def test_a_model_is_run_once_while_the_device_is_open(runner, monkeypatch):
    (first,) = runner.measure([write_micro_model(CONV)], PROTOCOL)
    monkeypatch.setattr(runner, "_process", None)
    assert runner.measure([write_micro_model(CONV)] * 2, PROTOCOL) == [first, first]


@needs_emulator
def test_environment_says_what_a_table_needs(runner):
    environment = runner.environment()
    assert environment["cpu"] == "cortex-a76, emulated"
    assert environment["runtime"].startswith("ai-edge-litert ")
    assert set(environment) == {"cpu", "runtime", "threads", "pinning", "governor"}
    assert runner.mismatch(environment) == ""
    assert "runtime another, here" in runner.mismatch({**environment, "runtime": "another"})
    assert runner.answers()


@needs_emulator
def test_hostile_paths_are_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = 'a b, it\'s "x"; touch pwned; $(touch pwned) `touch pwned`\ntouch pwned'
    (tmp_path / text).symlink_to(SYSROOT)
    with open_runner(Device(name="x", runner="emulated", options={"sysroot": str(tmp_path / text)})) as opened:
        counted(opened, write_micro_model(CONV))
    assert [path.name for path in tmp_path.iterdir()] == [text]


def test_without_a_sysroot_it_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    absent = open_runner(Device(name="x", runner="emulated", options={"sysroot": str(tmp_path)}))
    assert not absent.answers()
    with pytest.raises(DeviceError, match=r"no aarch64 sysroot in .*; run: python -m mobilenas.runners.sysroot"):
        absent.__enter__()
    (tmp_path / "sysroot.json").write_text("{}")
    with pytest.raises(DeviceError, match=r"is damaged: .*missing.*; run: python -m"):
        absent.__enter__()


def test_without_qemu_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(DeviceError, match="qemu-aarch64 is not on PATH; install it"):
        open_runner(DEVICE).__enter__()


def test_one_thread_is_counted():
    with pytest.raises(FieldError, match="threads: 2 is not accepted; give 1"):
        open_runner(replace(DEVICE, threads=2))
