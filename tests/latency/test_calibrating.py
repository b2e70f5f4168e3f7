"""Tables from whole networks: a device that is known, and the Pixel 1 that is shipped."""

import json
from pathlib import Path

import pytest

from mobilenas import load_predictor, models
from mobilenas.errors import InputError
from mobilenas.latency import LatencyPredictor, LatencyTable, NetworkLatency, calibrated_table, read_network_list
from mobilenas.latency.calibrating import NEW_FAMILY
from mobilenas.latency.calibration import UNCALIBRATED_ERROR
from mobilenas.latency.rates import PRIOR, Rates
from mobilenas.runners import Device
from mobilenas.storage import shipped

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PHONE = Device(name="phone", runner="none")
TRUE = Rates(tuple(1.3 * us for us in PRIOR.us_per_unit))
FITTED = ("mobilenet_v2", "mobilenet_v2_0.5", "mnasnet_a1")
RESOLUTIONS = (96, 160, 224)


def latency_ms(arch):
    return sum(count * TRUE.op_us(op) for op, count in arch.graph().op_counts().items()) / 1e3


@pytest.fixture(scope="module")
def latencies():
    archs = [(name, models.get(name, resolution=size)) for name in FITTED for size in RESOLUTIONS]
    return [NetworkLatency(name, arch, latency_ms(arch)) for name, arch in archs]


@pytest.fixture(scope="module")
def table(latencies):
    return calibrated_table(PHONE, latencies, source="made up")


def test_a_phone_like_the_data_sheet_is_found_again(table):
    predictor = LatencyPredictor(table)
    for name in ("mobilenet_v3_large", "efficientnet_b0"):  # took no part, and have ops that no fitted network has
        arch = models.get(name)
        latency = predictor.predict(arch.graph())
        assert latency.ms == pytest.approx(latency_ms(arch), rel=0.01)
        assert {cost.source for cost in latency.by_op.values()} == {"calibrated", "estimated"}
        assert latency.unmeasured == tuple(op for op in latency.by_op if op not in table)
        assert latency.eras == {}


def test_the_table_says_what_it_is_and_reads_back(table, tmp_path):
    assert (table.info.device, table.info.method, table.info.source) == ("phone", "calibrated", "made up")
    assert len(table.networks) == len(FITTED) * len(RESOLUTIONS)
    assert {op for n in FITTED for op in models.get(n).graph().op_counts()} <= set(table.ops)
    assert any("resolutions left out" in note for note in table.notes)
    table.save(tmp_path / "phone.float32.csv")
    read = LatencyTable.load(tmp_path / "phone.float32.csv")
    graph = models.get("mobilenet_v3_small").graph()
    assert LatencyPredictor(read).predict(graph).ms == pytest.approx(
        LatencyPredictor(table).predict(graph).ms, rel=1e-6
    )
    assert (read.rates, read.notes, read.calibration) == (table.rates, table.notes, table.calibration)


def test_networks_of_another_era_are_given_in_the_first(latencies):
    newer = [
        NetworkLatency(each.network, each.arch, 0.8 * each.latency_ms, "newer")
        for each in latencies
        if each.network == "mnasnet_a1"
    ]
    older = [NetworkLatency(each.network, each.arch, each.latency_ms, "older") for each in latencies]
    table = calibrated_table(PHONE, [*older, *newer])
    assert table.rates.eras["newer"] == pytest.approx(0.8, rel=0.01)
    by_name = {network.name: network.measured_us for network in table.networks}
    assert by_name["mnasnet_a1@224 (newer)"] == pytest.approx(by_name["mnasnet_a1@224 (older)"], rel=0.01)
    latency = LatencyPredictor(table).predict(models.get("mobilenet_v2").graph())
    assert latency.eras["older"] == latency.ms
    assert latency.eras["newer"] == pytest.approx(table.rates.eras["newer"] * latency.ms)


def test_noise_widens_the_interval(latencies):
    noisy = [
        NetworkLatency(each.network, each.arch, each.latency_ms * (1.2 if i % 2 else 0.8))
        for i, each in enumerate(latencies)
    ]
    assert calibrated_table(PHONE, noisy).calibration.error > NEW_FAMILY * 0.15


def test_few_networks_have_a_wide_interval_and_two_are_refused(latencies):
    assert calibrated_table(PHONE, latencies[:3]).calibration.error >= UNCALIBRATED_ERROR
    with pytest.raises(InputError, match="2 networks are too few"):
        calibrated_table(PHONE, latencies[:2])


def test_the_shipped_pixel1_is_what_its_list_gives():
    published = read_network_list(shipped("latency_tables") / "published" / "pixel1.csv")
    assert len(published) == 28
    assert all(each.source for each in published)
    assert {each.network.split("/")[-1][:12] for each in published} == {"mobilenet_v2", "mobilenet_v3"}
    again = calibrated_table(Device.load("pixel1"), published)
    stored = LatencyTable.load(shipped("latency_tables") / "pixel1.float32.csv")
    assert stored.rates.us_per_unit == pytest.approx(again.rates.us_per_unit, rel=1e-3)
    assert dict(stored.rates.eras) == pytest.approx(dict(again.rates.eras), rel=1e-3)
    assert stored.calibration.error == pytest.approx(again.calibration.error, rel=1e-2)
    assert set(stored) == set(again)
    assert len(stored.networks) == 28


def test_the_shipped_pixel1_says_its_method_errors_and_sources():
    stored = LatencyTable.load(shipped("latency_tables") / "pixel1.float32.csv")
    assert stored.info.method == "calibrated"
    assert "tensorflow/models" in stored.info.source
    text = " ".join(stored.notes)
    for said in ("networks left out", "resolutions left out", "MnasNet-A1", "ProxylessNAS", "Spearman", "Kendall tau"):
        assert said in text
    assert next(iter(stored.rates.eras)) == "TFLite 2018"
    assert 0.8 < stored.rates.eras["TFLite 2019"] < 0.9


# arXiv 1905.02244v5, table 3: families, or eras of a family, that the table is not fitted to
@pytest.mark.parametrize(
    ("name", "era", "published_ms"),
    [
        ("mnasnet_a1", "TFLite 2019", 71.0),
        ("mobilenet_v2", "TFLite 2019", 64.0),
        ("mobilenet_v2_0.35", "TFLite 2019", 16.6),
        ("mnasnet_a1", "TFLite 2018", 78.0),  # arXiv 1807.11626, table 1
    ],
)
def test_pixel1_agrees_with_what_it_was_not_fitted_to(name, era, published_ms):
    latency = load_predictor("pixel1").predict(models.get(name).graph())
    assert latency.eras[era] == pytest.approx(published_ms, rel=0.1)
    factor = latency.eras[era] / latency.ms
    assert factor * latency.low_ms < published_ms < factor * latency.high_ms


def test_a_table_of_the_users_own_is_taken_first(table, own_home):
    own = LatencyTable(
        LatencyTable.load(shipped("latency_tables") / "pixel1.float32.csv").info, dict(table), rates=table.rates
    )
    own.save(own_home / "latency_tables" / "pixel1.float32.csv")
    graph = models.get("mobilenet_v2").graph()
    assert load_predictor("pixel1").predict(graph).ms == pytest.approx(LatencyPredictor(own).predict(graph).ms)


def test_families_that_came_after_the_shipped_table_lie_within_its_interval():
    predictor = load_predictor("pixel1", "float32")
    found = read_network_list(BENCHMARKS / "pixel1" / "untouched.csv")
    assert [each.network for each in found] == ["mobilenet_v1", "mnasnet_small", "single_path_nas.json"]
    assert found[2].arch.graph().params == 4_421_616  # as timm's spnasnet_100
    for each in found:
        latency = predictor.predict(each.arch.graph())
        factor = latency.eras[each.era] / latency.ms
        assert factor * latency.low_ms < each.latency_ms < factor * latency.high_ms


def test_the_readme_says_of_the_pixel_1_what_the_benchmark_found():
    figures = json.loads((BENCHMARKS / "results" / "pixel1.json").read_text())["figures"]
    readme = " ".join((BENCHMARKS.parent / "README.md").read_text().split())
    left_out = (figures["networks_left_out_rmspe_percent"], figures["resolutions_left_out_rmspe_percent"])
    assert f"{left_out[0]} % on widths left out, {left_out[1]} % on resolutions left out" in readme
    assert f"TFLite 2019 over 2018: {figures['eras']['TFLite 2019']}" in readme
    every = figures["held_out_and_untouched_families"]
    assert f"all {every['networks']} | MAPE {figures['held_out_families']['mape_percent']} %" in readme
    assert f"{every['mape_percent']} %, {every['within_10_percent']:.0f} %, {every['worst_percent']:.0f} %" in readme
    low, high = figures["blocks"]["ratio_10th_and_90th_percentile"]
    assert f"single blocks {low:.2f} to {high:.2f}" in readme
    untouched = [round(100 * (predicted / taken - 1)) for taken, predicted in figures["untouched"].values()]
    assert "; " + ", ".join(f"{percent:+d}" for percent in untouched) + " %" in readme
