import json
import struct

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export.weights import random_weights
from mobilenas.graph import GraphBuilder
from mobilenas.nn import GraphModule, load_weights, save_weights, set_weights, state_arrays


def small(channels: int = 4) -> GraphModule:
    builder = GraphBuilder((8, 8, 3))
    x = builder.conv2d(builder.inputs[0], channels, name="conv", kernel_size=3)
    return GraphModule(builder.finish(builder.fully_connected(builder.mean(x, name="pool"), 2, name="fc")))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.safetensors"


def untouched_by(module: GraphModule, act, match: str) -> None:
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    with pytest.raises(InputError, match=match):
        act()
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_round_trip(path) -> None:
    graph = models.get("mobilenet_v3_small", resolution=32).graph()
    saved, read = GraphModule(graph, seed=1), GraphModule(graph, seed=2)
    set_weights(saved, random_weights(graph, seed=3))
    image = torch.randn(1, 3, 32, 32)
    save_weights(saved, path)
    load_weights(read, path)
    assert torch.equal(read.eval()(image), saved.eval()(image))
    assert {name: array.shape for name, array in load_file(path).items()} == graph.state_shapes()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_channels_last_weights_are_written_in_order(path) -> None:
    module = small().to(memory_format=torch.channels_last)
    save_weights(module, path)
    assert (load_file(path)["conv.weight"] == module.conv.weight.detach().numpy()).all()
    other = small().to(memory_format=torch.channels_last)
    torch.nn.init.zeros_(other.conv.weight)
    load_weights(other, path)
    assert torch.equal(other.conv.weight, module.conv.weight)
    assert other.conv.weight.is_contiguous(memory_format=torch.channels_last)


def test_counters_of_other_programs_are_ignored(path) -> None:
    module = small()
    save_file({**state_arrays(module), "conv.batch_norm.num_batches_tracked": np.array([3])}, path)
    load_weights(module, path)
    assert module.conv.batch_norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda w: w.pop("fc.bias"), "fc.bias is missing"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "extra is not in the network"),
        (lambda w: w.update({"fc.weight": np.zeros((3, 4), np.float32)}), r"fc.weight has shape \(3, 4\).*\(2, 4\)"),
        (lambda w: w.update({"fc.bias": np.array([1, np.nan], np.float32)}), "fc.bias .*not finite"),
    ],
)
def test_a_file_that_does_not_fit_names_the_tensor(path, change, match: str) -> None:
    module = small()
    weights = {name: array.copy() for name, array in state_arrays(module).items()}
    weights["conv.weight"] += 1
    change(weights)
    save_file(weights, path)
    untouched_by(module, lambda: load_weights(module, path), match)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda w: w.pop("fc.bias"), "fc.bias is missing"),
        (lambda w: w.update(extra=np.zeros(1, np.float32)), "extra is not in it"),
        (lambda w: w.update({"fc.weight": np.zeros((3, 4), np.float32)}), r"fc.weight has shape \(3, 4\).*\(2, 4\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, match: str) -> None:
    module = small()
    weights = {name: array.copy() for name, array in state_arrays(module).items()}
    weights["conv.weight"] += 1
    change(weights)
    untouched_by(module, lambda: set_weights(module, weights), match)


def test_weights_of_another_network(path) -> None:
    save_weights(small(channels=5), path)
    module = small()
    untouched_by(module, lambda: load_weights(module, path), "conv.weight has shape")


def header(data: dict) -> bytes:
    text = json.dumps(data).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"not safetensors at all",
        struct.pack("<Q", 2**63) + b"{}",
        header({"conv.weight": {"dtype": "F32", "shape": [4, 3, 3, 3], "data_offsets": [0, 432]}}),
        header({"conv.weight": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}) + bytes(4),
        header({"conv.weight": 5}),
        struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
    ],
)
def test_broken_files_are_refused(path, content: bytes) -> None:
    path.write_bytes(content)
    module = small()
    untouched_by(module, lambda: load_weights(module, path), "weights")


def test_every_truncation_is_refused(path) -> None:
    save_weights(small(), path)
    whole = path.read_bytes()
    module = small()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        untouched_by(module, lambda: load_weights(module, path), "weights")


def test_an_absent_file(path) -> None:
    with pytest.raises(InputError, match=r"weights\.safetensors"):
        load_weights(small(), path)


def test_a_folder_that_cannot_be_written(path) -> None:
    path.write_text("a file, not a folder")
    with pytest.raises(InputError, match="cannot write"):
        save_weights(small(), path / "inside.safetensors")
