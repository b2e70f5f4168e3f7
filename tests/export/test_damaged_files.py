"""Damaged and foreign TFLite files: a network or an error in a line."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenas.errors import InputError
from mobilenas.export import random_weights, read_tflite, write_tflite
from mobilenas.graph import GraphBuilder

BUILDER = GraphBuilder((8, 8, 3), padding="symmetric")
IMAGE = BUILDER.conv2d(BUILDER.inputs[0], 4, name="conv", kernel_size=3, stride=2, activation="hard_swish")
GRAPH = BUILDER.finish(BUILDER.fully_connected(BUILDER.mean(IMAGE, name="mean"), 5, name="fc"))
FILES = [write_tflite(GRAPH, random_weights(GRAPH), dtype=dtype) for dtype in ("float32", "float16", "int8")]
DATA = Path(os.environ.get("MOBILENAS_TEST_DATA", "../shared/data"))


def refused_or_read(data: bytes) -> None:
    try:
        network = read_tflite(data)
        said = str(network.graph.macs)
        for form in network.other_forms.values():
            form.file()
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    assert len(said) < 1000


@pytest.mark.parametrize("data", FILES)
def test_truncated_anywhere(data):
    for size in range(0, len(data), 17):
        with pytest.raises(InputError):
            read_tflite(data[:size])


@settings(max_examples=400)
@given(
    data=st.sampled_from(FILES),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from([0, 1, 127, 128, 255])), min_size=1, max_size=6),
)
def test_changed_bytes(data, changes):
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(data)] = value
    refused_or_read(bytes(damaged))


@given(st.binary(max_size=300))
def test_random_bytes(data):
    refused_or_read(b"\x10\0\0\0TFL3" + data)


def test_a_quantized_classifier_of_others():
    path = DATA / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    if not path.exists():
        pytest.skip(f"{path} is not there; MOBILENAS_TEST_DATA says where the data is")
    network = read_tflite(path.read_bytes())
    assert (network.dtype, network.left_out) == ("int8", {"SOFTMAX": 1})
    # 13.6 million as published (Howard et al. 2017, width 0.25 at 128 pixels), the classifier's 1001 classes included
    assert network.graph.macs == 13_570_304
    assert network.graph.value_shapes[network.graph.outputs[0]] == (1, 1, 1001)
    assert [warning.split(" not ")[0] for warning in network.warnings] == [
        "1 AVERAGE_POOL_2D in uint8",
        "1 SOFTMAX in uint8",
    ]
