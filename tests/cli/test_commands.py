"""Every command once, from end to end: one JSON document on stdout, or a readable table."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_runner import FakeRunner

from mobilenas.cli.main import app
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import Patience, Runner

QUICK = ["--device", "fake", "--data", "digits", "--resolution", "16", "--target-ms", "3", "--trials", "2"]
QUICK += ["--trial-epochs", "1", "--final-epochs", "1"]


def test_models(answer, mobilenas):
    rows = {row["name"]: row for row in answer("models")}
    assert rows["mobilenet_v2"]["params"] == 3_504_872  # torchvision's count
    assert rows["mobilenet_v2"]["macs"] == 300_774_272  # fvcore on torchvision's network
    code, out, err = mobilenas("models")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["name", "params", "macs", "top1"]
    assert len(out.splitlines()) == len(rows) + 1


def test_every_command_is_verbose_before_and_after_its_name(mobilenas):
    names = [command.name for command in app.registered_commands]
    assert "info" in names
    for name in names:
        for arguments in (["--verbose", name, "--help"], [name, "--verbose", "--help"]):
            code, out, err = mobilenas(*arguments)
            assert (code, err) == (0, "")
            assert "--verbose" in out


def test_info(answer, mobilenas, tiny):
    document = answer("info", tiny)
    assert (document["name"], document["resolution"], document["num_classes"]) == ("tiny", 16, 10)
    assert sum(op["macs"] for op in document["ops"]) == document["macs"]
    assert sum(op["params"] for op in document["ops"]) == document["params"]
    assert document["peak_memory_bytes"] > 16 * 16 * 3 * 4
    code, out, _ = mobilenas("info", tiny)
    assert code == 0
    assert out.startswith("tiny: 16 px, 10 classes\n")


def test_devices(answer, mobilenas, table):
    rows = {row["name"]: row for row in answer("devices")}
    assert rows["fake"]["answers"] is True
    assert [known["dtype"] for known in rows["fake"]["tables"]] == ["float32"]
    assert rows["fake"]["tables"][0]["networks"] == 1
    assert rows["host"]["tables"] == []
    code, out, _ = mobilenas("devices")
    assert code == 0
    assert any(line.startswith("fake") and "yes" in line for line in out.splitlines())


def test_profile_then_predict(answer, mobilenas, home, table, tiny):
    document = answer("profile", "--device", "fake", "--model", tiny)
    assert document["path"] == str(home / "latency_tables" / "fake.float32.csv")
    assert document["ops"] >= len(answer("info", tiny)["ops"])
    assert sorted(path.name for path in (home / "latency_tables").iterdir()) == ["fake.float32.csv"]
    predicted = answer("predict", tiny, "--device", "fake")
    assert predicted["low_ms"] < predicted["latency_ms"] < predicted["high_ms"]
    assert {op["source"] for op in predicted["ops"]} == {"measured"}
    code, out, err = mobilenas("predict", tiny, "--device", "fake", "--no-measure")
    assert (code, err) == (0, "")
    assert out.startswith("tiny: ")
    pair = answer("predict", tiny, tiny, "--device", "fake")
    assert pair == [predicted, predicted]


def test_predict_measures_what_is_not_known(answer, table, tiny):
    guessed = answer("predict", tiny, "--device", "fake", "--no-measure")
    assert "interpolated" in {op["source"] for op in guessed["ops"]}
    assert {op["source"] for op in answer("predict", tiny, "--device", "fake")["ops"]} == {"measured"}


def test_a_table_from_a_share_of_the_ops_or_from_another_table(answer, mobilenas, home):
    space = ["--space", "mnasnet", "--resolution", "32", "--classes", "10"]
    few = answer("profile", "--device", "fake", *space, "--share", "0.3", "--fresh")
    assert few["networks"] == 22
    (home / "devices" / "fake2.toml").write_text('name = "fake2"\nrunner = "fake"\n')
    document = answer("profile", "--device", "fake2", *space, "--from", "fake", "--networks", "6", "--ops", "30")
    assert document["networks"] == 6
    assert few["ops"] <= document["ops"] <= few["ops"] + 30  # published networks have ops that the other table lacks
    predicted = answer("predict", "mobilenet_v2", "--device", "fake2")
    assert {op["source"] for op in predicted["ops"]} <= {"calibrated", "interpolated"}
    code, _, err = mobilenas("profile", "--device", "fake2", *space, "--from", "fake")
    assert code == 2
    assert "exists already; give --fresh" in err


def test_a_table_of_another_machine_is_not_used_without_a_word(answer, mobilenas, table, tiny):
    table.write_text(table.read_text().replace("# cpu: fake cpu", "# cpu: another cpu"))
    code, _, err = mobilenas("predict", tiny, "--device", "fake", "--no-measure", "--json")
    assert code == 0
    assert "the table of fake is of another machine" in err


def test_export_measure_verify(answer, mobilenas, tmp_path, tiny):
    out = tmp_path / "files" / "tiny.tflite"
    document = answer("export", tiny, "--out", out)
    assert document["size_bytes"] == out.stat().st_size
    assert [path.name for path in out.parent.iterdir()] == ["tiny.tflite"]
    measured = answer("measure", out, "--device", "fake")
    assert measured["latency_ms"] == pytest.approx(out.stat().st_size / 1e6)
    assert measured["delegates"] == 1
    assert [row["name"] for row in answer("measure", tiny, out, "--device", "fake")] == [tiny, str(out)]
    assert answer("verify", out, "--against", tiny)["passed"] is True
    code, text, _ = mobilenas("verify", out, "--against", tiny, "--device", "fake", "--target-ms", "5")
    assert code == 0
    assert "parity" in text
    assert "latency" in text


@pytest.mark.xdist_group("host")
def test_measure_on_this_machine(answer, tiny, monkeypatch):
    monkeypatch.setattr(
        Runner, "patience", Patience(session_seconds=0.0)
    )  # a machine that others use is not waited for
    document = answer("measure", tiny, "--seconds", "0.2")
    assert 0 < document["p10_ms"] <= document["p90_ms"]  # of the runs as they were
    assert 0 < document["latency_ms"] <= document["p90_ms"]
    assert document["delegates"] == 1


def test_train_export_verify(answer, tmp_path, tiny):
    out = tmp_path / "trained"
    document = answer("train", tiny, "--data", "digits", "--resolution", "16", "--epochs", "1", "--out", out)
    assert 0 <= document["test_accuracy"] <= 1
    assert json.loads((out / "result.json").read_text()) == document
    names = {path.name for path in out.iterdir()}
    assert names == {".lock", "arch.json", "checkpoints", "model.tflite", "result.json", "weights.safetensors"}
    again = answer("train", tiny, "--data", "digits", "--resolution", "16", "--epochs", "1", "--out", out)
    assert again == document
    file = tmp_path / "trained.tflite"
    answer("export", out / "arch.json", "--weights", out / "weights.safetensors", "--out", file)
    weights = ["--weights", out / "weights.safetensors"]
    assert answer("verify", file, "--against", out / "arch.json", *weights)["passed"] is True


def test_search_then_resume_quietly_and_verbosely(answer, mobilenas, tmp_path, table):
    run = tmp_path / "run"
    document = answer("search", *QUICK, "--out", run)
    assert document["met"] is True
    assert document["measured"]["latency_ms"] <= 3
    assert document.pop("run") == str(run)
    assert json.loads((run / "result.json").read_text()) == document
    code, out, err = mobilenas("search", "--resume", run, "--json")
    assert code == 0
    assert [line.partition(":")[0] for line in err.splitlines()] == ["space mnasnet"]
    assert json.loads(out) == {**document, "run": str(run)}
    code, out, err = mobilenas("search", "--resume", run, "--verbose")
    assert code == 0
    assert "3 ms on fake" in out
    assert "best.tflite" in out
    assert "candidate trial" in err


def test_images_in_folders(answer, tmp_path, tiny):
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for index in range(12):
            pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "pets" / name / f"{index}.png")
    out = tmp_path / "out"
    arguments = ["--data", tmp_path / "pets", "--resolution", "16", "--epochs", "1", "--out", out]
    file = Path(tiny)
    file.write_text(json.dumps({**json.loads(file.read_text()), "num_classes": 2}))
    answer("train", tiny, *arguments)
    assert json.loads((out / "arch.json").read_text())["num_classes"] == 2


def test_an_op_that_the_device_refuses_is_named_for_people(mobilenas, tiny):
    stem = OpSpec(OpKind.CONV2D, ((16, 16, 3),), 8, kernel_size=(3, 3), stride=(2, 2), activation="relu")
    FakeRunner.refuse = write_micro_model(stem)
    code, _, err = mobilenas("profile", "--device", "fake", "--model", tiny)
    assert code == 0
    assert "not measured: conv2d 16x16x3 to 8x8x8, kernel_size 3x3, stride 2x2, relu: refused\n" in err
    assert "OpSpec" not in err


def test_train_keeps_the_resolution_of_an_architecture_file(answer, refused, tiny, tmp_path):
    out = tmp_path / "run"
    document = answer("train", tiny, "--data", "digits", "--epochs", "1", "--out", out)
    assert json.loads((out / "arch.json").read_text())["resolution"] == 16
    again = answer("export", tiny, "--weights", document["weights"], "--data", "digits", "--out", tmp_path / "a.tflite")
    assert again["verification"]["passed"] is True


def test_train_refuses_an_architecture_file_of_other_classes(refused, tiny, tmp_path):
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**json.loads((tmp_path / "tiny.json").read_text()), "num_classes": 7}))
    text = refused(2, "train", other, "--data", "digits", "--out", tmp_path / "run")
    assert "has 7 classes and digits has 10" in text
    assert not (tmp_path / "run").exists()


def test_auto_takes_the_only_dtype_that_has_a_table(mobilenas, tmp_path):
    code, _, err = mobilenas(
        "search", "--target-ms", "75", "--dtype", "auto", "--trials", "5", "--out", tmp_path / "run"
    )
    assert code == 0, err
    assert "pixel1 has no int8 table and no connection to measure one; it is float32" in err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["dtype"] == "float32"
    code, _, err = mobilenas("search", "--target-ms", "75", "--dtype", "int8", "--trials", "5", "--out", tmp_path / "b")
    assert code == 2
