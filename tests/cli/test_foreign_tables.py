"""Tables that were not measured here: making them, predicting from them, and what cannot be done with them."""

import json
import math
import re
from pathlib import Path

import pytest

from mobilenas import models
from mobilenas.cli.accuracy_plot import name_points
from mobilenas.cli.models import mark_front
from mobilenas.graph import OpSpec
from mobilenas.latency import LatencyTable, Measurement, TableInfo
from mobilenas.storage import shipped

LIST = "network,resolution,latency_ms\nmobilenet_v2,224,70\nmobilenet_v2,128,25\nmnasnet_a1,224,75\nmnasnet_b1,96,15\n"
BLOCKS = "Conv-input:16x16x3-output:8x8x8:\n  mean: 0.5\nLogits-input:4x4x16-output:10:\n  mean: 0.25\n"


@pytest.fixture
def latencies(tmp_path):
    path = tmp_path / "latencies.csv"
    path.write_text(LIST)
    return path


@pytest.fixture
def blocks(tmp_path):
    path = tmp_path / "blocks.yaml"
    path.write_text(BLOCKS)
    return path


def test_calibrate_then_predict(answer, mobilenas, home, latencies):
    document = answer("calibrate", latencies, "--device", "my-phone", "--source", "a\nforum")
    path = home / "latency_tables" / "my-phone.float32.csv"
    assert (document["path"], document["method"], document["networks"]) == (str(path), "calibrated", 4)
    assert document["error"] >= 0.1
    assert LatencyTable.load(path).info.source == "a forum"
    assert (home / "devices" / "my-phone.toml").read_text().startswith('name = "my-phone"\nrunner = "none"\n')
    predicted = answer("predict", "mobilenet_v2", "--device", "my-phone")
    assert predicted["latency_ms"] == pytest.approx(70, rel=0.1)
    assert predicted["low_ms"] < 70 < predicted["high_ms"]
    assert {op["source"] for op in predicted["ops"]} == {"calibrated"}
    assert (predicted["method"], predicted["eras"], predicted["unmeasured"]) == ("calibrated", [], 0)
    code, out, err = mobilenas("predict", "mnasnet_b1", "--device", "my-phone")
    assert code == 0
    assert re.fullmatch(r"(mobilenas: )?\d+ of \d+ ops have no row of their own in the table and are estimated\n", err)
    assert "ms (calibrated but for " in out.splitlines()[0]


def test_lines_without_an_era_beside_lines_that_have_one(answer, latencies):
    lines = [line + end for line, end in zip(LIST.splitlines(), (",era", ",2018", ",2018", ",", ",2018"), strict=True)]
    latencies.write_text("\n".join(lines))
    answer("calibrate", latencies, "--device", "my-phone")
    eras = answer("predict", "mobilenet_v2", "--device", "my-phone")["eras"]
    assert [each["era"] for each in eras] == ["2018", "other"]


def test_a_table_is_replaced_only_when_asked(answer, mobilenas, refused, latencies):
    answer("calibrate", latencies, "--device", "my-phone")
    assert "has a table, " in refused(2, "calibrate", latencies, "--device", "my-phone")
    assert "has a table, " in refused(2, "calibrate", latencies, "--device", "pixel1")  # one that ships
    code, out, _ = mobilenas("calibrate", latencies, "--device", "my-phone", "--fresh")
    assert code == 0
    assert "relative standard error of a network" in out


def test_import_then_predict(answer, mobilenas, home, tiny, blocks):
    document = answer("import-table", blocks, "--device", "his-phone")
    assert (document["method"], document["ops"], document["blocks"]) == ("imported", 2, 1)
    assert document["error"] is None  # no network was compared
    assert "standard error" not in mobilenas("import-table", blocks, "--device", "his-phone", "--fresh")[1]
    predicted = answer("predict", tiny, "--device", "his-phone")
    by_kind = {op["op"]["kind"]: op for op in predicted["ops"]}
    assert by_kind["block"]["latency_ms"] == 0.25
    assert [op["kind"] for op in by_kind["block"]["op"]["ops"]] == ["mean", "fully_connected"]
    assert {op["source"] for op in predicted["ops"]} == {"imported", "estimated"}
    code, out, err = mobilenas("predict", tiny, "--device", "his-phone")
    assert code == 0
    assert "(imported but for 4 of 6 ops, 90 % interval" in out
    assert "block of 2" in out
    assert "ops were not imported but estimated" in err
    assert "Traceback" not in err


def test_pixel1_states_the_era_it_speaks_of(answer, mobilenas):
    document = answer("predict", "mobilenet_v3_large", "--device", "pixel1")
    first, second = document["eras"]
    assert (first["era"], second["era"]) == ("TFLite 2018", "TFLite 2019")
    assert first["latency_ms"] == document["latency_ms"]
    assert second["latency_ms"] == pytest.approx(51.2, rel=0.05)  # what the MobileNetV3 authors published
    code, out, err = mobilenas("predict", "mobilenet_v3_large", "--device", "pixel1")
    assert (code, err) == (0, "")
    assert "calibrated" in out.splitlines()[0]
    assert "speaks of the runtime of TFLite 2018; of TFLite 2019: 5" in out.splitlines()[1]


def test_beyond_what_a_table_was_fitted_to_the_interval_is_wider_and_that_is_said(answer, mobilenas, latencies):
    near, far = (answer("predict", name, "--device", "pixel1") for name in ("mobilenet_v2", "efficientnet_b7"))
    assert [near["extrapolated"], far["extrapolated"]] == [False, True]
    width = {each["name"]: each["high_ms"] / each["latency_ms"] - 1 for each in (near, far)}
    # 138 ms is the largest of the published networks: 0.4 more of the error for each doubling beyond
    doublings = math.log2(far["latency_ms"] / 138)
    assert width["efficientnet_b7"] / width["mobilenet_v2"] == pytest.approx(1 + 0.4 * doublings)
    _, _, err = mobilenas("predict", "efficientnet_b7", "mobilenet_v2", "--device", "pixel1")
    assert "efficientnet_b7 is beyond the networks of 4.5 to 138 ms that the table of pixel1 was fitted to" in err
    assert "mobilenet_v2 is" not in err
    answer("calibrate", latencies, "--device", "my-phone")  # 15 to 75 ms
    assert answer("predict", "efficientnet_b2", "--device", "my-phone")["extrapolated"] is True


def test_a_network_that_an_imported_table_has_nothing_of(answer, mobilenas, blocks):
    answer("import-table", blocks, "--device", "his-phone")
    _, out, err = mobilenas("predict", "mobilenet_v2", "--device", "his-phone")
    assert "(estimated, since none of its ops was imported, 90 % interval" in out
    assert "ops were not imported but estimated" in err


def test_the_users_own_table_of_a_shipped_device_is_taken_first(answer, latencies):
    shipped_ms = answer("predict", "mobilenet_v2", "--device", "pixel1")["latency_ms"]
    answer("calibrate", latencies, "--device", "pixel1", "--fresh")
    assert answer("predict", "mobilenet_v2", "--device", "pixel1")["latency_ms"] != shipped_ms


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["measure", "mobilenet_v2", "--device", "pixel1"], "has no connection"),
        (["profile", "--device", "pixel1"], "mobilenas calibrate FILE --device pixel1"),
        (["profile", "--device", "pixel1", "--fresh"], "has no connection"),
    ],
)
def test_what_would_measure_there_fails_as_a_device_does(refused, home, arguments, said):
    assert said in refused(4, *arguments)
    assert not (home / "latency_tables").exists()


def test_a_dtype_that_the_device_has_no_table_of(refused):
    wanted = "device pixel1 has no int8 table; run: mobilenas calibrate FILE --device pixel1 --dtype int8"
    for more in ([], ["--no-measure"]):
        assert wanted in refused(2, "predict", "mobilenet_v2", "--device", "pixel1", "--dtype", "int8", *more)


@pytest.mark.parametrize("name", ["my phone", "a;reboot", "$(reboot)", "a/b", "../up", "-x", "a\nb", '"', ""])
def test_a_hostile_name_becomes_no_file(refused, home, latencies, name):
    before = sorted(home.rglob("*"))
    refused(2, "calibrate", latencies, f"--device={name}")
    assert sorted(home.rglob("*")) == before


def test_a_list_that_is_not_accepted_leaves_nothing(refused, home, latencies, blocks):
    latencies.write_text(LIST.replace("mnasnet_b1", "mnasnet_z9"))
    assert "line 5: unknown model 'mnasnet_z9'" in refused(2, "calibrate", latencies, "--device", "my-phone")
    blocks.write_text(BLOCKS.replace("0.25", "nan"))
    assert "line 3" in refused(2, "import-table", blocks, "--device", "my-phone")
    assert "unknown dtype 'int3'" in refused(2, "calibrate", latencies, "--device", "my-phone", "--dtype", "int3")
    assert not (home / "latency_tables").exists()
    assert not (home / "devices" / "my-phone.toml").exists()


def test_devices_say_how_good_a_table_is_and_where_it_is_from(answer, mobilenas, blocks):
    answer("import-table", blocks, "--device", "his-phone", "--source", "somebody")
    rows = {row["name"]: row for row in answer("devices")}
    (table,) = rows["pixel1"]["tables"]
    assert rows["pixel1"]["answers"] is False
    assert (table["method"], table["networks"], table["blocks"]) == ("calibrated", 28, 0)
    assert 0.06 < table["error"] < 0.1
    assert table["eras"]["TFLite 2018"] == 1
    assert any("Spearman" in note for note in table["notes"])
    (table,) = rows["his-phone"]["tables"]
    assert (table["method"], table["blocks"], table["error"], table["source"]) == ("imported", 1, None, "somebody")
    code, out, err = mobilenas("devices")
    assert (code, err) == (0, "")
    line = next(line for line in out.splitlines() if line.startswith("pixel1"))
    assert "calibrated" in line
    assert " no " in line


def test_a_damaged_table_is_said_and_hides_no_device(mobilenas, home):
    path = home / "latency_tables" / "pixel1.float32.csv"
    path.parent.mkdir()
    path.write_text("# device: pixel1\n# method: guessed\n")
    code, out, err = mobilenas("devices", "--json")
    assert code == 0
    assert {row["name"]: row["tables"] for row in json.loads(out)}["pixel1"] == []
    assert "method 'guessed'" in err


@pytest.mark.parametrize("device", ["host", "aarch64_emulated"])
def test_this_machine_takes_no_figures_of_others(refused, home, latencies, blocks, device):
    for command in (["calibrate", latencies], ["import-table", blocks]):
        said = refused(2, *command, "--device", device)
        assert f"{device} is this machine" in said
        assert f"mobilenas profile --device {device}" in said
    assert not (home / "latency_tables").exists()


def test_a_phone_takes_them_and_is_no_other_machine_for_that(answer, mobilenas, latencies):
    answer("calibrate", latencies, "--device", "pixel")
    assert answer("predict", "mobilenet_v2", "--device", "pixel")["method"] == "calibrated"
    assert "another machine" not in mobilenas("devices")[2]


def test_search_on_a_table_of_blocks_says_what_can_be_done_and_leaves_no_folder(refused, tmp_path, blocks, answer):
    answer("import-table", blocks, "--device", "his-phone")
    said = refused(2, "search", "--target-ms", "75", "--device", "his-phone")
    assert "run: mobilenas calibrate FILE --device his-phone --dtype float32 --fresh" in said
    assert not (tmp_path / "runs").exists()
    answer("import-table", blocks, "--device", "pixel")
    said = refused(2, "search", "--target-ms", "75", "--device", "pixel")
    assert "run: mobilenas profile --device pixel --dtype float32 --fresh" in said


def test_models_that_fit(answer, mobilenas):
    rows = answer("models", "--device", "pixel1", "--target-ms", "75")
    assert 0 < len(rows) < len(models.names())
    assert [row["latency_ms"] for row in rows] == sorted(row["latency_ms"] for row in rows)
    assert all(row["low_ms"] < row["latency_ms"] < row["high_ms"] for row in rows)
    assert max(row["high_ms"] for row in rows) <= 75
    assert "mobilenet_v1_0.75" not in {row["name"] for row in rows}  # 72 ms, but up to 81
    by_name = {row["name"]: row for row in rows}
    assert by_name["mobilenet_v3_large"]["top1"] == 0.752
    assert by_name["mobilenet_v3_large"]["pareto"]
    assert by_name["mobilenet_v3_large"]["params"] == 5_483_032
    assert {(row["method"], row["era"], row["extrapolated"]) for row in rows} == {("calibrated", "TFLite 2018", False)}
    code, out, err = mobilenas("models", "--device", "pixel1")
    assert code == 0
    assert "latency is calibrated, TFLite 2018, with a 90 % interval" in err
    assert "beyond the networks of 4.5 to 138 ms" in err
    assert "TFLite" not in out
    assert len(out.splitlines()) == len(models.names()) + 1
    assert "calibrated" in err
    assert "it speaks of the runtime of TFLite 2018; with that of TFLite 2019 it is 0.854 times as much" in err


def test_models_say_which_ops_a_table_lacks(mobilenas, home):
    ops = models.get("mobilenet_v2").graph().op_counts()
    measured = {op: Measurement(1.0) for op in ops}
    LatencyTable(TableInfo(device="fake"), measured).save(home / "latency_tables" / "fake.float32.csv")
    code, _, err = mobilenas("models", "--device", "fake")
    assert code == 0
    count = len(models.names())
    assert f"{count - 1} of {count} networks have ops that were not measured but interpolated" in err


def test_models_for_a_target_that_none_meets(refused):
    said = refused(3, "models", "--device", "pixel1", "--target-ms", "1")
    assert "the nearest is mobilenet_v1_0.25 with 10.9 ms, at most 12.4" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["models", "--target-ms", "75"], "needs --device"),
        (["models", "--plot", "x.png"], "needs --device"),
        (["models", "--device", "pixel1", "--target-ms", "nan"], "target-ms"),
        (["models", "--device", "pixel1", "--target-ms", "0"], "target-ms"),
        (["models", "--device", "toaster"], "unknown device 'toaster'"),
        (["models", "--device", "fake"], "mobilenas profile --device fake"),
        (["models", "--device", "pixel1", "--dtype", "int8"], "mobilenas calibrate FILE --device pixel1"),
    ],
)
def test_wrong_usage_of_models(refused, arguments, said):
    assert said in refused(2, *arguments)


def test_a_plot(mobilenas, refused, tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra plot")
    path = tmp_path / "plots" / "accuracy.svg"
    code, _, err = mobilenas("models", "--device", "pixel1", "--target-ms", "75", "--plot", path)
    assert code == 0
    assert str(path) in err
    text = path.read_text()
    assert text.startswith("<?xml")
    assert "mobilenet_v3_large" in text or "<use" in text  # names are drawn as text or as outlines
    assert "ends in .png" in refused(2, "models", "--device", "pixel1", "--plot", tmp_path / "accuracy.gif")


def test_names_in_a_plot_cover_neither_each_other_nor_a_point(answer):
    figures = pytest.importorskip("matplotlib.figure", reason="needs the extra plot")
    rows = answer("models", "--device", "pixel1")
    front = [row for row in rows if row["pareto"]]
    rows = [*front, *(row for row in rows if not row["pareto"])]
    axes = figures.Figure(figsize=(8, 5.5)).subplots()
    axes.set_xscale("log")
    axes.plot([row["latency_ms"] for row in rows], [100 * row["top1"] for row in rows], "o")
    names = name_points(axes, rows)
    assert {row["name"] for row in front} <= {name.get_text() for name in names}
    boxes = [name.get_window_extent() for name in names]
    assert all(box.count_overlaps(boxes) == 1 for box in boxes)  # itself
    points = axes.transData.transform([(row["latency_ms"], 100 * row["top1"]) for row in rows])
    assert not any(box.contains(x, y) for box in boxes for x, y in points)


def test_the_front_by_hand():
    rows = [{"top1": 0.6}, {"top1": None}, {"top1": 0.5}, {"top1": 0.7}, {"top1": 0.7}]
    assert [row["pareto"] for row in mark_front(rows)] == [True, False, False, True, False]


def test_a_row_of_another_table_stays_an_op(answer, home, tiny):
    """A measured table is not touched by what imported ones can hold."""
    ops = models.get("mobilenet_v2").graph().op_counts()
    LatencyTable(TableInfo(device="fake"), {op: Measurement(1.0) for op in ops}).save(
        home / "latency_tables" / "fake.float32.csv"
    )
    predicted = answer("predict", "mobilenet_v2", "--device", "fake", "--no-measure")
    assert all(OpSpec.from_dict(op["op"]) in ops for op in predicted["ops"])
    assert predicted["method"] == "measured"


def test_the_shipped_list_makes_the_shipped_table(answer):
    document = answer(
        "calibrate", shipped("latency_tables") / "published" / "pixel1.csv", "--device", "pixel1", "--fresh"
    )
    stored = LatencyTable.load(shipped("latency_tables") / "pixel1.float32.csv")
    assert LatencyTable.load(Path(document["path"])).rates.us_per_unit == pytest.approx(
        stored.rates.us_per_unit, rel=1e-3
    )
