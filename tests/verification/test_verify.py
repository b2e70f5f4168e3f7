"""The gate: a good file passes, and every broken promise is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ai_edge_litert.interpreter import Interpreter

from mobilenas import models
from mobilenas.errors import InputError, VerificationError
from mobilenas.export import expected_operators, random_weights, read_tflite, write_tflite
from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.graph import GraphBuilder, OpGraph
from mobilenas.nn import GraphModule, set_weights, state_arrays
from mobilenas.runners import Failure, LiteRTProcess, Timing, TimingProtocol
from mobilenas.verification import (
    Check,
    Report,
    latency_check,
    measure_file,
    run_model,
    verify_file,
)
from mobilenas.verification.parity import agreement_check, parity_check, rounded_network

ARCH = models.get("mobilenet_v3_small", resolution=64, num_classes=10)
GRAPH = ARCH.graph()
WEIGHTS = random_weights(GRAPH)
MODEL = write_tflite(GRAPH, WEIGHTS)
IMAGES = np.random.default_rng(1).standard_normal((5, 64, 64, 3)).astype(np.float32)
IMAGE_WORDS = "float32 [1, 64, 64, 3]"
CHECKS = ["inputs", "outputs", "operators", "delegate", "size", "parity", "top-1 agreement"]


@pytest.fixture(scope="module")
def process():
    with LiteRTProcess() as running:
        yield running


def failed(report: Report) -> list[str]:
    assert not report.passed
    return [check.name for check in report.checks if not check.passed]


def test_a_good_file_passes(process):
    report = verify_file(MODEL, GRAPH, WEIGHTS, images=IMAGES, runtime=process)
    assert [check.name for check in report.checks] == CHECKS
    assert report.passed
    assert report.checks[-1].found == "5 of 5 images"
    report.require("the file")
    assert report.to_dict()["passed"] is True


def test_a_good_file_passes_where_batch_norm_blows_rounding_up(process):
    """Statistics of noise: every batch norm divides by a small deviation, so that both sides lose digits.

    Torch in float32 and LiteRT differ by 1.1e-5 here, each from float64 by 7e-6.
    """
    graph = models.get("mobilenet_v2_0.75", resolution=96).graph()
    module = GraphModule(graph)
    set_weights(module, random_weights(graph))
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    noise = np.random.default_rng(1).standard_normal((32, 96, 96, 3)).astype(np.float32)
    with torch.no_grad():
        module.train()(torch.from_numpy(noise).permute(0, 3, 1, 2).contiguous())
    weights = state_arrays(module)
    assert verify_file(write_tflite(graph, weights), graph, weights, runtime=process).passed


def test_it_starts_a_runtime_and_makes_images_if_none_are_given():
    assert verify_file(MODEL, GRAPH, WEIGHTS).passed


def test_a_borrowed_runtime_answers_for_the_next_file(process):
    assert verify_file(MODEL, GRAPH, WEIGHTS, runtime=process).passed
    other = random_weights(GRAPH, 7)
    assert verify_file(write_tflite(GRAPH, other), GRAPH, other, runtime=process).passed


def image_ranges() -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every node for `IMAGES`, from the float32 file."""
    names = ["input_0", *(node.name for node in GRAPH.nodes)]
    shown = write_tflite(replace(GRAPH, outputs=tuple(range(1, len(names)))), WEIGHTS)
    runs = [[image, *exported(shown, [image])] for image in np.split(IMAGES, len(IMAGES))]
    return {
        name: (min(float(run[i].min()) for run in runs), max(float(run[i].max()) for run in runs))
        for i, name in enumerate(names)
    }


def exported(model: bytes, inputs: list[np.ndarray]) -> list[np.ndarray]:
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs[0])
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


@pytest.mark.parametrize(("dtype", "float_io"), [("float16", False), ("int8", False), ("int8", True)])
def test_good_files_of_other_dtypes_pass(dtype, float_io, process):
    ranges = image_ranges() if dtype == "int8" else None
    model = write_tflite(GRAPH, WEIGHTS, dtype=dtype, ranges=ranges, float_io=float_io)
    settings = {"dtype": dtype, "float_io": float_io, "images": IMAGES, "runtime": process}
    report = verify_file(model, GRAPH, WEIGHTS, **settings)
    assert [check.name for check in report.checks if check.name not in ("weights", "biases")] == CHECKS
    report.require("the file")
    assert report.checks[0].found == ("int8 [1, 64, 64, 3]" if dtype == "int8" and not float_io else IMAGE_WORDS)
    assert run_model(process, model, IMAGES).dtype == np.float32
    other = random_weights(GRAPH, 1)
    wrong = ["weights", "biases", "parity"] if dtype == "int8" else ["parity"]
    assert failed(verify_file(model, GRAPH, other, **settings)) == wrong


def test_a_file_of_another_dtype(process):
    report = verify_file(MODEL, GRAPH, WEIGHTS, dtype="int8", images=IMAGES, runtime=process)
    assert failed(report) == ["inputs", "outputs", "operators", "size"]
    report = verify_file(MODEL, GRAPH, WEIGHTS, dtype="float16", images=IMAGES, runtime=process)
    assert failed(report) == ["operators", "size", "parity"]


def test_parity_by_hand():
    wanted = np.array([[0.0, 1.0], [4.0, 2.0]], np.float32)
    near = wanted + np.float32(0.19)
    assert parity_check(near, wanted, "int8").passed  # 0.19 / 4 of the range
    assert not parity_check(wanted + np.float32(0.21), wanted, "int8").passed
    assert not parity_check(near, wanted, "float16").passed
    assert not parity_check(np.full_like(wanted, np.nan), wanted, "int8").passed
    swapped = wanted[:, ::-1]
    assert [agreement_check(swapped, wanted, dtype).passed for dtype in ("float32", "int8")] == [False, True]
    assert agreement_check(swapped, wanted, "int8").found == "0 of 2 images"


def test_the_rounded_network_by_hand():
    builder = GraphBuilder((1, 1, 1), bn_epsilon=0.25)
    graph = builder.finish(builder.conv2d(builder.inputs[0], 1, name="conv"))
    names = ("weight", "batch_norm.weight", "batch_norm.bias", "batch_norm.running_mean", "batch_norm.running_var")
    values = (2.0, 1 + 2**-12, 3.0, 0.0, 0.75)
    weights = {f"conv.{name}": np.array([value], np.float32) for name, value in zip(names, values, strict=True)}
    weights["conv.weight"] = weights["conv.weight"].reshape(1, 1, 1, 1)
    found, rounded = rounded_network(graph, weights)
    assert found.nodes[0].batch_norm is None
    assert {name: value.tolist() for name, value in rounded.items()} == {"conv.weight": [[[[2.0]]]], "conv.bias": [3.0]}


def test_other_weights(process):
    report = verify_file(write_tflite(GRAPH, random_weights(GRAPH, 1)), GRAPH, WEIGHTS, runtime=process)
    assert "parity" in failed(report)
    assert set(failed(report)) <= {"parity", "top-1 agreement"}


def test_two_tensors_swapped(process):
    """Two channels of one bias: the smallest mistake that can be made."""
    name = "stages.0.0.depthwise.batch_norm.bias"
    swapped = {**WEIGHTS, name: WEIGHTS[name][::-1]}
    assert "parity" in failed(verify_file(write_tflite(GRAPH, swapped), GRAPH, WEIGHTS, runtime=process))


def test_weights_that_are_not_finite(process):
    bias, nan = WEIGHTS["head.classifier.bias"], np.full(10, np.nan, np.float32)
    broken = MODEL.replace(bias.tobytes(), nan.tobytes())
    assert broken != MODEL
    assert "parity" in failed(verify_file(broken, GRAPH, WEIGHTS, runtime=process))
    for dtype in ("float32", "float16", "int8"):
        with pytest.raises(InputError, match=r"^head\.classifier\.bias holds NaN or infinity"):
            write_tflite(GRAPH, {**WEIGHTS, "head.classifier.bias": nan}, dtype=dtype)


def test_another_network(process):
    other = models.get("mobilenet_v2", resolution=64, num_classes=10).graph()
    report = verify_file(write_tflite(other, random_weights(other)), GRAPH, WEIGHTS, runtime=process)
    assert {"operators", "parity"} <= set(failed(report))


def test_another_padding(process):
    """The same operators but for PAD, and the same weights: pixels are shifted by one."""
    other = replace(ARCH, padding="symmetric").graph()
    report = verify_file(write_tflite(other, WEIGHTS), GRAPH, WEIGHTS, runtime=process)
    assert {"operators", "parity"} <= set(failed(report))
    assert "PAD" in next(check.found for check in report.checks if check.name == "operators")


def test_another_epsilon(process):
    other = replace(ARCH, bn_epsilon=2e-3).graph()
    report = verify_file(write_tflite(other, WEIGHTS), GRAPH, WEIGHTS, runtime=process)
    assert failed(report)[0] == "parity"


def small(activation: str) -> OpGraph:
    builder = GraphBuilder((4, 4, 3))
    x = builder.conv2d(builder.inputs[0], 4, name="conv", kernel_size=3, activation=activation)
    return builder.finish(builder.fully_connected(x, 5, name="fc"))


def test_an_op_replaced(process):
    weights = random_weights(small("hard_swish"))
    report = verify_file(write_tflite(small("silu"), weights), small("hard_swish"), weights, runtime=process)
    assert {"operators", "parity"} <= set(failed(report))
    found = next(check.found for check in report.checks if check.name == "operators")
    assert "LOGISTIC" in found


def test_a_fused_activation_left_out(process):
    weights = random_weights(small("relu"))
    report = verify_file(write_tflite(small("none"), weights), small("relu"), weights, runtime=process)
    assert {"operators", "parity"} <= set(failed(report))
    found = next(check.found for check in report.checks if check.name == "operators")
    assert "CONV_2D with fusedActivationFunction NONE, not RELU" in found


@pytest.mark.parametrize(
    ("changes", "check"), [({"num_classes": 11}, "outputs"), ({"resolution": 96}, "inputs")], ids=["classes", "size"]
)
def test_other_sizes(process, changes, check):
    other = ARCH.resized(**changes).graph()
    report = verify_file(write_tflite(other, random_weights(other)), GRAPH, WEIGHTS, runtime=process)
    assert check in failed(report)
    assert [entry.name for entry in report.checks] == CHECKS[:5]  # what cannot be compared is not


def test_an_operator_outside_the_delegate(process):
    """XNNPACK leaves a concatenation of six alone; there is still exactly one delegate."""
    model = FlatbufferModel()
    image = model.input((1, 4, 4, 3), "input_0")
    negative = model.operator("RELU", [image], (1, 4, 4, 3), {}, "relu")
    joined = model.operator("CONCATENATION", [negative] * 6, (1, 4, 4, 18), {"axis": 3}, "concat")
    content = model.finish([joined], "by hand")
    builder = GraphBuilder((4, 4, 3))
    x = builder.activation(builder.inputs[0], "relu", name="relu")
    graph = builder.finish(builder.concat(*[x] * 6, name="concat"))
    report = verify_file(content, graph, {}, runtime=process)
    (found,) = [check for check in report.checks if check.name == "delegate"]
    assert not found.passed
    assert found.found == "1 delegate partitions, outside: CONCATENATION"


def test_a_network_that_ends_in_an_image(process):
    builder = GraphBuilder((6, 5, 3))
    graph = builder.finish(builder.conv2d(builder.inputs[0], 4, name="conv", kernel_size=3))
    weights = random_weights(graph)
    assert verify_file(write_tflite(graph, weights), graph, weights, runtime=process).passed


def test_a_network_that_ends_in_a_mean(process):
    builder = GraphBuilder((6, 5, 3))
    graph = builder.finish(builder.mean(builder.conv2d(builder.inputs[0], 4, name="conv"), name="pool"))
    weights = random_weights(graph)
    assert verify_file(write_tflite(graph, weights), graph, weights, runtime=process).passed


@pytest.mark.parametrize("content", [b"", b"TFL3", MODEL[:15], b"PK\x03\x04" + bytes(100), bytes(1000)])
def test_what_is_no_tflite_file(content, process):
    with pytest.raises(InputError, match="not a TFLite file"):
        verify_file(content, GRAPH, WEIGHTS, runtime=process)


def test_a_file_of_eight_bytes_is_too_short():
    with pytest.raises(InputError, match="8 bytes are too short"):
        read_tflite(MODEL[:8])


@pytest.mark.parametrize(
    "content",
    [MODEL[: len(MODEL) // 2], MODEL[:64], MODEL[:8] + bytes(len(MODEL) - 8), b"\x10\0\0\0TFL3" + b"\xff" * 500],
    ids=["half", "start", "zeros", "ones"],
)
def test_corrupt_bytes(content, process):
    """LiteRT is not even asked."""
    with pytest.raises(InputError, match="damaged"):
        verify_file(content, GRAPH, WEIGHTS, runtime=process)


def test_a_tensor_that_no_network_of_this_size_has(process):
    builder = GraphBuilder((600, 600, 3))
    graph = builder.finish(builder.max_pool2d(builder.inputs[0], kernel_size=1, name="pool"))
    huge = write_tflite(graph, {})
    with pytest.raises(VerificationError, match=r"has the shape \[1, 600, 600, 3\]: more than 16 times"):
        verify_file(huge, small("relu"), random_weights(small("relu")), runtime=process)


def test_every_way_to_cut_or_flip_a_file_is_an_error_or_a_failed_check(process):
    graph = small("relu")
    weights = random_weights(graph)
    model = write_tflite(graph, weights)
    rng = np.random.default_rng(0)
    caught = 0
    for _ in range(40):
        broken = bytearray(model)
        for place in rng.integers(8, len(model), 12):
            broken[place] ^= 0xFF
        try:
            caught += not verify_file(bytes(broken), graph, weights, runtime=process).passed
        except (VerificationError, InputError):
            caught += 1
    assert caught >= 30  # some bytes are padding or names


def test_outputs_of_more_images_than_one_batch(process):
    images = np.random.default_rng(2).standard_normal((70, 64, 64, 3)).astype(np.float32)
    found = run_model(process, MODEL, images)
    assert found.shape == (70, 10)
    np.testing.assert_array_equal(found[66], run_model(process, MODEL, images[66:67])[0])


def timing(latency_us: float) -> Timing:
    return Timing(latency_us, 0.0, latency_us, latency_us, runs=5, visits=1, delegates=1, visit_us=(latency_us,))


@pytest.mark.parametrize(("latency_us", "passed"), [(9_999.0, True), (10_000.0, True), (10_001.0, False)])
def test_latency_check(latency_us, passed):
    check = latency_check(timing(latency_us), 10.0)
    assert (check.name, check.passed, check.wanted) == ("latency", passed, "at most 10 ms")
    assert check.found == ("10 ms" if latency_us > 9_999.5 else "9.999 ms")


class FakeRunner:
    target_protocol = TimingProtocol()

    def __init__(self, answer):
        self.answer = answer

    def measure(self, models, protocol):
        return [self.answer for _ in models]


def test_measure_file():
    assert measure_file(MODEL, FakeRunner(timing(5.0))).latency_us == 5.0
    with pytest.raises(VerificationError, match="signal 11"):
        measure_file(MODEL, FakeRunner(Failure("signal 11")))


def test_a_report_demands():
    good, bad = Check("inputs", True, "a", "a"), Check("parity", False, "0.5", "1e-05")
    Report((good,)).require("x.tflite")
    report = Report((good, bad))
    assert not report.passed
    with pytest.raises(VerificationError) as error:
        report.require("x.tflite")
    assert str(error.value) == "x.tflite: parity: 0.5; promised: 1e-05"
    assert report.to_dict() == {
        "passed": False,
        "checks": [
            {"name": "inputs", "passed": True, "found": "a", "wanted": "a"},
            {"name": "parity", "passed": False, "found": "0.5", "wanted": "1e-05"},
        ],
    }


def test_expected_operators_of_the_small_network():
    assert expected_operators(small("silu")) == ["CONV_2D", "LOGISTIC", "MUL", "FULLY_CONNECTED"]
