"""export ends in the gate; verify compares accuracy, size and the promised latency."""

import json
import shlex
from dataclasses import replace

import pytest

DATA = ["--data", "digits"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small network after 14 epochs of digits at 16 pixels: MODEL and --weights."""
    from mobilenas.arch import Arch
    from mobilenas.nn import GraphModule, initialize, save_weights
    from mobilenas.training import default_recipe, load_data, train

    folder = tmp_path_factory.mktemp("trained")
    block = {"type": "mbconv", "out_channels": 24, "kernel_size": 3, "stride": 1, "expanded_channels": 48}
    document = {
        "name": "small",
        "resolution": 16,
        "num_classes": 10,
        "stem": {"type": "conv_bn_act", "out_channels": 16, "kernel_size": 3, "stride": 1, "activation": "relu"},
        "stages": [[{**block, "activation": "hard_swish", "se_channels": 8, "se_gate": "hard_sigmoid"}]],
        "head": {"type": "conv_pool_linear", "out_channels": 64, "activation": "relu"},
    }
    (folder / "arch.json").write_text(json.dumps(document))
    module, data = GraphModule(Arch.load(folder / "arch.json").graph()), load_data("digits", resolution=16)
    initialize(module, 0)
    train(module, data, default_recipe(len(data.train), 16, 14), seed=0, judge_epochs=False)
    save_weights(module, folder / "weights.safetensors")
    return [folder / "arch.json", "--weights", folder / "weights.safetensors"]


def test_int8_is_quantized_with_a_stated_sample_and_checked(answer, mobilenas, trained, tmp_path):
    out, model, weights = tmp_path / "a.tflite", trained[0], trained[1:]
    document = answer(
        "export", *trained, *DATA, "--dtype", "int8", "--calibration-images", "64", "--max-drop", "0.02", "--out", out
    )
    assert document["calibration"] == {"data": "digits", "images": 64, "split": "train", "seed": 0}
    assert {"name", "kind", "own", "total"} == set(document["layers"][0])
    assert document["verification"]["passed"] is True
    assert document["size_bytes"] == out.stat().st_size
    against = ["verify", out, "--against", model, *weights, "--dtype", "int8"]
    report = answer(*against, *DATA, "--max-drop", "0.02")
    assert [check["name"] for check in report["checks"]][-6:] == [
        "size",
        "metadata",
        "weights",
        "biases",
        "top-1 agreement",
        "accuracy",
    ]
    assert mobilenas(*against, "--max-size-mb", "0.001")[0] == 5
    assert mobilenas(*against, "--max-size-mb", "1")[0] == 0
    code, text, _ = mobilenas(
        "export", *trained, *DATA, "--dtype", "int8", "--float-io", "--max-drop", "0.02", "--out", tmp_path / "b.tflite"
    )
    assert code == 0
    assert "quantized with 256 training images of digits (seed 0)" in text
    assert "layers that lose most" in text
    assert mobilenas(*against[:1], tmp_path / "b.tflite", *against[2:], "--float-io")[0] == 0


@pytest.fixture
def clipped(monkeypatch):
    """Ranges a hundredth of what they should be."""
    from mobilenas import quantization

    original = quantization.quantize

    def narrow(graph, weights, images):
        found = original(graph, weights, images)
        return replace(found, ranges={name: (low / 100, high / 100) for name, (low, high) in found.ranges.items()})

    monkeypatch.setattr(quantization, "quantize", narrow)


def test_a_file_that_loses_too_much_is_not_written(refused, clipped, trained, tmp_path):
    bad = [*trained, *DATA, "--dtype", "int8", "--calibration-images", "16"]
    text = refused(5, "export", *bad, "--out", tmp_path / "a.tflite")
    assert "a.tflite is not written: top-1 agreement" in text
    assert "give --fine-tune 4" in text
    assert list(tmp_path.iterdir()) == [tmp_path / "home"]


def test_fine_tuned(answer, trained, tmp_path):
    out = tmp_path / "a.tflite"
    document = answer(
        "export", *trained, *DATA, "--dtype", "int8", "--fine-tune", "1", "--max-drop", "0.1", "--out", out
    )
    assert document["steps"][-1].startswith("fine-tuning of 1 epochs")
    assert document["fine_tuned"] is True


@pytest.fixture
def harmful(monkeypatch):
    """Fine-tuning that turns the classifier round and is kept."""
    from mobilenas import quantization

    def turned(found, data, recipe, **_):
        weights = {**found.weights, "head.classifier.weight": -found.weights["head.classifier.weight"]}
        return replace(found, weights=weights, fine_tuned=True)

    monkeypatch.setattr(quantization, "fine_tuned", turned)


def test_a_fine_tuned_file_that_fails_gives_way_to_the_plain_one(mobilenas, harmful, trained, tmp_path):
    plain, out = tmp_path / "plain.tflite", tmp_path / "a.tflite"
    settings = ["export", *trained, *DATA, "--dtype", "int8", "--max-drop", "0.05"]
    assert mobilenas(*settings, "--out", plain)[0] == 0
    code, text, notes = mobilenas(*settings, "--fine-tune", "1", "--out", out)
    assert code == 0
    assert out.read_bytes() == plain.read_bytes()
    assert "is the file without fine-tuning: fine-tuning of 1 epochs did not pass (weights: 0 % in head." in notes
    assert "--fine-tuned" not in text


def test_where_neither_passes_the_advice_says_so(refused, clipped, harmful, trained, tmp_path):
    settings = [*trained, *DATA, "--dtype", "int8", "--fine-tune", "1", "--out", tmp_path / "a.tflite"]
    assert "without --fine-tune it fails too; give more epochs of it" in refused(5, "export", *settings)


def test_onnx(answer, refused, trained, tmp_path):
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    out = tmp_path / "a.onnx"
    document = answer("export", *trained, *DATA, "--format", "onnx", "--out", out)
    assert [check["name"] for check in document["verification"]["checks"]] == [
        "opset",
        "inputs",
        "outputs",
        "metadata",
        "parity",
        "top-1 agreement",
        "accuracy",
    ]
    verify = ["verify", out, "--against", *trained]
    assert answer(*verify)["passed"] is True
    assert "is float32 and not timed" in refused(2, *verify, "--dtype", "int8")
    out.write_bytes(out.read_bytes()[:100])
    assert "not an ONNX file" in refused(2, *verify)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--format", "onnx", "--dtype", "int8"], "onnx files are float32"),
        (["--format", "onnx", "--out", "net.tflite"], "net.tflite would be of the format onnx"),
        (["--calibration-images", "7"], "--calibration-images belongs to --dtype int8 with --data"),
        (["--max-drop", "0.5"], "--max-drop belongs to --data"),
        (["--seed", "3"], "--seed belongs to --dtype int8 with --data"),
        (["--float-io"], "--float-io belongs to int8"),
        (["--fine-tune", "2"], "--fine-tune belongs to --dtype int8 with --data"),
        (["--max-drop", "2"], "max_drop: 2.0 is not accepted"),
        (["--seed", "-1"], "seed: -1 is not accepted"),
        (["--calibration-images", "1"], "calibration_images: 1 is not accepted"),
    ],
)
def test_options_that_say_nothing_are_refused(refused, tiny, tmp_path, arguments, text):
    assert text in refused(2, "export", tiny, "--out", tmp_path / "a.tflite", *arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--max-drop", "0.02"], "--max-drop belongs to --data"),
        (["--max-drop", "nan"], "max_drop: nan is not accepted"),
        (["--dtype", "int9"], "unknown dtype 'int9'"),
        (["--fine-tuned"], "--fine-tuned belongs to int8"),
    ],
)
def test_verify_refuses_what_says_nothing(refused, tiny, tmp_path, arguments, text):
    (tmp_path / "a.tflite").write_bytes(b"not looked at")
    assert text in refused(2, "verify", tmp_path / "a.tflite", "--against", tiny, *arguments)


def test_the_command_that_checks_again_is_complete(mobilenas, trained, tmp_path):
    out = tmp_path / "a b.tflite"
    given = [*trained, *DATA, "--dtype", "int8", "--float-io", "--max-drop", "0.05"]
    code, text, _ = mobilenas("export", *given, "--out", out)
    assert code == 0
    command = shlex.split(text.splitlines()[-1].partition("check it again: ")[2])
    assert command[:2] == ["mobilenas", "verify"]
    assert mobilenas(*command[1:])[0] == 0
    model = command.index("--weights") + 1
    assert mobilenas("verify", out, "--against", trained[0], "--dtype", "int8", "--float-io")[0] == 5  # random weights
    assert command[model] == str(trained[2])


@pytest.mark.parametrize("damage", ["labels", "normalisation", "archive"])
def test_labels_and_normalisation_are_those_of_the_data(mobilenas, trained, tmp_path, monkeypatch, damage):
    from mobilenas.verification import checked_export

    original = checked_export.metadata_of

    def wrong(data, arch):
        found = original(data, arch)
        other = {"mean": (0.5, 0.5, 0.5)} if damage == "normalisation" else {"labels": found.labels[::-1]}
        return found if damage == "archive" else replace(found, **other)

    out = tmp_path / "a.tflite"
    with monkeypatch.context() as patch:
        patch.setattr(checked_export, "metadata_of", wrong)
        assert mobilenas("export", *trained, *DATA, "--no-verify", "--out", out)[0] == 0
    if damage == "archive":
        out.write_bytes(out.read_bytes().replace(b"PK", b"XX"))
    code, text, _ = mobilenas("verify", out, "--against", *trained, *DATA, "--json")
    assert code == 5
    (check,) = [check for check in json.loads(text)["checks"] if not check["passed"]]
    assert check["name"] == "metadata"
    words = {"labels": "class 0 is '9'", "normalisation": "mean 0.500", "archive": "labels.txt cannot be read"}
    assert words[damage] in check["found"]


def test_without_verify_no_runtime_sees_the_file(answer, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("mobilenas.verification.verify.LiteRTProcess", None)
    document = answer("export", tiny, "--no-verify", "--out", tmp_path / "a.tflite")
    assert "verification" not in document
    assert document["size_bytes"] == (tmp_path / "a.tflite").stat().st_size


def test_data_of_another_network(refused, tmp_path):
    text = refused(2, "export", "mobilenet_v3_small", *DATA, "--out", tmp_path / "a.tflite")
    assert "has 10 classes at 224 pixels, mobilenet_v3_small has 1000 at 224" in text


def test_the_promised_latency_is_the_predicted_one(mobilenas, answer, refused, table, tiny, tmp_path):
    """The fake device takes a microsecond a thousand bytes of file, its table knows the weights alone."""
    out = tmp_path / "a.tflite"
    answer("export", tiny, "--out", out)
    verify = ["verify", out, "--against", tiny, "--device", "fake"]
    high_ms = answer("predict", tiny, "--device", "fake", "--no-measure")["high_ms"]
    code, text, _ = mobilenas(*verify, "--json")
    latency = json.loads(text)["checks"][-1]
    assert latency["wanted"] == f"at most {high_ms:g} ms"
    assert (code == 0) == latency["passed"] == (out.stat().st_size / 1e6 <= high_ms)
    assert "has no float16 table to promise a latency" in refused(2, *verify, "--dtype", "float16")


def test_help_says_which_format_to_use_when(mobilenas):
    _, text, _ = mobilenas("export", "--help")
    words = " ".join(text.split())
    for part in ("for Android, iOS and boards", "opset 17", "half the size of float32", "with --data it loses up to"):
        assert part in words
