"""What goes wrong is said in a line or two, with the documented exit code, and leaves nothing half-written."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from mobilenas.cli import main
from mobilenas.run import SearchSettings
from mobilenas.run.folder import RunFolder

SEARCH = ["search", "--device", "fake", "--data", "digits", "--resolution", "16", "--target-ms", "3"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "mobilnet_v2"], "did you mean: mobilenet_v2"),
        (["info", "nowhere.json"], "cannot read architecture file"),
        (["info", "net.tflite"], "cannot read net.tflite"),
        (["info", "file.tflite"], "not a TFLite file"),
        (["predict", "file.tflite", "--device", "fake"], "not a TFLite file"),
        (["export", "net.tflite", "--out", "x.tflite"], "architecture file"),
        (["info"], "--help"),
        (["inform", "mobilenet_v2"], "--help"),
        (["info", "mobilenet_v2", "--colour"], "--help"),
        (["predict", "mobilenet_v2", "--device", "toaster"], "unknown device 'toaster'"),
        (["predict", "mobilenet_v2", "--device", "nowhere.toml"], "cannot read"),
        (["predict", "mobilenet_v2", "--device", "fake", "--no-measure"], "mobilenas profile"),
        (["predict", "mobilenet_v2", "--device", "fake", "--dtype", "int3"], "unknown dtype 'int3'"),
        (["measure", "mobilenet_v2", "--device", "fake", "--dtype", "int3"], "unknown dtype 'int3'"),
        (["measure", "mobilenet_v2", "--device", "fake", "--seconds", "-1"], "seconds"),
        (["measure", "mobilenet_v2", "--device", "fake", "--seconds", "nan"], "seconds"),
        (["measure", "mobilenet_v2", "--device", "fake", "--seconds", "inf"], "seconds"),
        (["measure", "mobilenet_v2", "--device", "fake", "--seconds", "1e9"], "seconds"),
        (["measure", "mobilenet_v2", "--device", "fake", "--seconds", "soon"], "--help"),
        (["measure", "nowhere.tflite", "--device", "fake"], "cannot read"),
        (["profile", "--device", "fake", "--space", "narnia"], "narnia"),
        (["profile", "--device", "fake", "--resolution", "0"], "resolution"),
        (["profile", "--device", "fake", "--classes", "0"], "classes"),
        (["profile", "--device", "fake", "--benchmark-binary", "x"], "--benchmark-binary is for phones"),
        (["profile", "--device", "fake", "--share", "0"], "share"),
        (["profile", "--device", "fake", "--share", "0.5", "--model", "mobilenet_v2"], "--share"),
        (["profile", "--device", "fake", "--from", "toaster"], "unknown device 'toaster'"),
        (["profile", "--device", "fake", "--from", "fake"], "fake has no table"),
        (["profile", "--device", "fake", "--from", "nowhere.csv"], "cannot read"),
        (["profile", "--device", "fake", "--from", "fake", "--share", "0.5"], "leave out --model and --share"),
        (["profile", "--device", "fake", "--from", "fake", "--model", "mobilenet_v2"], "leave out --model and --share"),
        (["profile", "--device", "fake", "--ops", "3"], "give --from"),
        (["profile", "--device", "fake", "--networks", "6"], "give --from"),
        (["predict", "mobilenet_v2", "--device", "fake", "--no-measure", "--dtype", "int8"], "--dtype int8"),
        (["profile", "--device", "fake", "--space", "mnasnet", "--model", "mobilenet_v2"], "exclude"),
        (["export", "mobilenet_v2", "--out", "x.tflite", "--dtype", "int3"], "unknown dtype 'int3'"),
        (["export", "mobilenet_v2", "--out", "x.onx", "--format", "onx"], "unknown format 'onx'"),
        (["export", "mobilenet_v2", "--out", "file/x.tflite"], "cannot write"),
        (["export", "mobilenet_v2", "--out", "home"], "cannot write"),
        (["export", "mobilenet_v2", "--out", "x.tflite", "--weights", "nowhere.safetensors"], "nowhere"),
        (["verify", "nowhere.tflite", "--against", "mobilenet_v2"], "cannot read"),
        (["verify", "file", "--against", "mobilenet_v2", "--target-ms", "-3"], "target-ms"),
        (["train", "mobilenet_v2", "--data", "digits", "--out", "file/run", "--epochs", "1"], "cannot write"),
        (["train", "mobilenet_v2", "--data", "digits", "--out", "run", "--epochs", "-1"], "epochs"),
        (["train", "mobilenet_v2", "--data", "digits", "--out", "run", "--resolution", "0"], "resolution"),
        (["train", "mobilenet_v2", "--data", "digits", "--out", "run", "--seed", "-1"], "seed"),
        (["train", "mobilenet_v2", "--data", "digots", "--out", "run"], "digits"),
        (["train", "mobilenet_v2", "--data", "nowhere.npz", "--out", "run"], "cannot read"),
        (["search"], "--target-ms"),
        (["models", "--target-ms", "0"], "--target-ms needs --device"),
        (["search", "--target-ms", "3", "--resume", "run"], "--resume"),
        (["search", "--resume", "run", "--workers", "4"], "or --workers and another folder to --out"),
        (["search", "--resume", "run", "--device", "pixel1"], "or --device and another folder to --out"),
        (["search", "--resume", "nowhere"], "holds no run"),
        (["search", "--target-ms", "nan", "--device", "fake", "--out", "run"], "target_ms: nan"),
        (["search", "--target-ms", "-1", "--device", "fake", "--out", "run"], "target_ms: -1"),
        (["search", "--target-ms", "0", "--device", "fake", "--out", "run"], "target_ms: 0"),
        (["search", "--target-ms", "75", "--out", "run", "--reward", "best"], "unknown reward 'best'"),
        (["search", "--target-ms", "75", "--out", "run", "--reward", "soft", "--hard"], "exclude each other"),
        (
            ["search", "--target-ms", "75", "--out", "run", "--pareto-third", "latency"],
            "give macs, params, size, memory",
        ),
        (["search", "--target-ms", "75", "--out", "run", "--also", "pixel1"], "give DEVICE=MILLISECONDS"),
        (["search", "--target-ms", "75", "--out", "run", "--risk", "0.9"], "risk: 0.9"),
        (["search", "--target-ms", "75", "--out", "run", "--trial-timeout", "9"], "give --workers 1 or more"),
        (["search", "--target-ms", "75", "--out", "run", "--max-params", "-1"], "max_params: -1.0"),
        (["search", "--target-ms", "75", "--out", "run", "--evaluator", "short_training"], "give --data DATA"),
        ([*SEARCH, "--out", "run", "--evaluator", "imagenet_surrogate"], "takes no images"),
        ([*SEARCH, "--out", "run", "--space", "narnia"], "unknown space 'narnia'"),
        ([*SEARCH, "--out", "run", "--searcher", "psychic"], "unknown searcher 'psychic'"),
        ([*SEARCH, "--out", "run", "--evaluator", "oracle"], "unknown evaluator 'oracle'"),
        ([*SEARCH, "--out", "run", "--dtype", "int3"], "unknown dtype 'int3'"),
        ([*SEARCH, "--out", "run", "--device", "toaster"], "unknown device 'toaster'"),
        ([*SEARCH, "--out", "run", "--trials", "0"], "trials"),
        ([*SEARCH, "--out", "run", "--seed", "-1"], "seed"),
        ([*SEARCH, "--out", "file/run"], "cannot write"),
    ],
)
def test_wrong_usage(refused, tmp_path, arguments, said):
    for name in ("file", "file.tflite"):
        (tmp_path / name).write_text("no folder and no network")
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    assert said in refused(2, *arguments)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text[: len(text) // 2], "not valid JSON"),
        (lambda text: "", "not valid JSON"),
        (lambda text: "padding: same", "not valid JSON"),
        (lambda text: "[]", "give an object"),
        (lambda text: text.replace('"padding"', '"pading"'), "unknown field 'pading'"),
        (lambda text: text.replace('"expanded_channels"', '"expand"'), "stages[0][0]"),
        (lambda text: text.replace('"mbconv"', '"mbconf"'), "mbconv"),
        (lambda text: text.replace('"resolution": 16', '"resolution": -16'), "resolution"),
        (lambda text: text.replace('"resolution": 16', '"resolution": NaN'), "NaN"),
        (lambda text: text.replace('"resolution": 16', '"resolution": 1e400'), "resolution"),
        (lambda text: text.replace('"kernel_size": 3', '"kernel_size": "3"'), "kernel_size"),
        (lambda text: text.replace('"num_classes": 10', '"num_classes": 0'), "num_classes"),
        (lambda text: "[" * 100_000, "nested"),
    ],
)
def test_damaged_architecture_files(refused, tiny, tmp_path, change, said):
    text = (tmp_path / "tiny.json").read_text()
    changed = change(text)
    assert changed != text
    (tmp_path / "tiny.json").write_text(changed)
    assert said in refused(2, "info", tiny)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cells: [*cells[:-4], "-1", *cells[-3:]], "latency_us"),
        (lambda cells: [*cells[:-4], "nan", *cells[-3:]], "latency_us"),
        (lambda cells: cells[:-1], "values"),
        (lambda cells: [*cells[:-1], "many"], "many"),
        (lambda cells: ["conf2d", *cells[1:]], "conf2d"),
    ],
)
def test_a_damaged_row_of_a_table_is_named(refused, table, tiny, change, said):
    lines = table.read_text().splitlines()
    number = len(lines) - 5
    lines[number - 1] = ",".join(change(lines[number - 1].split(",")))
    table.write_text("\n".join(lines) + "\n")
    text = refused(2, "predict", tiny, "--device", "fake")
    assert f"fake.float32.csv line {number}: " in text
    assert said in text


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", bytes(1000)])
def test_a_broken_npz(refused, tmp_path, tiny, content):
    (tmp_path / "data.npz").write_bytes(content)
    assert "data.npz" in refused(2, "train", tiny, "--data", tmp_path / "data.npz", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_npz_that_lacks_an_array_or_holds_objects(refused, tmp_path, tiny):
    images, labels = np.zeros((20, 8, 8), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x_train=images, y_train=labels, x_test=images)
    assert "y_test" in refused(2, "train", tiny, "--data", tmp_path / "a.npz", "--out", tmp_path / "out")
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "b.npz", x_train=objects, y_train=labels, x_test=images, y_test=labels)
    assert "b.npz" in refused(2, "train", tiny, "--data", tmp_path / "b.npz", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_class_folder_and_an_image_that_cannot_be_read(refused, tmp_path, tiny):
    from PIL import Image

    pets, out, two = tmp_path / "pets", tmp_path / "out", tmp_path / "two.json"
    two.write_text(json.dumps({**json.loads(Path(tiny).read_text()), "num_classes": 2}))
    arguments = ["train", two, "--data", pets, "--resolution", "16", "--epochs", "1", "--out", out]
    for name in ("cats", "dogs"):
        (pets / name).mkdir(parents=True)
    for index in range(12):
        Image.new("RGB", (20, 20), (index, 0, 0)).save(pets / "cats" / f"{index}.png")
    assert "dogs: the class folder holds no images" in refused(2, *arguments)
    assert not out.exists()
    for index in range(12):
        (pets / "dogs" / f"{index}.png").write_bytes(b"no image")
    assert "cannot read image" in refused(2, *arguments)
    assert not out.exists()


def test_weights_of_another_network_and_no_weights_at_all(refused, answer, tmp_path, tiny):
    out = tmp_path / "trained"
    answer("train", tiny, "--data", "digits", "--resolution", "16", "--epochs", "1", "--out", out)
    other, file = tmp_path / "other.json", tmp_path / "files" / "x.tflite"
    other.write_text((tmp_path / "tiny.json").read_text().replace('"out_channels": 16', '"out_channels": 24'))
    weights = out / "weights.safetensors"
    said = refused(2, "export", other, "--weights", weights, "--out", file)
    assert "weights.safetensors" in said
    said = refused(
        2, "train", other, "--weights", weights, "--data", "digits", "--out", tmp_path / "o", "--epochs", "1"
    )
    assert "weights.safetensors" in said
    assert not (tmp_path / "o").exists()
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(weights.read_bytes()[:-100])
    assert "cut.safetensors" in refused(2, "export", tiny, "--weights", cut, "--out", file)
    cut.write_bytes(random.Random(0).randbytes(3000))
    assert "cut.safetensors" in refused(2, "export", tiny, "--weights", cut, "--out", file)
    assert not file.parent.exists()


@pytest.mark.parametrize("size", [0, 7, 3000])
def test_random_bytes_are_no_model(refused, tmp_path, tiny, size):
    file = tmp_path / "noise.tflite"
    file.write_bytes(random.Random(size).randbytes(size))
    assert "noise.tflite" in refused(2, "measure", file, "--device", "fake")
    found = refused(2, "verify", file, "--against", tiny)
    assert "tflite" in found.lower()


def test_a_damaged_model_is_a_device_error_or_a_failed_verification_never_a_crash(mobilenas, answer, tmp_path, tiny):
    file = tmp_path / "x.tflite"
    answer("export", tiny, "--out", file)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    for arguments in (["measure", file, "--seconds", "0.2"], ["verify", file, "--against", tiny]):
        code, _, err = mobilenas(*arguments)
        assert code in (2, 4, 5), err
        assert err.startswith("error: ")
        assert len(err.splitlines()) <= 2


def test_a_file_that_is_another_network_is_not_verified(mobilenas, answer, tmp_path, tiny):
    other, file = tmp_path / "other.json", tmp_path / "x.tflite"
    other.write_text((tmp_path / "tiny.json").read_text().replace('"out_channels": 16', '"out_channels": 24'))
    answer("export", other, "--out", file)
    code, out, err = mobilenas("verify", file, "--against", tiny, "--json")
    assert code == 5
    assert json.loads(out)["passed"] is False
    assert err.startswith("error: ")
    assert len(err.splitlines()) <= 2


def test_a_file_that_is_too_slow_is_not_verified(mobilenas, answer, tmp_path, tiny):
    file = tmp_path / "x.tflite"
    answer("export", tiny, "--out", file)
    target = ["--device", "fake", "--target-ms", "0.001", "--json"]
    code, out, _ = mobilenas("verify", file, "--against", tiny, *target)
    assert code == 5
    assert [check["name"] for check in json.loads(out)["checks"] if not check["passed"]] == ["latency"]


def test_an_impossible_target_names_the_nearest(refused, table, tmp_path):
    impossible = [*SEARCH[:-1], "0.0001", "--out", tmp_path / "run"]
    assert "the nearest that mnasnet can is" in refused(3, *impossible)
    assert not (tmp_path / "run").exists()  # the same --out can be given again


def test_a_run_is_not_overwritten(refused, table, tmp_path):
    settings = SearchSettings(target_ms=0.0001, device="fake", data="digits", resolution=16)
    with RunFolder(tmp_path / "run", settings):
        pass
    said = refused(2, *SEARCH, "--out", tmp_path / "run")
    assert "holds a run with target_ms 0.0001, and its trials were chosen by that; give another --out" in said
    said = refused(2, *SEARCH, "--resume", tmp_path / "run")
    assert "goes on with that run's own settings" in said


@pytest.mark.parametrize("arguments", [("--verbose", "info", "nowhere.json"), ("info", "nowhere.json", "--verbose")])
def test_verbose_says_where_an_error_comes_from(mobilenas, arguments):
    code, out, err = mobilenas(*arguments)
    said, raised, cause = err.splitlines()
    assert (code, out) == (2, "")
    assert said.startswith("error: cannot read")
    assert raised.startswith("InputError raised in ")
    assert "storage.py line " in raised
    assert cause.startswith("FileNotFoundError raised in ")
    assert mobilenas("info", "nowhere.json") == (2, "", f"{said}\n")  # the next command is quiet again


def test_a_path_through_a_file(refused, tmp_path, tiny):
    (tmp_path / "file").write_text("x")
    said = f"{tmp_path}/file is a file and no folder; give"
    assert f"cannot read architecture file {tmp_path}/file/x.json: {said}" in refused(
        2, "info", tmp_path / "file/x.json"
    )
    assert said in refused(2, "train", tiny, "--data", "digits", "--epochs", "1", "--out", tmp_path / "file" / "run")


def test_files_may_begin_with_a_byte_order_mark(answer, tmp_path, tiny, table):
    for path in (tmp_path / "tiny.json", tmp_path / "home" / "devices" / "fake.toml", table):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert answer("predict", tiny, "--device", "fake")["name"] == "tiny"


def test_a_lost_device(refused, table, tiny):
    from fake_runner import FakeRunner

    FakeRunner.lose_after = 0
    assert "cable" in refused(4, "measure", tiny, "--device", "fake")


def test_interrupted(refused, monkeypatch):
    def interrupt(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(main.info, "resolve_network", interrupt)
    refused(130, "info", "mobilenet_v2")


@pytest.mark.parametrize("text", ["", "name = 3", 'name = "x"', 'name = "x"\nrunner = "y"', "= ="])
def test_a_damaged_device_file(refused, tmp_path, tiny, text):
    (tmp_path / "x.toml").write_text(text)
    refused(2, "measure", tiny, "--device", tmp_path / "x.toml")
