import numpy as np
import pytest
from cases import CASES
from litert import images, reference

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import Metadata, random_weights
from mobilenas.export.onnx_writer import OPSET, write_onnx
from mobilenas.graph import GraphBuilder, OpKind, single_op

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")


def run(model: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    """What onnxruntime gives, channels last."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    given = {f"input_{i}": np.ascontiguousarray(x.transpose(0, 3, 1, 2)) for i, x in enumerate(inputs)}
    (found,) = session.run(None, given)
    return found.transpose(0, 2, 3, 1) if found.ndim == 4 else found


@pytest.mark.parametrize("kind", OpKind)
def test_every_op(kind):
    for spec in CASES[kind]:
        graph = single_op(spec)
        weights, inputs = random_weights(graph), images(graph)
        model = write_onnx(graph, weights)
        onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
        found, (wanted,) = run(model, inputs), reference(graph, weights, inputs)
        assert found.shape == wanted.shape, spec
        assert np.abs(found - wanted).max() <= 1e-5 * (np.abs(wanted).max() or 1), spec


def test_a_slice_that_begins_inside():
    builder = GraphBuilder((5, 7, 8))
    graph = builder.finish(builder.slice(builder.inputs[0], 3, name="slice", first_channel=4))
    inputs = images(graph)
    assert np.array_equal(run(write_onnx(graph, {}), inputs), inputs[0][..., 4:7])


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v2", "efficientnet_b0", "mnasnet_a1"])
def test_published_networks_in_any_batch_size(name):
    graph = models.get(name, resolution=64, num_classes=10).graph()
    weights = random_weights(graph)
    inputs = [np.random.default_rng(0).standard_normal((3, 64, 64, 3)).astype(np.float32)]
    found, (wanted,) = run(write_onnx(graph, weights), inputs), reference(graph, weights, inputs)
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_opset_labels_and_normalisation_stand_in_the_file():
    graph = models.get("mobilenet_v3_small", resolution=32, num_classes=2).graph()
    about = Metadata(labels=("cat", "dog"), mean=(0.5, 0.25, 0.125), std=(0.5, 1.0, 2.0))
    model = onnx.load_from_string(write_onnx(graph, random_weights(graph), metadata=about))
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found == {"labels": "cat\ndog", "mean": "0.5 0.25 0.125", "std": "0.5 1 2"}


def test_a_missing_extra_is_one_line_with_the_command(monkeypatch):
    graph = single_op(CASES[OpKind.MEAN][0])
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(InputError, match=r'onnx is not installed; run: pip install "mobilenas\[onnx\]"'):
        write_onnx(graph, {})
