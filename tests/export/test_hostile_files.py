"""Small files that claim much: each is read or refused in little time and memory, and never with a traceback."""

import time
import tracemalloc

import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.export import read_tflite
from mobilenas.export.flatbuffer import FlatbufferModel

CPU_SECONDS, MEGABYTES = 10, 200
"""Far beyond what each takes; what was wrong took minutes or gigabytes."""
WINDOW = {"padding": "VALID", "strideH": 1, "strideW": 1, "fusedActivationFunction": "NONE"}
JOIN = {"fusedActivationFunction": "NONE"}


class Hostile(FlatbufferModel):
    """A file whose parts say what they like."""

    def claim(self, tensor: int, *shape: int) -> int:
        """Gives a tensor another shape."""
        self._subgraph.tensors[tensor].shape = list(shape)
        return tensor

    def unwritten(self, *shape: int) -> int:
        """A tensor that nothing writes."""
        return self._tensor(shape, np.dtype(np.float32), "unwritten")

    def second_output(self, *shape: int) -> None:
        """The last operator writes another tensor too."""
        self._subgraph.operators[-1].outputs.append(self.unwritten(*shape))

    def reshape(self, tensor: int, *shape: int, name: str = "reshape") -> int:
        sizes = self.constant(np.array(shape, np.int32), f"{name}_sizes")
        return self.operator("RESHAPE", [tensor, sizes], shape, {"newShape": list(shape)}, name)

    def padded_convolution(self, image: int, *, second: bool = False) -> int:
        amounts = self.constant(np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32), "amounts")
        padded = self.operator("PAD", [image, amounts], (1, 10, 10, 3), {}, "pad")
        if second:
            self.second_output(1, 10, 10, 3)
        kernel = self.constant(np.ones((4, 3, 3, 3), np.float32), "kernel")
        bias = self.constant(np.ones(4, np.float32), "bias")
        return self.operator("CONV_2D", [padded, kernel, bias], (1, 8, 8, 4), WINDOW, "conv")


def read(model: FlatbufferModel, *outputs: int) -> str:
    """What is said of a file, or "" where it is read; fails where that takes too long."""
    data = model.finish(outputs, "by hand")
    began = time.process_time()
    try:
        read_tflite(data)
        said = ""
    except InputError as error:
        said = str(error)
    assert time.process_time() - began < CPU_SECONDS
    return said


@pytest.fixture
def little_memory():
    """Fails a test that takes too much of it; counting takes time."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6 * MEGABYTES


def test_an_output_that_no_operator_writes():
    model = Hostile()
    y = model.padded_convolution(model.input((1, 8, 8, 3), "x"))
    assert "'unwritten' is written by no operator" in read(model, y, model.unwritten(1, 8, 8, 4))


def test_several_outputs_of_one_operator():
    model = Hostile()
    y = model.padded_convolution(model.input((1, 8, 8, 3), "x"), second=True)
    assert read(model, y) == "operator 0 (PAD): writes 2 tensors, not one"
    model = Hostile()
    x = model.input((1, 8, 8, 3), "x")
    y = model.operator("CONCATENATION", [x, x], (1, 8, 8, 6), {**JOIN, "axis": 3}, "y")
    model.second_output(1, 8, 8, 6)
    assert read(model, y) == "operator 0 (CONCATENATION): writes 2 tensors, not one"


@pytest.mark.parametrize("height", [0, 2**30])
def test_sizes_that_no_image_has(height):
    model = Hostile()
    x = model.input((1, height, 8, 6), "x")
    rows = model.reshape(x, height, 8, 6)
    y = model.operator("CONCATENATION", [rows, rows], (height, 8, 12), {**JOIN, "axis": 2}, "y")
    assert "1 to 2147483647 values are accepted" in read(model, model.reshape(y, 1, height, 16, 6, name="image"))


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(("code", "height"), [("SOFTMAX", 2**28), ("RESHAPE", 2**28), ("RESHAPE", 2)])
def test_rows_that_are_repeated_very_often(code, height):
    """An image of 2**28 rows behind a matrix of two."""
    model = Hostile()
    rows = model.reshape(model.input((1, 1, 1, 6), "x"), 1, 1, 6)
    y = model.operator("CONCATENATION", [rows, rows], (1, 2, 6), {**JOIN, "axis": 1}, "y")
    if code == "RESHAPE":
        z = model.claim(model.reshape(y, 1, 2, 1, 6, name="image"), 1, height, 1, 6)
    else:
        z = model.operator("SOFTMAX", [y], (1, height, 1, 6), {}, "z")
    assert bool(read(model, z)) == (height > 2)


@pytest.mark.usefixtures("little_memory")
def test_padding_whose_constant_is_not_in_the_file():
    model = Hostile()
    x = model.input((1, 8, 1000, 20_000), "x")
    lowest = model.claim(model.constant(np.array([-3e38], np.float32), "lowest"), 1, 1, 1000, 20_000)
    y = model.operator("CONCATENATION", [lowest, x], (1, 9, 1000, 20_000), {**JOIN, "axis": 1}, "y")
    pool = {**WINDOW, "filterHeight": 3, "filterWidth": 3}
    z = model.operator("MAX_POOL_2D", [y], (1, 7, 998, 20_000), pool, "z")
    assert "operator 0 (CONCATENATION)" in read(model, z)


def test_thousands_of_operators_that_nobody_reads():
    model = Hostile()
    x = model.input((1, 8, 8, 3), "x")
    for i in range(4900):
        y = model.operator("CONCATENATION", [x, x], (1, 8, 8, 6), {**JOIN, "axis": 3}, f"y{i}")
    assert read(model, y) == ""


def test_more_operators_than_any_network():
    model = Hostile()
    y = model.input((1, 8, 8, 3), "x")
    for _ in range(5001):
        y = model.operator("LOGISTIC", [y], (1, 8, 8, 3), {}, "y")
    assert "a list of 5001 entries" in read(model, y)


def test_thousands_of_tensors_of_one_name():
    model = Hostile()
    y = model.input((1, 8, 8, 3), "x")
    for _ in range(4900):
        y = model.operator("LOGISTIC", [y], (1, 8, 8, 3), {}, "same")
    assert read(model, y) == ""


def test_thousands_of_inputs_and_operators():
    model = Hostile()
    y, *_ = [model.input((1, 8, 8, 3), f"x{i}") for i in range(1000)]
    for i in range(4900):
        y = model.operator("LOGISTIC", [y], (1, 8, 8, 3), {}, f"y{i}")
    assert read(model, y) == ""


@pytest.mark.parametrize("kernel", [3, 1000])
def test_average_pools_of_large_images(kernel):
    """Each has weights and a size of its own: nothing can be looked up."""
    model = Hostile()
    weights = model.constant(np.full((1, kernel, kernel, 1), 1 / 9, np.float32), "weights")
    bias = model.constant(np.zeros(1, np.float32), "bias")
    for i in range(300 if kernel == 3 else 20):
        x = model.input((1, 2000 + i, 2000, 1), f"x{i}")
        options = {**WINDOW, "padding": "SAME", "depthMultiplier": 1}
        y = model.operator("DEPTHWISE_CONV_2D", [x, weights, bias], (1, 2000 + i, 2000, 1), options, f"y{i}")
    assert read(model, y) == ""


def test_a_border_that_thousands_of_operators_share():
    """The map of an average pool's border is compared value by value; the work is bounded for the whole file."""
    model = Hostile()
    weights = model.constant(np.full((1, 3, 3, 1), 1 / 9, np.float32), "weights")
    bias, border = (model.constant(np.zeros(n, np.float32), "zeros") for n in (1, 10**6))
    x = model.input((1, 1000, 1000, 1), "x")
    for i in range(400):
        options = {**WINDOW, "padding": "SAME", "depthMultiplier": 1}
        y = model.operator("DEPTHWISE_CONV_2D", [x, weights, bias], (1, 1000, 1000, 1), options, f"y{i}")
        z = model.operator("MUL", [y, border], (1, 1000, 1000, 1), JOIN, f"z{i}")
    assert read(model, z) == "damaged or too large: its operators say too much of too many forms"
