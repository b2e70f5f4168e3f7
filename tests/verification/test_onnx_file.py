"""ONNX files that are not the network, or no network at all: failed checks and errors, and none reaches our process."""

import numpy as np
import pytest

from mobilenas import models
from mobilenas.errors import InputError, VerificationError
from mobilenas.export import Metadata, random_weights, write_onnx
from mobilenas.runners import onnx_process
from mobilenas.verification.onnx_file import verify_onnx

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")

GRAPH = models.get("mobilenet_v3_small", resolution=32, num_classes=10).graph()
OTHER = models.get("mobilenet_v3_small", resolution=32, num_classes=7).graph()
WEIGHTS = random_weights(GRAPH)
ABOUT = Metadata(labels=tuple("abcdefghij"), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
MODEL = write_onnx(GRAPH, WEIGHTS, metadata=ABOUT)


@pytest.fixture(scope="module")
def process():
    with onnx_process() as running:
        yield running


def by_hand(
    nodes: list, sizes: list, *, name: str = "input_0", scores: list | None = None, constants: tuple = ()
) -> bytes:
    """A file of some nodes from an input of some sizes."""
    make = onnx.helper
    value = make.make_tensor_value_info
    kind = onnx.TensorProto.FLOAT
    body = make.make_graph(
        [make.make_node(code, inputs, outputs) for code, inputs, outputs in nodes],
        "by hand",
        [value(name, kind, sizes)],
        [value("output_0", kind, scores or sizes)],
        [onnx.numpy_helper.from_array(array, key) for key, array in constants],
    )
    return make.make_model(body, opset_imports=[make.make_opsetid("", 17)], ir_version=8).SerializeToString()


RELU = [("Relu", ["input_0"], ["output_0"])]
IMAGE = ["N", 3, 32, 32]


@pytest.mark.parametrize(
    ("model", "failed"),
    [
        (by_hand(RELU, [1, 3, 16, 16]), ["inputs", "outputs"]),
        (by_hand(RELU, IMAGE), ["outputs"]),
        (by_hand(RELU, ["N", 3]), ["inputs", "outputs"]),
        (by_hand([("Relu", ["image"], ["output_0"])], IMAGE, name="image"), ["inputs", "outputs"]),
        (write_onnx(OTHER, random_weights(OTHER)), ["outputs"]),
    ],
    ids=["resolution", "an image comes out", "rank", "name", "classes"],
)
def test_another_interface(process, model, failed):
    report = verify_onnx(model, GRAPH, WEIGHTS, runtime=process)
    assert [check.name for check in report.checks if not check.passed] == failed
    assert [check.name for check in report.checks] == ["opset", "inputs", "outputs"]


def test_a_good_file_and_what_it_says_of_images(process):
    report = verify_onnx(MODEL, GRAPH, WEIGHTS, metadata=ABOUT, runtime=process)
    assert report.passed
    assert [c.name for c in report.checks] == ["opset", "inputs", "outputs", "metadata", "parity", "top-1 agreement"]
    other = Metadata(labels=ABOUT.labels, mean=(0.485, 0.456, 0.406), std=ABOUT.std)
    report = verify_onnx(MODEL, GRAPH, WEIGHTS, metadata=other, runtime=process)
    assert [check.name for check in report.checks if not check.passed] == ["metadata"]


def test_a_file_that_asks_for_forty_gigabytes(process):
    nodes = [
        ("GlobalAveragePool", ["input_0"], ["mean"]),
        ("Flatten", ["mean"], ["three"]),
        ("MatMul", ["three", "matrix"], ["scores"]),
        ("ConstantOfShape", ["sizes"], ["big"]),
        ("ReduceSum", ["big"], ["sum"]),
        ("Flatten", ["sum"], ["one"]),
        ("Mul", ["scores", "one"], ["output_0"]),
    ]
    constants = (("sizes", np.array([1, 10**6, 10**4], np.int64)), ("matrix", np.ones((3, 10), np.float32)))
    model = by_hand(nodes, IMAGE, scores=["N", 10], constants=constants)
    with pytest.raises(VerificationError, match="onnxruntime does not run the file") as error:
        verify_onnx(model, GRAPH, WEIGHTS, runtime=process)
    assert len(str(error.value).splitlines()) == 1
    assert verify_onnx(MODEL, GRAPH, WEIGHTS, runtime=process).passed  # and the next one is checked


def test_what_is_no_onnx_file(process):
    with pytest.raises(InputError, match="not an ONNX file"):
        verify_onnx(MODEL[:9000], GRAPH, WEIGHTS, runtime=process)
