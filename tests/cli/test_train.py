"""What `train` leaves in its folder, and what it leaves alone."""

import json

import pytest

from mobilenas.storage import exclusive_folder
from mobilenas.verification import Check, Report
from mobilenas.verification.checked_export import CheckedFile


@pytest.fixture
def arguments(tmp_path, tiny):
    options = ["--resolution", "16", "--epochs", "1", "--out", str(tmp_path / "out")]
    return ["train", tiny, "--data", "digits", *options]


def test_a_network_that_no_file_holds_is_refused_before_it_is_built(refused, arguments, tmp_path):
    block = {"type": "mbconv", "out_channels": 65536, "kernel_size": 63, "expanded_channels": 65536, "stride": 2}
    document = json.loads((tmp_path / "tiny.json").read_text())
    (tmp_path / "tiny.json").write_text(json.dumps({**document, "stages": [[{**block, "se_channels": 65536}]]}))
    assert "GB of float32 weights; a .tflite file holds at most 2.1 GB" in refused(2, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_in_use_is_wrong_usage(refused, arguments, tmp_path):
    with exclusive_folder(tmp_path / "out", "it"):
        assert "is in use by another process" in refused(2, *arguments)


def test_an_interrupted_training_leaves_no_folder_of_its_own(refused, arguments, tmp_path, monkeypatch):
    def interrupt(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("mobilenas.training.train", interrupt)
    refused(130, *arguments)
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_verified_is_not_named(refused, arguments, tmp_path, monkeypatch):
    failed = CheckedFile(b"model", Report((Check("parity", False, "0.5", "0.1"),)))
    monkeypatch.setattr("mobilenas.cli.train.checked_export", lambda *given, **more: failed)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "model.tflite").write_text("of an earlier training")
    assert "model.tflite is not written: parity: 0.5" in refused(5, *arguments)
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["tflite"] is None
    assert document["verification"]["passed"] is False
    assert not (tmp_path / "out" / "model.tflite").exists()
    assert (tmp_path / "out" / "weights.safetensors").exists()
