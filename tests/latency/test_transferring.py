"""A table from another device's table and a few networks, where the truth is known."""

import numpy as np
import pytest

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.latency import (
    Calibration,
    LatencyPredictor,
    LatencyTable,
    MeasuredNetwork,
    Measurement,
    TableInfo,
    telling_ops,
    transfer,
)
from mobilenas.latency.calibration_set import PUBLISHED
from mobilenas.latency.footprint import Footprint
from mobilenas.latency.rates import PRIOR
from mobilenas.latency.ratios import Ratios, group
from mobilenas.spaces.mnasnet import MnasNetSpace

NEW = TableInfo(device="new", dtype="float32", overhead_us=2.0)
FACTORS = {"conv2d 1": 3.0, "conv2d 3": 2.4, "depthwise_conv2d 3": 5.0, "depthwise_conv2d 5 and more": 4.0}


def old_us(op):
    return 0.3 + op.macs / 4e4 + op.activation_bytes() / 4e5


def new_us(op):
    return old_us(op) * FACTORS.get(group(op), 3.5)


@pytest.fixture(scope="module")
def graphs():
    """Ten networks to fit, twenty to test."""
    space = MnasNetSpace(resolution=96, num_classes=100)
    rng = np.random.default_rng(0)
    samples = [space.decode(space.sample(rng)).graph() for _ in range(25)]
    return [*samples[:5], *(models.get(n, resolution=96).graph() for n in PUBLISHED[:5])], samples[5:]


@pytest.fixture(scope="module")
def source(graphs):
    ops = {op for some in graphs for graph in some for op in graph.op_counts()}
    rows = {op: Measurement(old_us(op)) for op in sorted(ops, key=str)}
    return LatencyTable(TableInfo(device="old", overhead_us=0.5), rows)


def whole_us(graph, noise=1.0):
    return NEW.overhead_us + noise * sum(n * new_us(op) for op, n in graph.op_counts().items())


def measured(graphs, noise=0.0):
    rng = np.random.default_rng(1)
    return [MeasuredNetwork(f"n{i}", g, whole_us(g, 1 + noise * rng.normal())) for i, g in enumerate(graphs)]


def rmspe(table, graphs):
    predictor = LatencyPredictor(table)
    return float(np.sqrt(np.mean([(predictor.predict(g).ms * 1e3 / whole_us(g) - 1) ** 2 for g in graphs])))


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_ten_networks_give_the_factors_of_the_groups(graphs, source, noise):
    table = transfer(source, NEW, measured(graphs[0], noise))
    assert rmspe(table, graphs[1]) < 0.01 + 2 * noise
    one = one_factor(source, graphs[0])
    assert rmspe(table, graphs[1]) < rmspe(one, graphs[1]) / (4 if noise == 0 else 1)
    assert table.info.method == "calibrated"
    assert table.info.source == "old.float32, 1 threads, transferred with 10 networks"
    assert table.calibration.error >= 0.01
    assert len(table.networks) == 10


def one_factor(source, graphs):
    """What one would try first: the old predictions times one fitted factor."""
    sums = [sum(n * old_us(op) for op, n in g.op_counts().items()) for g in graphs]
    factor = np.median([whole_us(g) / s for g, s in zip(graphs, sums, strict=True)])
    return LatencyTable(NEW, dict(source), calibration=Calibration(scale=float(factor)))


def test_a_device_that_is_like_no_other_is_started_from_the_data_sheet(graphs, source):
    """The new device charges by the data sheet, at half speed; the old one's latencies say nothing of it."""
    rng = np.random.default_rng(2)
    unlike = LatencyTable(source.info, {op: Measurement(float(rng.uniform(1, 1000))) for op in source})

    def taken_us(graph):
        return NEW.overhead_us + sum(2 * n * PRIOR.op_us(op) for op, n in graph.op_counts().items())

    few = [MeasuredNetwork(f"n{i}", graph, taken_us(graph)) for i, graph in enumerate(graphs[0])]
    table = transfer(unlike, NEW, few)
    assert table.info.source.startswith("old.float32, 1 threads (and for 100 % from a phone's data sheet)")
    predicted = [1e3 * LatencyPredictor(table).predict(graph).ms for graph in graphs[1]]
    assert predicted == pytest.approx([taken_us(graph) for graph in graphs[1]], rel=0.03)


def test_single_ops_help_where_networks_are_few(graphs, source):
    few = measured(graphs[0][:5], 0.02)
    ops = {op: new_us(op) for op in list(source)[::40]}
    with_ops = transfer(source, NEW, few, ops)
    assert rmspe(with_ops, graphs[1]) <= rmspe(transfer(source, NEW, few), graphs[1])
    for op, latency_us in ops.items():
        assert with_ops[op].latency_us == latency_us


def test_ratios_that_depend_on_the_shape_need_ops(graphs, source):
    """Within the 1x1 convolutions the ratio falls with the channels: no factor a group can say that."""

    def shaped_us(op):
        return old_us(op) * (8 / op.in_shapes[0][2]) ** 0.3

    def shaped_whole_us(graph):
        return NEW.overhead_us + sum(n * shaped_us(op) for op, n in graph.op_counts().items())

    def op_error(table):
        return np.median([abs(r.latency_us / shaped_us(op) - 1) for op, r in table.items() if group(op) == "conv2d 1"])

    networks = [MeasuredNetwork(f"n{i}", g, shaped_whole_us(g)) for i, g in enumerate(graphs[0])]
    telling = telling_ops(source, graphs[0], 40)
    assert len(set(telling)) == 40
    ops = {op: shaped_us(op) for op in telling}
    with_ops = transfer(source, NEW, networks, ops)
    assert op_error(with_ops) < 0.07
    assert op_error(with_ops) < 0.5 * op_error(transfer(source, NEW, networks))
    assert with_ops.info.source.endswith("transferred with 10 networks and 40 ops")


def test_the_telling_ops_are_those_that_take_the_time(graphs, source):
    shares = {}
    for graph in graphs[0]:
        total = sum(n * old_us(op) for op, n in graph.op_counts().items())
        for op, n in graph.op_counts().items():
            shares[op] = shares.get(op, 0) + n * old_us(op) / total
    chosen = telling_ops(source, graphs[0], 20)
    assert np.mean([shares[op] for op in chosen]) > 2 * np.mean(list(shares.values()))
    assert {group(op) for op in chosen} >= {"conv2d 1", "depthwise_conv2d 3"}
    assert telling_ops(source, graphs[0], 5) == chosen[:5]


def test_no_factor_is_negative_when_groups_go_together(graphs, source):
    """Networks of one shape tell nothing about single groups: the penalty holds them to the common factor."""
    same = [MeasuredNetwork(f"n{i}", graphs[0][0], whole_us(graphs[0][0]) * (1 + 0.02 * i)) for i in range(5)]
    table = transfer(source, NEW, same)
    ratios = {group(op): row.latency_us / old_us(op) for op, row in table.items()}
    assert min(ratios.values()) > 0
    assert rmspe(table, graphs[1]) < 0.3


def test_the_stored_error_is_that_of_networks_left_out(graphs, source):
    noisy = transfer(source, NEW, measured(graphs[0], 0.05))
    assert 0.03 < noisy.calibration.error < 0.12


@pytest.mark.parametrize("factor", [100.0, 5.0, 0.2, 0.01])
def test_a_network_measured_wrongly_counts_for_little_and_is_named(graphs, source, factor):
    networks = measured(graphs[0], 0.01)
    networks[3] = MeasuredNetwork("wrong", networks[3].graph, networks[3].latency_us * factor)
    table = transfer(source, NEW, networks)
    assert rmspe(table, graphs[1]) < 0.04
    assert table.calibration.error < 0.2
    (said,) = table.notes
    found = float(said.removeprefix("wrong took ").partition(" ")[0])
    assert found == pytest.approx(factor, rel=0.15)
    assert "measure it again" in said


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02, 0.05])
def test_noise_of_networks_names_none(graphs, source, noise):
    assert transfer(source, NEW, measured(graphs[0], noise)).notes == ()


def test_two_networks_measured_wrongly_are_both_named(graphs, source):
    networks = measured(graphs[0], 0.01)
    for i, factor in ((2, 0.7), (8, 1.5)):
        networks[i] = MeasuredNetwork(networks[i].name, networks[i].graph, factor * networks[i].latency_us)
    table = transfer(source, NEW, networks)
    assert [note.split()[0] for note in table.notes] == ["n2", "n8"]
    assert rmspe(table, graphs[1]) < 0.04


def test_an_op_measured_wrongly_counts_for_little(graphs, source):
    telling = telling_ops(source, graphs[0], 40)
    known = {op: new_us(op) for op in telling}
    known[telling[0]] *= 30
    table = transfer(source, NEW, measured(graphs[0], 0.01), known)
    others = [g for g in graphs[1] if telling[0] not in g.op_counts()]
    assert others
    assert rmspe(table, others) < 0.04


def test_too_few_networks(graphs, source):
    with pytest.raises(InputError, match="4 networks were measured, but a transfer needs at least 5"):
        transfer(source, NEW, measured(graphs[0][:4]))


@pytest.mark.parametrize("latency_us", [0.0, -4.0, float("nan"), float("inf"), NEW.overhead_us, 1e13])
def test_latencies_that_are_none_are_refused_by_name(graphs, source, latency_us):
    networks = measured(graphs[0][:5])
    bad = [*networks[:4], MeasuredNetwork("the last", graphs[0][4], latency_us)]
    with pytest.raises(
        InputError, match=rf"network 'the last': latency {latency_us:g} us is not accepted".replace("+", r"\+")
    ):
        transfer(source, NEW, bad)
    if latency_us != NEW.overhead_us:
        op = next(iter(source))
        with pytest.raises(InputError, match=r"us is not accepted; give 0\.0001 to 1e"):
            transfer(source, NEW, networks, {op: latency_us})


def test_a_network_given_twice_is_refused(graphs, source):
    networks = measured(graphs[0][:5])
    with pytest.raises(InputError, match="network 'n1' was given twice; give each once"):
        transfer(source, NEW, [*networks, networks[1]])


@pytest.mark.parametrize("footprint", Footprint)
def test_sums_have_the_footprint_of_the_sources_calibration(graphs, source, footprint):
    calibration = Calibration(1.1, 40.0, 1.0, 0.02, 10, footprint=footprint)
    table = LatencyTable(source.info, dict(source), calibration=calibration)
    (known, _) = graphs
    space = Ratios(dict.fromkeys(op for graph in known for op in graph.op_counts()), LatencyPredictor(table))
    megabytes = np.array([footprint.of(graph, "float32") for graph in known]) / 1e6
    np.testing.assert_allclose(space.sums(known, "float32")[:, -1], 40.0 * np.maximum(megabytes - 1.0, 0.0))


def test_what_was_transferred_reads_back(graphs, source, tmp_path):
    networks = [MeasuredNetwork(f"a | b\n{n.name}", n.graph, n.latency_us) for n in measured(graphs[0][:5])]
    transfer(source, NEW, networks).save(tmp_path / "new.csv")
    assert len(LatencyTable.load(tmp_path / "new.csv").networks) == 5
