"""The warnings are what LiteRT does: each form is written, loaded, and seen on the delegate or off it."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import TfliteFile, flatbuffer, random_weights, read_tflite, write_tflite
from mobilenas.export.delegation import delegation_warnings
from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.export.quantization import Quantization
from mobilenas.export.wiring import Wiring

FUSED = {"fusedActivationFunction": "NONE"}
SHAPE = (1, 8, 8, 4)
ANY = Quantization(np.array([12 / 255], np.float32), 0)
SHARE = Quantization(np.array([1 / 256], np.float32), -128)
PADS = np.array([[0, 0], [1, 1], [1, 1], [0, 0]], np.int32)


def pool(size: int, stride: int, activation: str = "NONE") -> dict[str, object]:
    window = {"filterHeight": size, "filterWidth": size, "strideH": stride, "strideW": stride}
    return {**window, "padding": "VALID", "fusedActivationFunction": activation}


def written(code, options=None, shape=SHAPE, count=1, constants=(), quantized=False) -> bytes:
    """A pool, which is delegated, then the operator in question."""
    quantization = ANY if quantized else None
    model = FlatbufferModel()
    image = model.operator(
        "MAX_POOL_2D", [model.input(SHAPE, "in", quantization)], SHAPE, pool(1, 1), "p", quantization
    )
    inputs = [image] * count + [model.constant(value, f"c{i}") for i, value in enumerate(constants)]
    out = SHARE if quantized and code in ("LOGISTIC", "SOFTMAX") else quantization
    return model.finish([model.operator(code, inputs, shape, options or {}, "op", out)], "a test")


FORMS = [
    ("HARD_SWISH", {}),
    ("GELU", {"options": {"approximate": False}}),
    ("RELU", {}),
    ("RELU6", {}),
    ("LOGISTIC", {}),
    ("SOFTMAX", {"options": {"beta": 1.0}}),
    ("SOFTMAX", {"options": {"beta": 2.0}}),
    ("AVERAGE_POOL_2D", {"options": pool(2, 2), "shape": (1, 4, 4, 4)}),
    ("AVERAGE_POOL_2D", {"options": pool(2, 3), "shape": (1, 3, 3, 4)}),
    ("MAX_POOL_2D", {"options": pool(2, 2), "shape": (1, 4, 4, 4)}),
    ("MAX_POOL_2D", {"options": pool(2, 3), "shape": (1, 3, 3, 4)}),
    ("MAX_POOL_2D", {"options": pool(1, 1, "RELU")}),
    ("MEAN", {"options": {"keepDims": True}, "shape": (1, 1, 1, 4), "constants": [np.array([1, 2], np.int32)]}),
    ("PAD", {"shape": (1, 10, 10, 4), "constants": [PADS]}),
    ("ADD", {"options": FUSED, "count": 2}),
    ("MUL", {"options": FUSED, "count": 2}),
    ("CONCATENATION", {"options": {"axis": 3, **FUSED}, "shape": (1, 8, 8, 20), "count": 5}),
    ("CONCATENATION", {"options": {"axis": 3, **FUSED}, "shape": (1, 8, 8, 24), "count": 6}),
    ("CONCATENATION", {"options": {"axis": 3, **FUSED}}),
    ("PAD", {"shape": (1, 10, 10, 4), "constants": [PADS.astype(np.int64)]}),
    (
        "SLICE",
        {"shape": (1, 8, 8, 2), "constants": [np.array([0, 0, 0, 1], np.int32), np.array([1, 8, 8, 2], np.int32)]},
    ),
    (
        "SLICE",
        {"shape": (1, 8, 8, 3), "constants": [np.array([0, 0, 0, 1], np.int32), np.array([1, 8, 8, -1], np.int32)]},
    ),
]


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize(("code", "form"), FORMS)
def test_a_warning_is_given_where_litert_does_not_delegate(process, monkeypatch, code, form, quantized):
    monkeypatch.setitem(flatbuffer.OPTIONS, "SOFTMAX", "SoftmaxOptions")
    data = written(code, **form, quantized=quantized)
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    warnings = read_tflite(data).warnings
    assert bool(warnings) == (code in undelegated), (warnings, undelegated)
    assert all(f"1 {code} in {'int8' if quantized else 'float32'} not delegated; instead: " in w for w in warnings)


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize(("code", "form"), [form for form in FORMS if form[0] != "SOFTMAX"])
def test_what_is_not_delegated_can_be_timed_apart_as_it_stands(process, code, form, quantized):
    network = read_tflite(written(code, **form, quantized=quantized))
    assert bool(network.other_forms) == bool(network.warnings)
    for spec, found in network.other_forms.items():
        assert spec == network.graph.nodes[-1].spec
        apart = process.request("inspect", found.file(), timeout_seconds=60)[0]
        assert (apart["operators"], apart["undelegated"]) == ([code], [code])
        (tensor,) = {(tuple(t["shape"]), t["dtype"]) for t in apart["inputs"]}
        assert tensor == (SHAPE, "int8" if quantized else "float32")


@pytest.mark.parametrize("factor", [1.0, 2.0**-9, 2.0**-11, 2.0**-17, 2.0**7, 2.0**9])
@pytest.mark.parametrize("code", ["ADD", "SUB", "MUL"])
def test_scales_far_apart(process, monkeypatch, code, factor):
    """The output's scale is 0.1, that of one input or of the product so many times that."""
    monkeypatch.setitem(flatbuffer.OPTIONS, "SUB", "SubOptions")
    step = Quantization(np.float32([0.1 if code != "MUL" else 1.0]), 0)
    other, out = Quantization(np.float32([0.1 * factor]), 0), Quantization(np.float32([0.1]), 0)
    model = FlatbufferModel()
    inputs = [model.input(SHAPE, "a", step), model.input(SHAPE, "b", other)]
    pooled = [
        model.operator("MAX_POOL_2D", [x], SHAPE, pool(1, 1), f"p{i}", quantization)
        for i, (x, quantization) in enumerate(zip(inputs, (step, other), strict=True))
    ]
    data = model.finish([model.operator(code, pooled, SHAPE, FUSED, "op", out)], "a test")
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    wiring = Wiring.of(TfliteFile.parse(data))
    assert bool(delegation_warnings(wiring)) == (code in undelegated), undelegated


STRIDES = {"strideW": 1, "strideH": 1, "dilationWFactor": 1, "dilationHFactor": 1}
KERNELS = {
    "CONV_2D": ((8, 3, 3, 4), {"padding": "VALID", **STRIDES, **FUSED}, (1, 8, 8, 8)),
    "DEPTHWISE_CONV_2D": ((1, 3, 3, 4), {"padding": "VALID", "depthMultiplier": 1, **STRIDES, **FUSED}, (1, 8, 8, 4)),
    "FULLY_CONNECTED": ((8, 400), FUSED, (1, 8)),
}


@pytest.mark.parametrize("code", KERNELS)
def test_weights_alone_in_int8(process, code):
    shape, options, out = KERNELS[code]
    axis = 3 if code == "DEPTHWISE_CONV_2D" else 0
    model = FlatbufferModel()
    padded = model.operator("PAD", [model.input(SHAPE, "in"), model.constant(PADS, "pads")], (1, 10, 10, 4), {}, "pad")
    scales = Quantization(np.full(shape[axis], 0.1, np.float32), 0, axis)
    weights = model.constant(np.ones(shape, np.int8), "weights", scales)
    bias = model.constant(np.zeros(out[-1], np.float32), "bias")
    data = model.finish([model.operator(code, [padded, weights, bias], out, options, "op")], "a test")
    network = read_tflite(data)
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    assert bool(network.warnings) == (code in undelegated), (network.warnings, undelegated)
    (found,) = network.other_forms.values()
    apart = process.request("inspect", found.file(), timeout_seconds=60)[0]
    assert apart["undelegated"] == undelegated
    assert apart["operators"][: len(found.operators)] == [part.code for part in found.operators]


@pytest.mark.parametrize("biased", [False, True])
def test_a_depthwise_convolution_without_a_bias(process, biased):
    shape, options, out = KERNELS["DEPTHWISE_CONV_2D"]
    model = FlatbufferModel()
    operands = [model.input((1, 10, 10, 4), "in"), model.constant(np.ones(shape, np.float32), "weights")]
    if biased:
        operands.append(model.constant(np.zeros(4, np.float32), "bias"))
    network = read_tflite(data := model.finish([model.operator("DEPTHWISE_CONV_2D", operands, out, options, "op")], ""))
    undelegated = process.request("inspect", data, timeout_seconds=60)[0]["undelegated"]
    assert undelegated == ["DEPTHWISE_CONV_2D"] * (not biased)
    assert [warning.split()[1] for warning in network.warnings] == undelegated
    for found in network.other_forms.values():
        assert process.request("inspect", found.file(), timeout_seconds=60)[0]["undelegated"] == undelegated


def depthwise_file(kernel: int, *, in_float: bool) -> bytes:
    """A depthwise convolution of an int8 file, computed in int8 or in float32, and a convolution in int8 behind it."""
    model, step = FlatbufferModel(), Quantization(np.full(1, 0.1, np.float32))
    shape, weights = (1, 16, 16, 4), np.arange(4 * kernel**2).reshape(1, kernel, kernel, 4) % 50
    options = {"padding": "SAME", "depthMultiplier": 1, "dilationHFactor": 1, "dilationWFactor": 1, **STRIDES, **FUSED}
    x = model.input(shape, "in", step)
    if in_float:
        x = model.operator("DEQUANTIZE", [x], shape, {}, "real", None)
        constants = [model.constant(weights.astype(np.float32), "w"), model.constant(np.zeros(4, np.float32), "b")]
        x = model.operator("DEPTHWISE_CONV_2D", [x, *constants], shape, options, "op", None)
        x = model.operator("QUANTIZE", [x], shape, {}, "stored", step)
    else:
        scales = Quantization(np.full(4, 0.1, np.float32), 0, 3)
        bias = model.constant(np.zeros(4, np.int32), "b", Quantization(np.full(4, 0.01, np.float32)))
        operands = [x, model.constant(weights.astype(np.int8), "w", scales), bias]
        x = model.operator("DEPTHWISE_CONV_2D", operands, shape, options, "op", step)
    scales = Quantization(np.full(4, 0.1, np.float32), 0, 0)
    bias = model.constant(np.zeros(4, np.int32), "b2", Quantization(np.full(4, 0.01, np.float32)))
    dense = {"padding": "SAME", "dilationHFactor": 1, "dilationWFactor": 1, **STRIDES, **FUSED}
    operands = [x, model.constant(np.ones((4, 1, 1, 4), np.int8), "w2", scales), bias]
    return model.finish([model.operator("CONV_2D", operands, shape, dense, "last", step)], "a test")


@pytest.mark.parametrize(("kernel", "in_float", "other"), [(3, False, 0), (7, True, 1), (3, True, 1), (7, False, 1)])
def test_what_is_computed_in_another_type_or_piece_than_ours_has_another_form(process, kernel, in_float, other):
    data = depthwise_file(kernel, in_float=in_float)
    network = read_tflite(data)
    assert (network.dtype, network.warnings, network.left_out) == ("int8", (), {})
    assert [str(node.spec.kind) for node in network.graph.nodes] == ["depthwise_conv2d", "conv2d"]
    assert len(network.other_forms) == other
    assert process.request("inspect", data, timeout_seconds=60)[0]["undelegated"] == []
    for spec, found in network.other_forms.items():
        assert spec.kernel_size == (kernel, kernel)
        apart = process.request("inspect", found.file(), timeout_seconds=60)[0]
        assert apart["undelegated"] == []
        assert apart["inputs"][0]["dtype"] == ("float32" if in_float else "int8")


def test_softmax_and_arithmetic_with_constants_are_left_out_and_named(monkeypatch):
    monkeypatch.setitem(flatbuffer.OPTIONS, "SOFTMAX", "SoftmaxOptions")
    assert read_tflite(written("SOFTMAX", {"beta": 1.0})).left_out == {"SOFTMAX": 1}
    scaled = read_tflite(written("MUL", {"fusedActivationFunction": "RELU6"}, constants=[np.ones(4, np.float32)]))
    assert scaled.left_out == {"MUL": 1}
    assert read_tflite(written("MUL", FUSED, constants=[np.ones((1, 1, 1, 4), np.float32)])).left_out == {"MUL": 1}
    assert [str(node.spec.kind) for node in scaled.graph.nodes] == ["max_pool2d", "relu6"]


@pytest.fixture
def strided(monkeypatch):
    """Writes a file that ends in a STRIDED_SLICE."""
    monkeypatch.setitem(flatbuffer.OPTIONS, "STRIDED_SLICE", "StridedSliceOptions")

    def write(begin, end, strides=(1, 1, 1, 1), **masks):
        constants = [np.array(values, np.int32) for values in (begin, end, strides)]
        return written("STRIDED_SLICE", masks, shape=(1, 8, 8, 2), constants=constants)

    return write


@pytest.mark.parametrize(
    ("begin", "end", "masks"),
    [
        ((0, 0, 0, 1), (1, 8, 8, 3), {}),
        ((0, 0, 0, 1), (0, 0, 0, 3), {"beginMask": 7, "endMask": 7}),
        ((0, 0, 0, -3), (0, 0, 0, -1), {"beginMask": 7, "endMask": 7}),
    ],
)
def test_a_strided_slice_of_channels_in_a_row_is_a_slice(process, strided, begin, end, masks):
    data = strided(begin, end, **masks)
    node = read_tflite(data).graph.nodes[-1]
    assert (node.spec.kind, node.spec.out_channels, node.first_channel) == ("slice", 2, 1)
    assert process.request("inspect", data, timeout_seconds=60)[0]["undelegated"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0, 0, 0, 0), (1, 8, 8, 4), (1, 1, 1, 2)), r"strides \[1, 1, 1, 2\]"),
        (((0, 2, 2, 0), (1, 6, 6, 4)), "give some of the channels"),
        (((0, 0, 0, 3), (1, 8, 8, 3)), "damaged: 0 channels"),
    ],
)
def test_other_strided_slices_are_refused(strided, arguments, message):
    with pytest.raises(InputError, match=message):
        read_tflite(strided(*arguments))


def test_a_vector_without_a_batch_is_added_to_every_pixel():
    model = FlatbufferModel()
    image = model.input(SHAPE, "in")
    axes, sizes = (model.constant(np.array(values, np.int32), str(values)) for values in ([1, 2], [4]))
    means = model.operator("MEAN", [image, axes], (1, 1, 1, 4), {"keepDims": True}, "mean")
    vector = model.operator("RESHAPE", [means, sizes], (4,), {}, "vector")
    network = read_tflite(model.finish([model.operator("ADD", [image, vector], SHAPE, FUSED, "sum")], "a test"))
    assert network.graph.nodes[-1].spec.in_shapes == ((8, 8, 4), (1, 1, 4))


def test_padv2_of_the_lowest_number_belongs_to_the_pool_behind_it(process):
    model = FlatbufferModel()
    lowest = model.constant(np.array(-np.inf, np.float32), "lowest")
    image = model.input(SHAPE, "in")
    image = model.operator("PADV2", [image, model.constant(PADS, "pads"), lowest], (1, 10, 10, 4), {}, "pad")
    network = read_tflite(
        model.finish([model.operator("MAX_POOL_2D", [image], (1, 4, 4, 4), pool(3, 2), "p")], "a test")
    )
    (node,) = network.graph.nodes
    assert (node.spec.explicit_padding, node.spec.stride) == (((1, 1), (1, 1)), (2, 2))
    assert "PADV2" in network.warnings[0]
    (found,) = network.other_forms.values()
    assert [part.code for part in found.operators] == ["PADV2", "MAX_POOL_2D"]
    assert process.request("inspect", found.file(), timeout_seconds=60)[0]["undelegated"] == ["PADV2"]


def test_an_unknown_operator_is_named():
    with pytest.raises(InputError, match=r"unknown operators: TANH; the graph has CONV_2D"):
        read_tflite(written("TANH"))


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_options_and_tensors_are_what_the_generated_schema_reads(dtype):
    graph = models.get("mobilenet_v3_small", resolution=64).graph()
    data = write_tflite(graph, random_weights(graph), dtype=dtype)
    found, wanted = TfliteFile.parse(data), schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))
    subgraph = wanted.subgraphs[0]
    assert len(found.operators) == len(subgraph.operators) > 50
    for mine, theirs in zip(found.operators, subgraph.operators, strict=True):
        assert (list(mine.inputs), list(mine.outputs)) == (list(theirs.inputs), list(theirs.outputs))
        for name, value in mine.options.items():
            enum = flatbuffer.ENUMS.get(name)
            number = getattr(theirs.builtinOptions, name, 0)
            assert (getattr(enum, value) if enum else value) == number, (mine, name)
    for mine, theirs in zip(found.tensors, subgraph.tensors, strict=True):
        assert (mine.name, list(mine.shape)) == (theirs.name.decode(), [int(size) for size in theirs.shape])
        assert getattr(schema.TensorType, mine.type) == theirs.type
        if theirs.quantization is not None and theirs.quantization.scale is not None:
            np.testing.assert_array_equal(mine.scale, theirs.quantization.scale)
            np.testing.assert_array_equal(mine.zero_point, theirs.quantization.zeroPoint)
            assert mine.axis == theirs.quantization.quantizedDimension


def test_activations_in_int16_are_refused(monkeypatch):
    monkeypatch.setattr(flatbuffer, "_activation_type", lambda quantization: np.dtype(np.int16))
    with pytest.raises(InputError, match="activations in int16 are not accepted"):
        read_tflite(written("ADD", FUSED, count=2, quantized=True))


def test_uint8_is_timed_as_uint8(process):
    quantization = Quantization(np.array([12 / 255], np.float32), 128, unsigned=True)
    model = FlatbufferModel()
    image = model.input(SHAPE, "in", quantization)
    data = model.finish([model.operator("ADD", [image, image], SHAPE, FUSED, "sum", quantization)], "a test")
    (found,) = read_tflite(data).other_forms.values()
    apart = process.request("inspect", found.file(), timeout_seconds=60)[0]
    assert [tensor["dtype"] for tensor in (*apart["inputs"], *apart["outputs"])] == ["uint8", "uint8"]
    assert apart["undelegated"] == []


def test_a_part_that_masks_give_keeps_its_masks(process):
    """Bounds of 0 that the masks leave out would be an empty image."""
    quantization = Quantization(np.array([12 / 255], np.float32), 128, unsigned=True)
    model = FlatbufferModel()
    inputs = [model.input(SHAPE, "in", quantization)]
    for name, bounds in (("begin", (0, 0, 0, 1)), ("end", (0, 0, 0, 3)), ("strides", (1, 1, 1, 1))):
        inputs.append(model.constant(np.array(bounds, np.int32), name))
    masks = {"beginMask": 7, "endMask": 7}
    data = model.finish([model.operator("STRIDED_SLICE", inputs, (1, 8, 8, 2), masks, "part", quantization)], "a test")
    (found,) = read_tflite(data).other_forms.values()
    apart = process.request("inspect", found.file(), timeout_seconds=60)[0]
    assert apart["outputs"][0]["shape"] == [1, 8, 8, 2]


def summed(slices, dilation=1, shape=(1, 12, 12, 4)) -> bytes:
    """Two depthwise convolutions of slices of an image, or of the image reshaped, added."""
    model = FlatbufferModel()
    image = model.input(shape, "in")
    options = {"padding": "VALID", "depthMultiplier": 1, "dilationHFactor": dilation, "dilationWFactor": dilation}
    total = None
    for number, (begin, size, kernel, seen, out) in enumerate(slices):
        x = image
        if seen != shape:
            x = model.operator("RESHAPE", [x, model.constant(np.array(seen, np.int32), "s")], seen, {}, "seen")
        constants = [model.constant(np.array(value, np.int32), f"b{number}") for value in (begin, size)]
        x = model.operator("SLICE", [x, *constants], size, {}, f"slice{number}")
        weights = model.constant(np.arange(np.prod(kernel), dtype=np.float32).reshape(kernel), f"w{number}")
        bias = model.constant(np.zeros(kernel[-1], np.float32), f"bias{number}")
        x = model.operator("DEPTHWISE_CONV_2D", [x, weights, bias], out, {**options, **STRIDES, **FUSED}, f"op{number}")
        total = x if total is None else model.operator("ADD", [total, x], out, FUSED, "sum")
    return model.finish([total], "a test")


@pytest.mark.parametrize(
    ("slices", "dilation", "shape"),
    [
        (  # the second piece sees the image reshaped
            [
                ((0, 0, 0, 0), (1, 5, 5, 2), (1, 5, 5, 2), (1, 8, 9, 2), (1, 1, 1, 2)),
                ((0, 5, 0, 0), (1, 1, 5, 2), (1, 1, 5, 2), (1, 9, 8, 2), (1, 1, 1, 2)),
            ],
            1,
            (1, 8, 9, 2),
        ),
        (  # a window of 40,000 x 40,000
            [
                ((0, 0, 0, 0), (1, 3, 3, 1), (1, 3, 3, 1), (1, 40000, 40000, 1), (1, 1, 1, 1)),
                ((0, 39997, 39997, 0), (1, 3, 3, 1), (1, 3, 3, 1), (1, 40000, 40000, 1), (1, 1, 1, 1)),
            ],
            1,
            (1, 40000, 40000, 1),
        ),
        (  # no dilation at all
            [
                ((0, 0, 0, 0), (1, 5, 5, 2), (1, 5, 5, 2), (1, 8, 9, 2), (1, 1, 1, 2)),
                ((0, 5, 0, 0), (1, 1, 5, 2), (1, 1, 5, 2), (1, 8, 9, 2), (1, 1, 1, 2)),
            ],
            0,
            (1, 8, 9, 2),
        ),
        (  # slices of a vector
            [
                ((0, 0), (1, 4), (1, 1, 1, 4), (1, 8), (1, 1, 1, 4)),
                ((0, 4), (1, 4), (1, 1, 1, 4), (1, 8), (1, 1, 1, 4)),
            ],
            1,
            (1, 8),
        ),
    ],
)
def test_sums_that_are_no_large_window_are_not_read_as_one(slices, dilation, shape):
    try:
        graph = read_tflite(summed(slices, dilation, shape)).graph
    except InputError:
        return
    assert [str(node.spec.kind) for node in graph.nodes].count("depthwise_conv2d") == 2


def test_a_large_window_with_weights_in_float16_is_timed_as_it_stands(process):
    model = FlatbufferModel()
    x = model.input((1, 16, 16, 4), "in")
    halves = [np.arange(196, dtype=np.float16).reshape(1, 7, 7, 4) / 100, np.zeros(4, np.float16)]
    wide = [
        model.operator("DEQUANTIZE", [model.constant(value, f"h{i}")], value.shape, {}, f"w{i}")
        for i, value in enumerate(halves)
    ]
    options = {"padding": "SAME", "depthMultiplier": 1, "dilationHFactor": 1, "dilationWFactor": 1, **STRIDES, **FUSED}
    network = read_tflite(
        model.finish([model.operator("DEPTHWISE_CONV_2D", [x, *wide], (1, 16, 16, 4), options, "op")], "a test")
    )
    assert network.dtype == "float16"
    (found,) = network.other_forms.values()
    assert process.request("inspect", found.file(), timeout_seconds=60)[0]["undelegated"] == []
