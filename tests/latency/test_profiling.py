"""Profiling on a device whose truth is known: resume, disturbance, failures, calibration."""

import json
import math
import re
import sys
from dataclasses import replace

import fake_runner
import numpy as np
import pytest
from fake_runner import FakeRunner, latency_us

from mobilenas.errors import DeviceError, InputError
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import (
    LatencyPredictor,
    LatencyTable,
    Profiler,
    calibration_networks,
    load_table,
    measuring,
    table_path,
    transferred_table,
    up_to_date_table,
)
from mobilenas.latency.calibration_set import PUBLISHED, networks_for
from mobilenas.latency.profiling import CHUNK, MOST_NETWORK_VISITS, NETWORK_VISITS, OP_VISITS
from mobilenas.latency.steady import SteadyRunner
from mobilenas.latency.support import support_ops
from mobilenas.runners import open_runner
from mobilenas.spaces.mnasnet import MnasNetSpace

OPS = [OpSpec(OpKind.CONV2D, ((7, 7, channels),), 8) for channels in range(8, 8 + 2 * CHUNK + 5)]


@pytest.fixture
def few_calibration_networks(monkeypatch):
    """Six small networks instead of 24, some of them of 224 pixels: what is tested does not depend on which."""

    def networks(space):
        return calibration_networks(space or MnasNetSpace(resolution=32, num_classes=10), count=6)

    monkeypatch.setattr(measuring, "networks_for", networks)


def truth_us(op, table):
    return latency_us(write_micro_model(op)) - table.info.overhead_us


def profile(device, ops=OPS, networks=None, progress=None):
    path = table_path(device, "float32")
    with open_runner(device) as runner:
        profiler = Profiler(
            device=device,
            dtype="float32",
            runner=runner,
            path=path,
            table=load_table(device, "float32"),
            progress=progress,
        )
        profiler.measure(ops, networks)
        return profiler


def test_every_op_is_measured_in_passes_and_saved(fake_device):
    profiler = profile(fake_device)
    table = LatencyTable.load(table_path(fake_device, "float32"))
    assert set(table) == set(OPS)
    for op in OPS:
        assert table[op].latency_us == pytest.approx(truth_us(op, table), abs=1e-3)
        assert table[op].visits == OP_VISITS
    # the overhead, then passes of three chunks, each with a sentinel on both sides
    assert FakeRunner.calls == [2, *[CHUNK + 2, CHUNK + 2, 5 + 2] * OP_VISITS]
    assert profiler.failures == {}
    assert not list(table_path(fake_device, "float32").parent.glob("*.partial"))


def test_only_what_is_missing_is_measured(fake_device):
    profile(fake_device, OPS[:5])
    FakeRunner.calls.clear()
    profile(fake_device, OPS[:8])
    assert FakeRunner.calls == [3 + 2] * OP_VISITS


@pytest.mark.parametrize("lose_after", [1, 2, 4, 5, 6])
def test_a_lost_device_loses_at_most_the_trip_in_flight(fake_device, lose_after):
    FakeRunner.lose_after = lose_after
    with pytest.raises(DeviceError, match="cable"):
        profile(fake_device)
    assert load_table(fake_device, "float32") is None
    done = FakeRunner.calls.copy()
    FakeRunner.lose_after = 10**9
    FakeRunner.calls.clear()
    profile(fake_device)
    trips = OP_VISITS * 3
    assert len(FakeRunner.calls) - 1 == trips - (len(done) - 1)
    table = load_table(fake_device, "float32")
    assert all(table[op].visits == OP_VISITS for op in OPS)


def test_progress_counts_what_an_earlier_run_wrote_down(fake_device):
    told = []
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=2)
    FakeRunner.lose_after = 8
    with pytest.raises(DeviceError, match="cable"):
        profile(fake_device, OPS[:5], networks, lambda *counts: told.append(counts))
    before = told[-1]
    FakeRunner.lose_after = 10**9
    told.clear()
    profile(fake_device, OPS[:5], networks, lambda *counts: told.append(counts))
    assert before[0] < told[0][0] <= before[0] + CHUNK
    assert told[-1] == (before[1], before[1])


def interrupted(device):
    """The journal of a profile that lost its device."""
    FakeRunner.lose_after = 5
    with pytest.raises(DeviceError):
        profile(device)
    FakeRunner.lose_after = 10**9
    return next(table_path(device, "float32").parent.glob("*.partial"))


def test_a_torn_journal_line_is_dropped(fake_device):
    partial = interrupted(fake_device)
    partial.write_bytes(partial.read_bytes()[:-9])
    profile(fake_device)
    table = load_table(fake_device, "float32")
    assert all(table[op].latency_us == pytest.approx(truth_us(op, table), abs=1e-3) for op in OPS)


@pytest.mark.parametrize(("key", "value"), [("cpu", "another"), ("forms", "1"), ("forms", None)])
def test_a_journal_of_another_machine_or_other_forms_is_not_used(fake_device, key, value):
    partial = interrupted(fake_device)
    first, *rest = partial.read_text().splitlines()
    header = json.loads(first)
    assert header["environment"].pop(key)
    if value:
        header["environment"][key] = value
    tampered = [json.dumps({**json.loads(line), "us": 1e6}) for line in rest]
    partial.write_text("\n".join([json.dumps(header), *tampered]) + "\n")
    profiler = profile(fake_device)
    assert max(row.latency_us for row in load_table(fake_device, "float32").values()) < 1e3
    assert json.loads(profiler.set_aside.read_text().splitlines()[0]) == header


@pytest.mark.parametrize("key", ["governor", "pinning"])
def test_a_journal_goes_on_where_only_what_the_system_chooses_has_changed(fake_device, key):
    partial = interrupted(fake_device)
    first, *rest = partial.read_text().splitlines()
    header = json.loads(first)
    header["environment"][key] += ", cpuset /background"
    partial.write_text("\n".join([json.dumps(header), *rest]) + "\n")
    told = []
    profiler = profile(fake_device, progress=lambda *counts: told.append(counts))
    assert profiler.set_aside is None
    assert told[0][0] > len(rest)


def test_a_first_profile_that_had_made_all_its_visits_ends_as_if_undisturbed(fake_device, monkeypatch):
    """Killed before it saved its table; nothing is left to visit, so that no sentinel is timed."""
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=6)
    whole = profile(fake_device, OPS[:5], networks).table
    table_path(fake_device, "float32").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(LatencyTable, "save", lambda self, path: sys.exit("killed"))
        with pytest.raises(SystemExit):
            profile(fake_device, OPS[:5], networks)
    FakeRunner.calls.clear()
    resumed = profile(fake_device, OPS[:5], networks).table
    assert FakeRunner.calls == [2]  # the overhead only
    assert dict(resumed) == dict(whole)
    assert resumed.networks == whole.networks
    assert resumed.info.usual_us == whole.info.usual_us


def test_a_journal_begins_anew_after_a_table_was_saved(fake_device):
    path = table_path(fake_device, "float32")
    with open_runner(fake_device) as runner:
        profiler = Profiler(device=fake_device, dtype="float32", runner=runner, path=path)
        profiler.measure(OPS[:2])
        FakeRunner.lose_after = len(FakeRunner.calls) + 1
        with pytest.raises(DeviceError, match="cable"):
            profiler.measure(OPS[2:4])
    FakeRunner.lose_after = 10**9
    FakeRunner.calls.clear()
    assert profile(fake_device, OPS[:4]).set_aside is None
    assert FakeRunner.calls == [2 + 2]
    assert [row.visits for row in load_table(fake_device, "float32").values()] == [OP_VISITS] * 4


def test_a_journal_of_before_has_no_slowness(fake_device):
    partial = interrupted(fake_device)
    first, *rest = map(json.loads, partial.read_text().splitlines())
    lines = [first, *({key: value for key, value in line.items() if key != "slowness"} for line in rest)]
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert profile(fake_device).set_aside is None


@pytest.mark.parametrize(
    ("key", "value"), [("us", -1.0), ("us", math.nan), ("beside_us", 0.0), ("beside_us", math.inf), ("slowness", 0.5)]
)
def test_a_journal_with_impossible_figures_is_set_aside(fake_device, key, value):
    partial = interrupted(fake_device)
    lines = [json.loads(line) for line in partial.read_text().splitlines()]
    lines[1][key] = value
    partial.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert profile(fake_device).set_aside is not None


def test_a_slow_episode_is_noticed_and_its_visits_are_made_again(fake_device):
    # trips 5 and 6 of the run are 20 % slower; so is the first try of repeating them
    FakeRunner.slow = staticmethod(lambda call: 1.2 if call in (5, 6, 8) else 1.0)
    profiler = profile(fake_device)
    assert profiler.steady.repeated_visits >= 2
    table = profiler.table
    for op in OPS:
        assert table[op].latency_us == pytest.approx(truth_us(op, table), rel=0.02)


def test_a_refused_op_is_left_out_and_named(fake_device):
    refused = OPS[3]
    FakeRunner.refuse = write_micro_model(refused)
    profiler = profile(fake_device, OPS[:6])
    assert set(profiler.table) == set(OPS[:6]) - {refused}
    assert profiler.failures == {str(refused): "refused"}


def test_networks_calibrate_the_sum(fake_device):
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=8)
    table = profile(fake_device, [], networks).table
    assert {n.name for n in table.networks} == set(networks)
    for network in table.networks:
        graph = networks[network.name]
        whole = latency_us(write_tflite(graph, random_weights(graph))) - table.info.overhead_us
        assert network.measured_us == pytest.approx(whole, rel=1e-6)
        predicted = table.calibration.network_us(network.op_sum_us, network.footprint_bytes)
        assert predicted == pytest.approx(network.measured_us, rel=0.05)
    assert load_table(fake_device, "float32").calibration == table.calibration


def test_behind_a_gate_networks_are_visited_until_their_fastest_visits_agree(fake_device, monkeypatch):
    """Every sixth visit is undisturbed, from the first on: the third such is the last."""
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=2)
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    overhead = 0  # the first trip
    FakeRunner.slow = staticmethod(lambda call: 1.0 if call == overhead or call % 6 == 1 else 1.05 + 0.01 * call)
    with open_runner(fake_device) as runner:
        path = table_path(fake_device, "float32")
        profiler = Profiler(device=fake_device, dtype="float32", runner=runner, path=path)
        _, found_us = profiler.measure_apart([], networks)
    assert len(FakeRunner.calls) == 1 + 13
    for name, graph in networks.items():
        whole = latency_us(write_tflite(graph, random_weights(graph)))
        assert found_us[name] == pytest.approx(whole, rel=0.001)


def test_without_a_gate_networks_have_no_more_visits_than_the_sentinel_asks_for(fake_device):
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=1)
    FakeRunner.slow = staticmethod(lambda call: 1.0 + 0.03 * (call % 2))
    with open_runner(fake_device) as runner:
        path = table_path(fake_device, "float32")
        Profiler(device=fake_device, dtype="float32", runner=runner, path=path).measure_apart([], networks)
    assert len(FakeRunner.calls) == 1 + NETWORK_VISITS


def test_networks_of_a_slow_session_are_held_against_the_tables_sentinel(fake_device, monkeypatch):
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    table = profile(fake_device, OPS[:2]).table
    usual_us = latency_us(SteadyRunner(open_runner(fake_device)).network.write())
    table = table.updated(replace(table.info, sentinel_network_us=usual_us), {})
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=1)
    FakeRunner.slow = staticmethod(lambda call: 1.2)
    with open_runner(fake_device) as runner:
        path = table_path(fake_device, "float32")
        profiler = Profiler(device=fake_device, dtype="float32", runner=runner, path=path, table=table)
        _, found_us = profiler.measure_apart([], networks)
    ((name, graph),) = networks.items()
    assert found_us[name] == pytest.approx(1.2**0.25 * latency_us(write_tflite(graph, random_weights(graph))))


def test_a_network_that_fails_after_good_visits_is_no_calibration_network(fake_device, monkeypatch):
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=2)
    refused, fine = networks
    file = write_tflite(networks[refused], random_weights(networks[refused]))

    def slow(call):
        FakeRunner.refuse = file if call >= 4 else b"\xff never"
        return 1.0

    FakeRunner.slow = staticmethod(slow)
    with open_runner(fake_device) as runner:
        path = table_path(fake_device, "float32")
        profiler = Profiler(device=fake_device, dtype="float32", runner=runner, path=path)
        _, found_us = profiler.measure_apart([], networks)
    assert profiler.failures == {refused: "refused"}
    assert set(found_us) == {fine}


def test_networks_that_never_agree_have_a_last_visit(fake_device, monkeypatch):
    networks = calibration_networks(MnasNetSpace(resolution=32, num_classes=10), count=1)
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    FakeRunner.slow = staticmethod(lambda call: 1.0 + 0.03 * call)
    with open_runner(fake_device) as runner:
        path = table_path(fake_device, "float32")
        Profiler(device=fake_device, dtype="float32", runner=runner, path=path).measure_apart([], networks)
    assert len(FakeRunner.calls) == 1 + MOST_NETWORK_VISITS


def test_calibration_networks_span_work_and_weights():
    space = MnasNetSpace(resolution=32, num_classes=10)
    networks = calibration_networks(space, count=10)
    assert len(networks) == 10
    assert all(name.startswith("mnasnet@32#") for name in networks)
    macs = sorted(graph.macs for graph in networks.values())
    assert macs[-1] > 1.8 * macs[0]
    assert list(calibration_networks(space, count=10)) == list(networks)


def test_a_table_is_calibrated_on_the_space_and_on_published_networks():
    networks = networks_for(MnasNetSpace(resolution=224))
    assert sum(name.startswith("mnasnet@224#") for name in networks) == 10
    assert {name.partition("@")[0] for name in networks} >= set(PUBLISHED)
    sizes = {graph.input_shapes[0][0] for name, graph in networks.items() if "#" not in name}
    assert sizes == {224, 128}


def test_an_up_to_date_table_is_not_measured_again(fake_device, few_calibration_networks):
    space = MnasNetSpace(resolution=32, num_classes=10)
    first = up_to_date_table(fake_device, "float32", OPS[:4], space=space)
    FakeRunner.calls.clear()
    second = up_to_date_table(fake_device, "float32", OPS[:4], space=space)
    assert FakeRunner.calls == []
    assert second.to_csv() == first.to_csv()
    up_to_date_table(fake_device, "float32", OPS[:4], space=space, fresh=True)
    assert FakeRunner.calls


def test_a_table_of_an_earlier_version_is_calibrated_anew_and_keeps_its_ops(fake_device, few_calibration_networks):
    space = MnasNetSpace(resolution=32, num_classes=10)
    up_to_date_table(fake_device, "float32", OPS[:4], space=space)
    first = load_table(fake_device, "float32")
    path = table_path(fake_device, "float32")
    path.write_text(path.read_text().replace(", cache_mb ", ", knee_mb "))
    FakeRunner.calls.clear()
    second = up_to_date_table(fake_device, "float32", OPS[:4], space=space)
    assert dict(second.ops) == dict(first.ops)
    assert [network.name for network in second.networks] == [network.name for network in first.networks]
    assert second.calibration.scale == pytest.approx(first.calibration.scale)
    assert FakeRunner.calls


def test_a_table_of_another_machine_is_measured_anew(fake_device, few_calibration_networks):
    notes = []
    up_to_date_table(fake_device, "float32", OPS[:4])
    FakeRunner.cpu = "newer cpu"
    table = up_to_date_table(fake_device, "float32", OPS[:4], note=notes.append)
    assert table.info.cpu == "newer cpu"
    assert any("another machine" in text for text in notes)
    old = table_path(fake_device, "float32").with_name("fake.float32.csv.old")
    assert f"the table that was there is kept as {old}" in notes
    assert LatencyTable.load(old).info.cpu != LatencyTable.load(table_path(fake_device, "float32")).info.cpu


def test_an_unwritable_home_is_an_error(fake_device, own_home):
    own_home.write_text("a file where the folder should be")
    with pytest.raises(InputError, match="cannot write"):
        profile(fake_device)


def test_a_share_of_the_ops_is_measured_and_stays_enough(fake_device, few_calibration_networks):
    space = MnasNetSpace(resolution=32, num_classes=10)
    ops = sorted(space.distinct_ops(), key=str)
    table = up_to_date_table(fake_device, "float32", ops, space=space, share=0.4)
    assert sum(op in table for op in ops) == -(-4 * len(ops) // 10)
    assert set(table) - set(ops) <= set(support_ops())
    assert table.info.share == 0.4
    assert len(table.networks) == 6
    FakeRunner.calls.clear()
    again = up_to_date_table(fake_device, "float32", ops, space=space)
    assert FakeRunner.calls == []
    assert again.to_csv() == table.to_csv()
    missing = [op for op in ops if op not in table][:3]
    more = up_to_date_table(fake_device, "float32", missing)
    assert set(more) == {*table, *missing}


def test_ops_that_are_too_short_for_the_clock_are_measured_in_copies(fake_device, monkeypatch):
    def whole_us(model):
        """A clock of whole microseconds; 1 us an inference, 0.37 us a convolution, nothing for what finds that out."""
        ops = len(set(re.findall(rb"\bop(?:_\d+)?\b", model.replace(b"mobilenas op", b""))))
        return float(round(1.0 + 0.37 * ops))

    monkeypatch.setattr(fake_runner, "latency_us", whole_us)
    plain = profile(fake_device, OPS[:5])
    assert {row.latency_us for row in plain.table.values()} == {0.0001}  # the least that a table holds
    table_path(fake_device, "float32").unlink()
    FakeRunner.calls.clear()
    monkeypatch.setattr(FakeRunner, "least_us", 20.0)
    profiler = profile(fake_device, OPS[:5])
    for row in profiler.table.values():
        assert row.latency_us == pytest.approx(0.37, abs=0.05)
        assert row.visits == OP_VISITS
    assert FakeRunner.calls == [
        2,
        5 + 2,
        5 + 2,
        *[5 + 2] * (OP_VISITS - 1),
    ]  # only the first round finds out that they are short


def test_support_ops_are_what_a_space_does_not_have():
    ops = support_ops()
    assert support_ops() == ops
    assert len(set(ops)) == len(ops) < 300
    convs = [op for op in ops if op.kind is OpKind.CONV2D]
    assert sum(op.out_channels % 8 > 0 for op in convs) > len(convs) / 2
    assert {op.kind for op in ops} >= {OpKind.SILU, OpKind.HARD_SWISH, OpKind.SIGMOID, OpKind.MEAN, OpKind.ADD}


def test_a_refused_op_does_not_stall_the_choice(fake_device, few_calibration_networks):
    space = MnasNetSpace(resolution=32, num_classes=10)
    ops = sorted(space.distinct_ops(), key=str)
    FakeRunner.refuse = write_micro_model(ops[0])
    table = up_to_date_table(fake_device, "float32", ops, space=space, share=0.99)
    assert ops[0] not in table
    assert len(table) >= 0.99 * len(ops) - 1


def test_a_transferred_table_is_stored_and_left_as_it_is(fake_device, few_calibration_networks):
    space = MnasNetSpace(resolution=64, num_classes=10)
    source = up_to_date_table(fake_device, "float32", space.distinct_ops(), space=space)
    other = replace(fake_device, name="other")
    table = transferred_table(other, "float32", source, space=space, networks=8)
    assert load_table(other, "float32").to_csv() == table.to_csv()
    assert table.info.method == "calibrated"
    assert len(table.networks) == 8
    graph = space.decode(space.sample(np.random.default_rng(7))).graph()
    assert LatencyPredictor(table).predict(graph).ms == pytest.approx(
        LatencyPredictor(source).predict(graph).ms, rel=0.1
    )
    FakeRunner.calls.clear()
    foreign = OPS[:3]
    assert up_to_date_table(other, "float32", foreign).to_csv() == table.to_csv()
    assert FakeRunner.calls == []


def test_an_op_that_takes_no_longer_than_the_overhead_is_no_row_of_0(fake_device, monkeypatch):
    monkeypatch.setattr("mobilenas.latency.steady.undisturbed", lambda *seen: 0.0)
    profile(fake_device, OPS[:3])
    table = LatencyTable.load(table_path(fake_device, "float32"))
    assert [table[op].latency_us for op in OPS[:3]] == [1e-4] * 3
