"""info and predict of a .tflite say what they say of the network that it was written from."""

import json

import pytest
from fake_runner import latency_us

from mobilenas.cli import predict
from mobilenas.export import read_tflite
from mobilenas.export.flatbuffer import FlatbufferModel
from mobilenas.latency import LatencyTable


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_info_of_a_file_is_that_of_its_network(answer, tmp_path, tiny, dtype):
    file = tmp_path / "net.tflite"
    answer("export", tiny, "--dtype", dtype, "--out", file)
    found, wanted = answer("info", file), answer("info", tiny)
    assert (found["name"], found["dtype"], found["warnings"], found["left_out"]) == ("net", dtype, [], {})
    for key in ("macs", "resolution", "num_classes"):
        assert found[key] == wanted[key]
    assert [{**op, "params": 0} for op in found["ops"]] == [{**op, "params": 0} for op in wanted["ops"]]


def test_predict_of_a_file_is_that_of_its_network(answer, table, tmp_path, tiny):
    file = tmp_path / "net.tflite"
    answer("export", tiny, "--out", file)
    found, wanted = answer("predict", file, tiny, "--device", "fake", "--no-measure")
    for key in ("latency_ms", "low_ms", "high_ms", "footprint_ms", "ops"):
        assert found[key] == wanted[key]


def test_what_no_delegate_takes_is_timed_as_it_stands(mobilenas, answer, table, tmp_path, monkeypatch):
    window = {"filterHeight": 2, "filterWidth": 2, "strideH": 3, "strideW": 3, "padding": "VALID"}
    model, file = FlatbufferModel(), tmp_path / "net.tflite"
    image = model.input((1, 8, 8, 4), "in")
    pooled = model.operator("MAX_POOL_2D", [image], (1, 3, 3, 4), window, "pool")
    file.write_bytes(model.finish([pooled], "a test"))
    (form,) = read_tflite(file.read_bytes()).other_forms.values()
    overhead_us = LatencyTable.load(table).info.overhead_us
    (op,) = answer("predict", file, "--device", "fake")["ops"]
    assert op["latency_ms"] == pytest.approx((latency_us(form.file()) - overhead_us) / 1e3)
    code, _, err = mobilenas("predict", file, "--device", "fake", "--no-measure")
    assert code == 0
    assert "net: priced as if in the form that we write: 1 ops; fake was not asked" in err
    monkeypatch.setattr(predict, "measured_excerpts", lambda *given: {})  # as where the runtime refuses the operator
    _, _, err = mobilenas("predict", file, "--device", "fake")
    assert "net: priced as if in the form that we write: 1 ops; fake does not run them by themselves" in err


def test_a_dtype_that_the_file_has_not(answer, refused, table, tmp_path, tiny):
    file = tmp_path / "net.tflite"
    answer("export", tiny, "--dtype", "int8", "--out", file)
    assert "the file is int8, not float32; leave --dtype out" in refused(
        2, "predict", file, "--device", "fake", "--dtype", "float32"
    )


def test_a_damaged_file_is_refused_before_the_runtime_sees_it(answer, refused, tmp_path, tiny):
    file = tmp_path / "net.tflite"
    answer("export", tiny, "--out", file)
    file.write_bytes(file.read_bytes()[:2000])
    for command in (["info"], ["predict", "--device", "fake"], ["measure", "--device", "fake"]):
        assert "damaged" in refused(2, command[0], file, *command[1:])


def test_json_stays_one_document(mobilenas, answer, tmp_path, tiny):
    file = tmp_path / "net.tflite"
    answer("export", tiny, "--out", file)
    code, out, _ = mobilenas("info", file, "--json")
    assert (code, json.loads(out)["name"]) == (0, "net")
