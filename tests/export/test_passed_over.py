"""Operators that the graph passes over: what LiteRT does not delegate of them is warned of all the same."""

from collections import Counter

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from litert import warned_of

from mobilenas.export import flatbuffer, read_tflite
from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.export.quantization import Quantization

SHAPE = (1, 8, 8, 4)
ANY = Quantization(np.array([12 / 255], np.float32), 0)


class Sized(FlatbufferModel):
    """A file with operators that give sizes, which ours never have."""

    def sizes(self, code: str, inputs: list[int], shape: tuple[int, ...], options: dict[str, object]) -> int:
        tensor = self.operator(code, inputs, shape, options, code)
        self._subgraph.tensors[tensor].type = schema.TensorType.INT32
        return tensor

    def numbers(self, *values: int, shape: tuple[int, ...] = (-1,)) -> int:
        return self.constant(np.array(values, np.int32).reshape(shape), f"{values}")

    def batch(self, image: int) -> int:
        """As Keras' converter works it out where a network takes any batch."""
        found = self.sizes("SHAPE", [image], (4,), {"outType": schema.TensorType.INT32})
        bounds = [self.numbers(0), self.numbers(1), self.numbers(1)]
        return self.sizes("STRIDED_SLICE", [found, *bounds], (), {"shrinkAxisMask": 1})

    def flattened(self, image: int, sizes: list[int], quantization: Quantization | None) -> int:
        return self.operator("RESHAPE", [image, *sizes], (1, 4), {}, "flat", quantization)


def by_any_batch(model, image, quantization):
    sizes = [model.batch(image), model.numbers(4, shape=())]
    return model.flattened(image, [model.sizes("PACK", sizes, (2,), {"valuesCount": 2})], quantization)


def by_packed_constants(model, image, quantization):
    sizes = [model.numbers(1, shape=()), model.numbers(4, shape=())]
    return model.flattened(image, [model.sizes("PACK", sizes, (2,), {"valuesCount": 2})], quantization)


def by_reshaped_constants(model, image, quantization):
    sizes = [model.numbers(1, 4, shape=(1, 2)), model.numbers(2)]
    return model.flattened(image, [model.sizes("RESHAPE", sizes, (2,), {"newShape": [2]})], quantization)


def by_constants(model, image, quantization):
    return model.flattened(image, [model.numbers(-1, 4)], quantization)


def by_another_scale(model, image, quantization):
    other = quantization and Quantization(np.array([0.5], np.float32), 3)
    return model.flattened(image, [model.numbers(1, 4)], other)


def squeezed(model, image, quantization):
    return model.operator("SQUEEZE", [image], (1, 4), {"squeezeDims": [1, 2]}, "flat", quantization)


def expanded(model, image, quantization):
    rows = model.flattened(image, [model.numbers(1, 4)], quantization)
    for shape in ((1, 1, 4), (1, 1, 1, 4)):
        rows = model.operator("EXPAND_DIMS", [rows, model.numbers(1)], shape, {}, "rows", quantization)
    return rows


FORMS = [
    by_any_batch,
    by_packed_constants,
    by_reshaped_constants,
    by_constants,
    by_another_scale,
    squeezed,
    expanded,
]


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("reshaped", FORMS)
def test_what_the_graph_does_not_show_is_counted_too(process, monkeypatch, reshaped, quantized):
    for code in ("Shape", "Pack", "Squeeze"):
        monkeypatch.setitem(flatbuffer.OPTIONS, code.upper(), f"{code}Options")
    quantization = ANY if quantized else None
    model, means = Sized(), {"keepDims": True}
    image = model.input(SHAPE, "in", quantization)
    image = model.operator("MEAN", [image, model.numbers(1, 2)], (1, 1, 1, 4), means, "m", quantization)
    data = model.finish([reshaped(model, image, quantization)], "a test")
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    network = read_tflite(data)
    assert [node.spec.kind for node in network.graph.nodes] == ["mean"]
    assert warned_of(network.warnings) == Counter(undelegated)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_file_has_one_quantized_type(process, before, after):
    """False for int8, True for uint8."""
    model = FlatbufferModel()
    first, second = (
        Quantization(np.array([scale], np.float32), 128 if unsigned else 0, unsigned=unsigned)
        for scale, unsigned in ((12 / 255, before), (6 / 255, after))
    )
    image = model.operator("QUANTIZE", [model.input(SHAPE, "in", first)], SHAPE, {}, "stored", second)
    sums = model.operator("ADD", [image, image], SHAPE, {"fusedActivationFunction": "NONE"}, "sum", second)
    data = model.finish([sums], "a test")
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    assert undelegated == ["QUANTIZE"] * (before is not after)
    assert [warning.split()[1] for warning in read_tflite(data).warnings] == undelegated
