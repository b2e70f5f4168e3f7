"""A device that counts instructions: its figures are labelled, and no target in milliseconds is held against them."""

import pytest
from fake_runner import CountingRunner

from mobilenas.errors import InputError
from mobilenas.latency import LatencyPredictor, LatencyTable
from mobilenas.latency.compiled import CompiledLatency
from mobilenas.runners import RUNNERS, Unit
from mobilenas.spaces.mnasnet import MnasNetSpace


@pytest.fixture(autouse=True)
def counting(home):
    """The fake device, counting."""
    RUNNERS.add("counting", CountingRunner)
    (home / "devices" / "counting.toml").write_text('name = "counting"\nrunner = "counting"\n')


@pytest.fixture
def table(home, table_text):
    """Its table: that of the fake device, as counts."""
    assert "# unit: us\n" in table_text
    path = home / "latency_tables" / "counting.float32.csv"
    path.parent.mkdir()
    path.write_text(
        table_text.replace("# unit: us\n", "# unit: instructions\n").replace("device: fake", "device: counting")
    )
    return path


def test_predict_labels_what_it_counts(answer, mobilenas, table, tiny):
    document = answer("predict", tiny, "--device", "counting", "--no-measure")
    assert document["low_instructions"] < document["latency_instructions"] < document["high_instructions"]
    assert {"latency_instructions", "op", "count", "source"} == set(document["ops"][0])
    assert not [key for key in document if key.endswith("_ms")]
    code, out, _ = mobilenas("predict", tiny, "--device", "counting", "--no-measure")
    assert code == 0
    assert "instructions (90 % interval" in out.splitlines()[0]
    assert " ms" not in out


def test_measure_labels_what_it_counts(answer, tiny):
    document = answer("measure", tiny, "--device", "counting", "--seconds", "0.1")
    assert document["latency_instructions"] > 0
    assert not [key for key in document if key.endswith("_ms")]


def test_profile_writes_the_unit_into_the_table(answer, home, tiny):
    assert answer("profile", "--device", "counting", "--model", tiny)["unit"] == "instructions"
    table = LatencyTable.load(home / "latency_tables" / "counting.float32.csv")
    assert table.info.unit == "instructions"
    assert LatencyPredictor(table).unit is Unit.INSTRUCTIONS


def test_a_transferred_table_has_the_unit_of_its_device(answer, home, table_text):
    source = home / "latency_tables" / "fake.float32.csv"
    source.parent.mkdir()
    source.write_text(table_text)
    arguments = ["--from", "fake", "--networks", "6", "--resolution", "16", "--classes", "10"]
    assert answer("profile", "--device", "counting", *arguments)["unit"] == "instructions"
    made = LatencyTable.load(home / "latency_tables" / "counting.float32.csv")
    assert (made.info.unit, made.info.method) == ("instructions", "calibrated")


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--target-ms", "3", "--device", "counting", "--data", "digits", "--out", "run"],
        ["verify", "net.tflite", "--against", "mobilenet_v2", "--device", "counting", "--target-ms", "3"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_target_in_milliseconds_is_held_against_counts(refused, tmp_path, arguments):
    assert "device counting is counted in instructions, which is not comparable" in refused(2, *arguments)
    assert CountingRunner.calls == []
    assert not (tmp_path / "run").exists()


def test_no_search_is_compiled_from_counts(table):
    predictor = LatencyPredictor(LatencyTable.load(table))
    with pytest.raises(InputError, match="the table of counting is counted in instructions"):
        CompiledLatency(predictor, MnasNetSpace(resolution=16, num_classes=10))
    arch = MnasNetSpace(resolution=16, num_classes=10).decode((0,) * len(MnasNetSpace(resolution=16).decisions))
    latency = predictor.predict(arch.graph())
    assert latency.latency_us > 0
    for name in ("ms", "low_ms", "high_ms", "footprint_ms"):
        with pytest.raises(InputError, match="not comparable with milliseconds"):
            getattr(latency, name)
