"""`module:function` in the commands."""

import importlib
import json
import sys

import pytest
import torch

from mobilenas.models import once_for_all
from mobilenas.nn.tracing import foreign

SOURCE = """
import torch
from torch import nn

class Shuffled(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.branch = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        x = self.stem(x)
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.branch(b)], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.fc(x.mean((2, 3)))

def small():
    return Shuffled()

class Smooth(nn.Module):
    def forward(self, x):
        return nn.functional.mish(x)

def smooth():
    return Smooth()

class Two(Shuffled):
    def forward(self, x):
        return self.stem(x).mean((2, 3)), super().forward(x)

def two():
    return Two()

def number():
    return 3

def broken():
    raise RuntimeError("no disk")
"""


@pytest.fixture
def own(tmp_path):
    """A module in the current folder."""
    (tmp_path / "own_networks.py").write_text(SOURCE)
    return "own_networks:small@16"


@pytest.mark.parametrize("settings", [["--dtype", "float32"], ["--dtype", "int8"], ["--dtype", "int8", "--no-verify"]])
def test_several_outputs_are_refused_alike(refused, own, tmp_path, settings):
    text = refused(2, "export", "own_networks:two@16", *settings, "--out", tmp_path / "a.tflite")
    assert "the network gives 2 outputs" in text


def test_every_command(answer, own, table, tmp_path) -> None:
    document = answer("info", own)
    assert (document["name"], document["resolution"], document["num_classes"]) == ("small", 16, 10)
    # 8 * 27 weights and 16 of batch norm; 4 * 9 + 4; 8 * 10 + 10
    assert document["params"] == 232 + 40 + 90
    assert answer("predict", own, "--device", "fake")["latency_ms"] > 0
    path = tmp_path / "own.tflite"
    answer("export", own, "--out", path)
    assert all(check["passed"] for check in answer("verify", path, "--against", own)["checks"])


def test_weights_of_its_own_are_loaded(answer, mobilenas, own, tmp_path) -> None:
    answer("info", own)
    from own_networks import Shuffled

    torch.manual_seed(7)
    torch.save(Shuffled().state_dict(), tmp_path / "own.pth")
    path = tmp_path / "own.tflite"
    answer("export", own, "--weights", "own.pth", "--out", path)
    assert all(c["passed"] for c in answer("verify", path, "--against", own, "--weights", "own.pth")["checks"])
    code, out, _ = mobilenas("verify", path, "--against", own, "--json")
    assert code == 5  # against the weights that the function gives
    assert not all(check["passed"] for check in json.loads(out)["checks"])


def test_training_ends_in_a_graph_file_that_is_a_model(answer, own, tmp_path) -> None:
    answer("train", own, "--data", "digits", "--resolution", "16", "--epochs", "1", "--out", "run")
    weights = ["--weights", "run/weights.safetensors"]
    assert answer("info", "run/arch.json")["params"] == 362
    for model in ("run/arch.json", own):
        answer("export", model, *weights, "--out", "trained.tflite")
        assert all(c["passed"] for c in answer("verify", "trained.tflite", "--against", model, *weights)["checks"])


def test_the_same_random_weights_every_time(own, answer) -> None:
    answer("info", own)
    from mobilenas.nn.tracing import loading

    first = foreign(own).weights["fc.weight"]
    loading._traced.cache_clear()
    assert (foreign(own).weights["fc.weight"] == first).all()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("own_networks:smooth@16", "aten.mish cannot be expressed in an op graph at "),
        ("own_networks:smooth@16", "mobilenas export --via litert-torch"),
        ("own_networks:smooth@16", "return nn.functional.mish(x)"),
        ("own_networks:number", "gives 3, which is no torch.nn.Module"),
        ("own_networks:broken", "own_networks:broken() failed: RuntimeError: no disk"),
        ("own_networks:absent", "cannot find own_networks:absent"),
        ("no_such_module:f", "cannot find no_such_module:f"),
        ("own_networks:small@0", "'0' pixels are not accepted"),
        ("own_networks:small@big", "'big' pixels are not accepted"),
        (":small", "give MODULE:FUNCTION"),
        (".own_networks:small", "cannot find .own_networks:small: .own_networks is relative; give MODULE:FUNCTION"),
    ],
)
def test_what_cannot_be_traced(refused, own, model, said) -> None:
    assert said in refused(2, "info", model)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("1 +", "importing broken_on_import failed: SyntaxError: invalid syntax"),
        ("1 / 0", "importing broken_on_import failed: ZeroDivisionError: division by zero"),
        ("import sys; sys.exit(7)", "importing broken_on_import failed: SystemExit: 7"),
        ("import sys; f = sys.exit", "broken_on_import:f() failed: SystemExit: "),
    ],
)
def test_code_that_stops_is_one_line(refused, tmp_path, monkeypatch, source, said) -> None:
    (tmp_path / "broken_on_import.py").write_text(source)
    monkeypatch.delitem(sys.modules, "broken_on_import", raising=False)
    importlib.invalidate_caches()
    answered = refused(2, "info", "broken_on_import:f")
    assert said in answered
    assert len(answered.splitlines()) == 1


def test_another_resolution_is_traced_anew(refused, own) -> None:
    said = refused(2, "train", own, "--data", "digits", "--resolution", "32", "--out", "run")
    assert "module:function@32" in said


def test_weights_that_do_not_fit_are_named(refused, own, tmp_path) -> None:
    torch.save({"fc.weight": torch.zeros(3, 8)}, tmp_path / "other.pth")
    said = refused(2, "export", own, "--weights", "other.pth", "--out", "x.tflite")
    assert "stem.0.weight is missing" in said
    assert not (tmp_path / "x.tflite").exists()


def test_a_net_config_is_a_model(answer, tmp_path) -> None:
    conv = {"out_channels": 8, "kernel_size": 3, "stride": 2, "act_func": "relu6"}
    config = {
        "name": "ProxylessNASNets",
        "first_conv": conv,
        "blocks": [{"conv": {**conv, "name": "MBConvLayer", "in_channels": 8, "expand_ratio": 1}}],
        "feature_mix_layer": {**conv, "kernel_size": 1, "stride": 1},
        "classifier": {"out_features": 10, "dropout_rate": 0},
    }
    (tmp_path / "net.config").write_text(json.dumps(config))
    assert once_for_all.load_net_config(tmp_path / "net.config").padding == "symmetric"
    assert answer("info", "net.config")["num_classes"] == 10


def test_pretrained_weights_in_export_and_verify(answer, mobilenas, tmp_path) -> None:
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    torch.save(mobilenet_v3_small().state_dict(), tmp_path / "theirs.pth")
    arguments = ["--weights", "theirs.pth"]
    code, _, err = mobilenas("export", "mobilenet_v3_small", *arguments, "--out", "x.tflite")
    assert code == 0
    assert "theirs.pth is read as torchvision's mobilenet_v3_small: symmetric padding" in err
    report = answer("verify", "x.tflite", "--against", "mobilenet_v3_small", *arguments)
    assert all(check["passed"] for check in report["checks"])


def test_pretrained_weights_in_training_with_other_classes(answer, tmp_path) -> None:
    from torchvision.models import mobilenet_v3_small

    torch.manual_seed(0)
    torch.save(mobilenet_v3_small().state_dict(), tmp_path / "theirs.pth")
    answer(
        *("train", "mobilenet_v3_small", "--weights", "theirs.pth", "--data", "digits"),
        *("--resolution", "32", "--epochs", "1", "--out", "run"),
    )
    assert json.loads((tmp_path / "run" / "arch.json").read_text())["padding"] == "symmetric"


def without(monkeypatch, name: str) -> None:
    """As if a library were not installed."""
    monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["own_networks:smooth@16", "--via", "litert"], "litert-torch"),
        (["tiny.json", "--via", "litert-torch"], "takes a module:function"),
        (["own_networks:smooth@16", "--via", "litert-torch", "--dtype", "float16"], "leave out --dtype float16"),
        (
            ["own_networks:smooth@16", "--via", "litert-torch", "--format", "onnx", "--out", "x.onnx"],
            "leave out --format onnx",
        ),
        (["own_networks:smooth@16", "--via", "litert-torch", "--data", "digits"], "leave out --data"),
    ],
)
def test_what_a_converter_does_not_take(refused, own, tiny, arguments, said) -> None:
    assert said in refused(2, "export", "--out", "x.tflite", *arguments)


def test_a_converter_promises_no_latency(refused, own, table) -> None:
    said = refused(2, "verify", "own_networks.py", "--against", own, "--via", "litert-torch", "--device", "fake")
    assert "no latency was promised of what --via litert-torch writes; give --target-ms" in said


def test_a_converter_that_is_not_installed(refused, own, monkeypatch, tmp_path) -> None:
    without(monkeypatch, "litert_torch")
    for arguments in (["export", own, "--out", "x.tflite"], ["verify", "own_networks.py", "--against", own]):
        said = refused(2, *arguments, "--via", "litert-torch")
        assert said == 'error: litert_torch is not installed; run: pip install "mobilenas[litert-torch]"\n'
    assert not (tmp_path / "x.tflite").exists()


@pytest.mark.slow
def test_the_converter_takes_what_cannot_be_traced(answer, mobilenas, own, tmp_path) -> None:
    pytest.importorskip("litert_torch", reason="the extra litert-torch is not installed")
    model, via = "own_networks:smooth@16", ["--via", "litert-torch"]
    document = answer("export", model, *via, "--out", "x.tflite")
    assert document["verification"]["passed"]
    assert document["size_bytes"] == (tmp_path / "x.tflite").stat().st_size
    assert answer("verify", "x.tflite", "--against", model, *via)["passed"]
    (tmp_path / "small.tflite").write_bytes((tmp_path / "x.tflite").read_bytes())
    code, _, err = mobilenas("verify", "small.tflite", "--against", own, *via)
    assert code == 5
    assert "outputs: float32 [1, 16, 16, 3]; promised: float32 [1, 10]" in err
