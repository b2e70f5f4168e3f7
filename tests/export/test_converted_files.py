"""Files of other converters hold the networks that we know: the same multiply-adds, kind by kind.

What is warned of is what LiteRT does not delegate.

$MOBILENAS_CONVERTERS names a Python interpreter that has TensorFlow and litert-torch beside mobilenas[train]; by
default it is this one.
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from litert import plan, warned_of

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import read_tflite
from mobilenas.graph import OpKind
from mobilenas.runners import LiteRTProcess

ROOT = Path(__file__).parents[2]
PYTHON = os.environ.get("MOBILENAS_CONVERTERS", sys.executable)
DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or ROOT.parent / "shared" / "data") / "models"
NAMES = ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0")
PLAIN = ("mnasnet_a1", "efficientnet_lite0", "mobilenet_v4_conv_small")
TENSORFLOW_DTYPES = {"float32": "float32", "float16": "float16", "int8": "int8", "uint8": "int8", "dynamic": "float32"}
"""What a file of each form is read as."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def macs_by_kind(graph):
    """A fully connected layer is a 1x1 convolution of one pixel."""
    found: dict[str, int] = {}
    for node in graph.nodes:
        kind = OpKind.CONV2D if node.spec.kind is OpKind.FULLY_CONNECTED else node.spec.kind
        found[kind] = found.get(kind, 0) + node.spec.macs
    return {kind: macs for kind, macs in found.items() if macs}


def converted(package: str, source: str, name: str, dtype: str, folder: Path) -> bytes:
    """The file of one source, by `benchmarks/_convert.py`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    looked = subprocess.run([PYTHON, "-c", f"import {package}"], env=environment, capture_output=True, check=False)
    if looked.returncode:
        pytest.skip(f"{PYTHON} has no {package}; MOBILENAS_CONVERTERS may name an interpreter that has it")
    path = folder / "network.tflite"
    command = [PYTHON, str(ROOT / "benchmarks" / "_convert.py"), source, name, dtype, str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return path.read_bytes()


def check_is(process: LiteRTProcess, model: bytes, name: str, dtype: str) -> None:
    found = read_tflite(model)
    assert warned_of(found.warnings) == Counter(plan(process, model)[2])
    assert macs_by_kind(found.graph) == macs_by_kind(models.get(name).graph())
    assert found.dtype == dtype
    assert set(found.left_out) <= {"SOFTMAX", "MUL", "ADD", "SUB"}


@pytest.mark.parametrize("dtype", TENSORFLOW_DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_keras(process, name, dtype, tmp_path):
    model = converted("tensorflow", "keras_applications", name, dtype, tmp_path)
    check_is(process, model, name, TENSORFLOW_DTYPES[dtype])


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", NAMES)
def test_torchvision(process, name, dtype, tmp_path):
    check_is(process, converted("litert_torch", "torchvision", name, dtype, tmp_path), name, dtype)


def test_slices_that_litert_torch_leaves_channels_first_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"operator \d+ \(TRANSPOSE\)"):
        read_tflite(converted("litert_torch", "litert_torch", "mixnet_s", "float32", tmp_path))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        *(("keras", name) for name in ("mixnet_s", *PLAIN)),
        *(("litert_torch", name) for name in PLAIN),
    ],
)
def test_networks_of_ours(process, name, source, tmp_path):
    package = {"keras": "tensorflow"}.get(source, source)
    check_is(process, converted(package, source, name, "float32", tmp_path), name, "float32")


def test_a_published_file_of_tensorflow(process):
    path = DATA / "mobilenet_v1_0.25_128_quant.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there; MOBILENAS_TEST_DATA says where the data is")
    found = read_tflite(path.read_bytes())
    assert warned_of(found.warnings) == Counter(plan(process, path.read_bytes())[2])
    known = models.get("mobilenet_v1_0.25", resolution=128, num_classes=1001)
    assert macs_by_kind(found.graph) == macs_by_kind(known.graph())
    assert found.dtype == "int8"
