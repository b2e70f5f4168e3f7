"""The trained network as a file of each dtype."""

import pytest

from mobilenas.errors import InputError
from mobilenas.run import SearchSettings
from mobilenas.run.folder import RunFolder
from mobilenas.run.measuring import measure_interleaved
from mobilenas.run.winner import train_and_export
from mobilenas.runners import Device
from mobilenas.training import default_recipe, load_data


@pytest.mark.parametrize(("dtype", "share"), [("float16", 0.55), ("int8", 0.4)])
def test_a_trained_network_as_a_small_file(tmp_path, small_space, dtype, share):
    """After some epochs of digits the file is as good as torch; int8 takes its ranges from training images."""
    arch = small_space.decode((0,) * len(small_space.decisions))
    data = load_data("digits", resolution=16)
    recipe = default_recipe(len(data.train), 16, 3)
    (tmp_path / "checkpoints").mkdir()
    folder = RunFolder(tmp_path, None)
    found = train_and_export(folder, "w", arch, data, recipe, seed=0, dtype=dtype, pause=lambda: None)
    found.report.require("the winner")
    assert len(found.model) < share * arch.graph().weight_bytes("float32")
    assert found.agreement > 0.97
    assert abs(found.exported_accuracy - found.test_accuracy) < 0.02


@pytest.mark.parametrize("answer", [{"latency_ms": "x"}, {"p10_ms": 1.0}, [1], None])
def test_a_damaged_measurement_in_the_journal_is_named(tmp_path, small_space, answer):
    folder = RunFolder(tmp_path, SearchSettings(target_ms=5.0))
    folder.once("candidate 0", lambda: answer)
    arch = small_space.decode((0,) * len(small_space.decisions))
    with pytest.raises(InputError, match=r"journal\.jsonl: candidate 0"):
        measure_interleaved(folder, "candidate 0", Device(name="host", runner="host"), [(arch, b"")])
