"""Files of other converters hold the networks that we know: the same multiply-adds, op for op."""

import pytest

from mobilenas import models
from mobilenas.export import read_tflite

pytestmark = pytest.mark.slow


def macs_by_kind(graph):
    found: dict[str, int] = {}
    for node in graph.nodes:
        found[node.spec.kind] = found.get(node.spec.kind, 0) + node.spec.macs
    return {kind: macs for kind, macs in found.items() if macs}


KERAS = {"mobilenet_v2": "MobileNetV2", "mobilenet_v3_large": "MobileNetV3Large", "efficientnet_b0": "EfficientNetB0"}


@pytest.mark.filterwarnings("default")  # what TensorFlow warns of is not ours
@pytest.mark.parametrize("name", KERAS)
def test_keras(name):
    tensorflow = pytest.importorskip("tensorflow", reason="TensorFlow is not installed; pip install tensorflow")
    network = getattr(tensorflow.keras.applications, KERAS[name])(weights=None, input_shape=(224, 224, 3))
    found = read_tflite(tensorflow.lite.TFLiteConverter.from_keras_model(network).convert())
    assert found.graph.macs == models.get(name).graph().macs
    assert found.dtype == "float32"
    assert set(found.left_out) <= {"SOFTMAX", "MUL", "ADD", "SUB"}


@pytest.mark.filterwarnings("default")  # what torch warns of while it exports is not ours
@pytest.mark.parametrize("name", ["mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0"])
def test_litert_torch(name, tmp_path):
    litert_torch = pytest.importorskip("litert_torch", reason="litert-torch is not installed; pip install litert-torch")
    torch, torchvision = pytest.importorskip("torch"), pytest.importorskip("torchvision")
    network = getattr(torchvision.models, name)(weights=None).eval()
    path = tmp_path / "network.tflite"
    litert_torch.convert(network, (torch.randn(1, 3, 224, 224),)).export(str(path))
    found = read_tflite(path.read_bytes())
    assert macs_by_kind(found.graph) == macs_by_kind(models.get(name).graph())
