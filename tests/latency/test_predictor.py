"""Sums, the footprint term, the interval, and that nothing is ever silently zero."""

import math
from dataclasses import replace

import pytest

from mobilenas.errors import InputError
from mobilenas.graph import GraphBuilder, OpKind
from mobilenas.latency import Calibration, CalibrationNetwork, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.latency.rates import PRIOR


@pytest.fixture
def graph():
    builder = GraphBuilder((32, 32, 3))
    x = builder.conv2d(builder.inputs[0], 16, name="stem", kernel_size=3, stride=2, activation="relu")
    for i in range(2):
        y = builder.depthwise_conv2d(x, name=f"depthwise{i}", activation="hard_swish")
        x = builder.add(x, builder.conv2d(y, 16, name=f"project{i}"), name=f"add{i}")
    return builder.finish(builder.fully_connected(builder.mean(x, name="pool"), 10, name="classifier"))


def table_of(graph, calibration=None, overhead_us=0.5):
    rows = {op: Measurement(10.0 * (i + 1)) for i, op in enumerate(graph.op_counts())}
    return LatencyTable(TableInfo(device="d", overhead_us=overhead_us), rows, calibration=calibration)


def test_sum_of_ops_by_hand(graph):
    # stem 10, depthwise 2 x 20, hard_swish 2 x 30, project 2 x 40, add 2 x 50, mean 60, classifier 70
    latency = LatencyPredictor(table_of(graph)).predict(graph)
    assert latency.ms == pytest.approx((10 + 40 + 60 + 80 + 100 + 60 + 70 + 0.5) / 1e3)
    assert latency.footprint_ms == 0
    assert latency.unmeasured == ()
    assert {cost.source for cost in latency.by_op.values()} == {"measured"}


def test_ops_that_were_timed_apart_are_calibrated_as_those_of_the_table(graph):
    predictor = LatencyPredictor(table_of(graph, Calibration(scale=1.1, error=0.02)))
    latency = predictor.predict(graph)
    (hard_swish,) = (op for op in graph.op_counts() if op.kind is OpKind.HARD_SWISH)
    moved = predictor.predict(graph, {hard_swish: 130.0})
    assert moved.ms - latency.ms == pytest.approx(1.1 * 2 * (130 - 30) / 1e3)
    assert moved.by_op[hard_swish].latency_us == 130
    assert predictor.predict(graph) == latency == predictor.predict(graph, {})


def test_footprint_is_paid_beyond_the_cache(graph):
    size_mb = (graph.weight_bytes() + graph.peak_memory_bytes()) / 1e6
    calibration = Calibration(scale=2.0, us_per_mb=1e6, cache_mb=size_mb / 2, error=0.02)
    latency = LatencyPredictor(table_of(graph, calibration)).predict(graph)
    assert latency.footprint_ms == pytest.approx(1e3 * size_mb / 2)
    assert latency.ms == pytest.approx((2 * 420 + 0.5) / 1e3 + latency.footprint_ms)
    half = 1.645 * 0.025 * latency.ms  # 2 % of the calibration, 1.5 % between sessions
    assert latency.high_ms - latency.ms == pytest.approx(half)
    assert latency.ms - latency.low_ms == pytest.approx(half)


def test_what_is_counted_does_not_differ_between_sessions(graph):
    table = table_of(graph, Calibration(error=0.02))
    counted = LatencyPredictor(table.updated(replace(table.info, unit="instructions"), {})).predict(graph)
    assert counted.high_us - counted.latency_us == pytest.approx(1.645 * 0.02 * counted.latency_us)


@pytest.mark.parametrize("kind", sorted({"conv2d", "depthwise_conv2d", "hard_swish", "add", "mean", "fully_connected"}))
def test_a_missing_kind_is_interpolated_and_named(graph, kind):
    full = table_of(graph)
    rows = {op: row for op, row in full.items() if op.kind is not OpKind(kind)}
    latency = LatencyPredictor(LatencyTable(full.info, rows)).predict(graph)
    assert {op.kind for op in latency.unmeasured} == {OpKind(kind)}
    for op in latency.unmeasured:
        assert latency.by_op[op].source == "interpolated"
        assert latency.by_op[op].latency_us > 0
        assert latency.by_op[op].error_us > 0
    whole = LatencyPredictor(full).predict(graph)
    assert latency.high_ms / latency.ms > whole.high_ms / whole.ms


@pytest.mark.parametrize(("method", "factor"), [("calibrated", 1 + 0.4 * 2), ("measured", 1)])
def test_the_interval_is_wider_beyond_the_networks_of_a_calibrated_table(graph, method, factor):
    full = table_of(graph)  # 420.5 us
    for taken_us, is_beyond in ((105.0, True), (1680.0, True), (420.0, False), (430.0, False)):
        networks = (CalibrationNetwork("n", 1.0, 1, taken_us),)
        info = TableInfo(device="d", overhead_us=0.5, method=method)
        calibration = Calibration(error=0.1)
        latency = LatencyPredictor(LatencyTable(info, full, networks, calibration)).predict(graph)
        wanted = factor if is_beyond else 1
        half = 1.645 * math.hypot(0.1 * wanted, 0.015)  # 10 % of the calibration, 1.5 % between sessions
        assert latency.high_ms / latency.ms - 1 == pytest.approx(half, rel=0.02)
        assert latency.extrapolated == (is_beyond and method == "calibrated")


def test_an_empty_table_raises(graph):
    with pytest.raises(InputError, match="mobilenas profile"):
        LatencyPredictor(LatencyTable(TableInfo(device="d"))).predict(graph)


def test_what_a_calibrated_table_lacks_is_estimated_and_named(graph):
    ops = list(graph.op_counts())
    table = LatencyTable(TableInfo(device="d", method="calibrated"), {ops[0]: Measurement(9.0)}, rates=PRIOR)
    latency = LatencyPredictor(table).predict(graph)
    assert latency.unmeasured == tuple(ops[1:])
    assert {op: latency.by_op[op].source for op in ops[:2]} == {ops[0]: "calibrated", ops[1]: "estimated"}


def test_rows_of_0_are_interpolated_and_named(graph):
    full = table_of(graph)
    rows = {op: Measurement(0.0) if op.kind is OpKind.CONV2D else row for op, row in full.items()}
    latency = LatencyPredictor(LatencyTable(full.info, rows)).predict(graph)
    assert {op.kind for op in latency.unmeasured} == {OpKind.CONV2D}
    assert all(latency.by_op[op].latency_us > 0.1 for op in latency.unmeasured)
