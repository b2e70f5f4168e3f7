"""The runtime's own process: what it answers, and that its death is an answer."""

import ast
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mobilenas.errors import DeviceError
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import LiteRTProcess, ModelError, _local_transport, _ssh_transport

ADD = OpSpec(OpKind.ADD, ((4, 4, 8), (4, 4, 8)), 8)
RELU = OpSpec(OpKind.RELU, ((2, 2, 3),), 3)


@pytest.fixture
def process():
    made = LiteRTProcess(threads=1, pin=False)
    yield made
    made.close()


@pytest.mark.parametrize("script", [_local_transport.AGENT, _ssh_transport.SUPERVISOR], ids=lambda path: path.stem)
def test_what_runs_on_boards_is_written_for_python_3_8(script):
    tree = ast.parse(script.read_text(), feature_version=(3, 8))
    names = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not names & {"removeprefix", "removesuffix", "bit_count"}  # text and numbers have these since 3.9 and 3.10


def test_inspect_names_operators_and_tensors(process):
    answer, _ = process.request("inspect", write_micro_model(ADD), timeout_seconds=30)
    assert answer["operators"] == ["ADD", "DELEGATE"]
    assert [tensor["shape"] for tensor in answer["inputs"]] == [[1, 4, 4, 8], [1, 4, 4, 8]]
    assert answer["outputs"][0]["dtype"] == "float32"


def test_invoke_runs_every_image_of_a_batch(process):
    images = np.array([-1.0, 2.0, -3.0] * 8, np.float32).reshape(2, 2, 2, 3)
    answer, raw = process.request("invoke", write_micro_model(RELU), timeout_seconds=30, data=images.tobytes())
    assert answer["shape"] == [2, 2, 2, 3]
    np.testing.assert_array_equal(np.frombuffer(raw, np.float32).reshape(images.shape), np.maximum(images, 0))


def test_a_refused_model_is_an_error_and_the_next_one_runs(process):
    with pytest.raises(ModelError, match="not a valid Flatbuffer"):
        process.request("inspect", b"\0" * 64, timeout_seconds=30)
    answer, _ = process.request("inspect", write_micro_model(ADD), timeout_seconds=30)
    assert answer["operators"] == ["ADD", "DELEGATE"]


def test_a_crash_is_an_error_and_the_process_starts_again(process):
    model = write_micro_model(ADD)
    process.request("inspect", model, timeout_seconds=30)
    first = process._agent
    first.kill()
    answer, _ = process.request("inspect", model, timeout_seconds=30)
    assert answer["operators"] == ["ADD", "DELEGATE"]
    assert process._agent is not first


def test_a_model_that_comes_again_is_not_sent_again():
    first, second = write_micro_model(ADD), write_micro_model(RELU)
    with LiteRTProcess(keep_bytes=len(first) + len(second) + 8) as process:
        keeps_the_last_two(process, first, second)


def keeps_the_last_two(process, first, second):
    for model in (first, second, bytes(bytearray(first))):
        process.request("inspect", model, timeout_seconds=30)
    assert process._sent == 2
    process.request("inspect", write_micro_model(RELU, seed=1) + b"\0" * 8, timeout_seconds=30)
    assert list(process._loaded.values()) == [1, 3]  # the one that was idle longest went
    answer, _ = process.request("inspect", second, timeout_seconds=30)
    assert answer["operators"] == ["RELU", "DELEGATE"]
    assert process._sent == 4


@pytest.fixture
def replaced_agent(tmp_path, monkeypatch):
    """Puts another script in the agent's place."""

    def replace(body: str) -> None:
        path = tmp_path / "agent.py"
        path.write_text(textwrap.dedent(body))
        monkeypatch.setattr(_local_transport, "AGENT", path)

    return replace


HELLO = """
    import json, os, sys, time
    def answer():
        print(json.dumps({"bytes": 0}), flush=True)
    sys.stdin.buffer.readline()
    answer()
"""


def test_a_crash_in_the_middle_names_the_signal(replaced_agent):
    replaced_agent(HELLO + "    sys.stdin.buffer.readline()\n    os.abort()\n")
    process = LiteRTProcess()
    with pytest.raises(ModelError, match=r"signal 6" if sys.platform != "win32" else "exit code"):
        process.request("visit", b"x" * 10, timeout_seconds=30)


def test_a_hang_ends_after_the_timeout(replaced_agent):
    replaced_agent(HELLO + "    time.sleep(600)\n")
    process = LiteRTProcess()
    with pytest.raises(ModelError, match=r"no answer in 0.5 s"):
        process.request("visit", b"x" * 10, timeout_seconds=0.5)
    assert process._agent is None


def test_what_is_no_answer_ends_the_process(replaced_agent):
    replaced_agent(HELLO + "    print('a library says hello', flush=True)\n    time.sleep(600)\n")
    process = LiteRTProcess()
    with pytest.raises(ModelError, match=r"signal 9|exit code"):
        process.request("visit", b"x" * 10, timeout_seconds=30)


def test_a_counter_is_the_clock_where_one_is_given(tmp_path):
    counter = tmp_path / "counter"
    counter.write_bytes((41).to_bytes(8, sys.byteorder))
    with LiteRTProcess(counter=str(counter)) as process:
        model = write_micro_model(ADD)
        answer, _ = process.request("visit", model, timeout_seconds=30, warmup_runs=0, runs=3, seconds=1.0)
    assert answer["times"] == [0.0, 0.0, 0.0]  # nobody counted


def test_a_runtime_that_does_not_start_says_why(replaced_agent):
    replaced_agent("raise ImportError('no runtime here')\n")
    with pytest.raises(DeviceError, match="no runtime here; reinstall ai-edge-litert"):
        LiteRTProcess().hello()


def test_the_agent_needs_nothing_of_this_project():
    source = Path(_local_transport.AGENT).read_text()
    assert "import mobilenas" not in source
    assert "from mobilenas" not in source
