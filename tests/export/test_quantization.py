"""Scales, zero points and stored constants, against numbers worked out by hand."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import InputError
from mobilenas.export import write_tflite
from mobilenas.export.quantization import quantization, quantized_constant, quantized_kernel
from mobilenas.export.ranges import NOMINAL, QuantizationPlan
from mobilenas.graph import GraphBuilder, OpGraph

HALF = quantization(-64.0, 63.5)


@pytest.mark.parametrize(
    ("bounds", "scale", "zero_point"),
    [
        ((-1.0, 3.0), 4 / 255, -64),  # -128 + 1 / (4 / 255) = -64.25
        ((0.0, 6.0), 6 / 255, -128),
        ((0.0, 255 / 256), 1 / 256, -128),  # what TFLite demands of LOGISTIC
        ((-2.55, 0.0), 0.01, 127),
        ((-64.0, 63.5), 0.5, 0),
    ],
)
def test_quantization_by_hand(bounds, scale, zero_point):
    found = quantization(*bounds)
    assert found.scale.tolist() == [np.float32(scale)]
    assert found.zero_point == zero_point


def test_values_by_hand():
    values = np.array([-1.0, 0.0, 3.0, 1.0, 100.0, -1e38], np.float32)
    assert quantization(-1.0, 3.0).stored(values).tolist() == [-128, -64, 127, 0, 127, -128]
    stored, found = quantized_constant(np.array([0.5, 2.55], np.float32))
    assert (stored.tolist(), found.zero_point) == ([-78, 127], -128)
    stored, found = quantized_constant(np.zeros(2, np.float32))
    assert stored.tolist() == [found.zero_point] * 2


@given(st.floats(-1e6, 0), st.floats(0, 1e6), st.floats(0, 1))
def test_values_come_back_within_half_a_step_and_zero_exactly(low, high, share):
    if high - low < 1e-6:
        return
    found = quantization(low, high)
    value = np.array([low + share * (high - low), 0.0])
    back = (found.stored(value).astype(np.float64) - found.zero_point) * float(found.scale[0])
    assert abs(back[0] - value[0]) <= 1.001 * float(found.scale[0])  # half a step, and half for the zero point
    assert back[1] == 0


@pytest.mark.parametrize("axis", [0, 3])
def test_kernel_by_hand(axis):
    """Largest weights 127 / 128 and 127 / 256: scales 2**-7 and 2**-8; the input's is 1/2."""
    weight = np.array([[127 / 128, -0.5], [127 / 256, 0.125]], np.float32)
    shaped = weight.reshape(2, 1, 1, 2) if axis == 0 else weight.T.reshape(1, 1, 2, 2)
    kernel = quantized_kernel(shaped, np.array([1.0, -3.0], np.float32), axis, HALF, HALF)
    stored = kernel.weight.reshape(2, 2) if axis == 0 else kernel.weight.reshape(2, 2).T
    assert stored.tolist() == [[127, -64], [127, 32]]
    assert (kernel.weight.dtype, kernel.bias.dtype) == (np.int8, np.int32)
    assert kernel.weight_quantization.scale.tolist() == [2.0**-7, 2.0**-8]
    assert (kernel.weight_quantization.axis, kernel.weight_quantization.zero_point) == (axis, 0)
    assert kernel.bias_quantization.scale.tolist() == [2.0**-8, 2.0**-9]
    assert kernel.bias.tolist() == [256, -1536]


def test_a_channel_without_weights_keeps_its_bias():
    """The smallest scale whose bias is 2**30: 0.5 / (0.5 * 2**30)."""
    kernel = quantized_kernel(np.zeros((1, 1, 1, 1), np.float32), np.array([0.5], np.float32), 0, HALF, HALF)
    assert kernel.weight_quantization.scale.tolist() == [2.0**-30]
    assert kernel.bias.tolist() == [2**30]


def joined() -> OpGraph:
    builder = GraphBuilder((4, 4, 2))
    x = builder.conv2d(builder.inputs[0], 2, name="conv", activation="relu6")
    y = builder.pad(x, ((1, 1), (1, 1)), name="pad")
    z = builder.activation(y, "sigmoid", name="gate")
    return builder.finish(builder.concat(y, z, name="concat"), builder.mean(z, name="mean"))


RANGES = {"input_0": (-1.0, 1.0), "conv": (0.0, 5.0), "mean": (0.2, 0.3), "pad": (9.0, 9.0), "concat": (9.0, 9.0)}


def test_what_shares_a_scale_by_hand():
    plan = QuantizationPlan(joined(), [(1.0, 0.0)] + [(0.0, 0.0)] * 4, RANGES)
    results = [plan.result(node, 0) for node in range(5)]
    assert plan.input(0).scale.tolist() == [np.float32(2 / 255)]
    assert results[0] is results[1] is results[3]  # conv, pad and concat
    assert plan.result(2, 1) is results[0]  # the gate behind QUANTIZE, which is joined with them
    assert results[0].scale.tolist() == [np.float32(5 / 255)]
    assert (results[2].scale.tolist(), results[2].zero_point) == ([1 / 256], -128)  # LOGISTIC
    assert results[4].scale.tolist() == [np.float32(0.3 / 255)]  # 0 is always held


def test_nominal_ranges_and_fused_activations():
    plan = QuantizationPlan(joined(), [(1.0, 0.0)] + [(0.0, 0.0)] * 4, None)
    assert NOMINAL == (-6.0, 6.0)
    assert plan.input(0).scale.tolist() == [np.float32(12 / 255)]
    assert (plan.result(0, 0).scale.tolist(), plan.result(0, 0).zero_point) == ([np.float32(6 / 255)], -128)


def test_a_range_that_xnnpack_would_refuse_is_widened():
    """An average of 1/512 of its input would have an input scale of 510 times its own."""
    builder = GraphBuilder((8, 8, 2))
    graph = builder.finish(builder.mean(builder.inputs[0], name="mean"))
    plan = QuantizationPlan(graph, [(0.0, 0.0)], {"input_0": (-1.0, 1.0), "mean": (0.0, 2**-9)})
    ratio = plan.input(0).scale[0] / plan.result(0, 0).scale[0]
    assert ratio == pytest.approx(2**6.9, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conv": None}, "'conv' is missing"),
        ({"input_0": None}, "'input_0' is missing"),
        ({"mean": (float("nan"), 1.0)}, "'mean' is nan .. 1"),
        ({"mean": (0.0, float("inf"))}, "'mean' is 0 .. inf"),
        ({"conv": (2.0, 1.0)}, "'conv' is 2 .. 1"),
    ],
)
def test_ranges_that_cannot_be(change, words):
    ranges = {name: bounds for name, bounds in {**RANGES, **change}.items() if bounds}
    weights = {name: np.ones(shape, np.float32) for name, shape in joined().state_shapes().items()}
    with pytest.raises(InputError, match=words):
        write_tflite(joined(), weights, dtype="int8", ranges=ranges)


def test_what_stands_in_the_file():
    """The tensors of an int8 file as the schema holds them: types, scales, axes, and versions of operators."""
    graph = joined()
    weights = {name: np.ones(shape, np.float32) for name, shape in graph.state_shapes().items()}
    root = schema.Model.GetRootAsModel(write_tflite(graph, weights, dtype="int8", ranges=RANGES), 0)
    subgraph = root.Subgraphs(0)
    tensors = {subgraph.Tensors(i).Name().decode(): subgraph.Tensors(i) for i in range(subgraph.TensorsLength())}
    weight, bias = tensors["conv.weight"], tensors["conv.bias"]
    assert (weight.Type(), bias.Type()) == (schema.TensorType.INT8, schema.TensorType.INT32)
    assert (weight.Quantization().ScaleLength(), weight.Quantization().QuantizedDimension()) == (2, 0)
    scales = weight.Quantization().ScaleAsNumpy() * tensors["input_0"].Quantization().Scale(0)
    np.testing.assert_allclose(bias.Quantization().ScaleAsNumpy(), scales, rtol=1e-6)
    assert tensors["conv"].Type() == tensors["concat"].Type() == schema.TensorType.INT8
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [root.OperatorCodes(i) for i in range(root.OperatorCodesLength())]
    assert {names[code.BuiltinCode()]: code.Version() for code in codes} == {
        "CONV_2D": 3,
        "PAD": 2,
        "LOGISTIC": 2,
        "QUANTIZE": 1,
        "CONCATENATION": 2,
        "MEAN": 2,
    }
