"""What the agent does about a processor that others share: on a clock of ours, with invokes that advance it."""

import types

import numpy as np
import pytest

from mobilenas.runners import _litert_agent as agent

GATE_NS, MODEL_NS = 30_000, 200_000


class Machine:
    """A clock, a gate and a model; everything takes `factor` times as long in the disturbed stretches."""

    def __init__(self, *disturbed_s, factor=1.6):
        self.now, self.disturbed_s, self.factor = 0, disturbed_s, factor
        self.clock = types.SimpleNamespace(perf_counter_ns=lambda: self.now)

    def slow(self):
        return any(begin <= self.now / 1e9 < end for begin, end in self.disturbed_s)

    def takes(self, ns):
        def invoke():
            self.now += int(ns * (self.factor if self.slow() else 1))

        return invoke


@pytest.fixture
def on(monkeypatch):
    def make(*disturbed_s, **settings):
        machine = Machine(*disturbed_s, **settings)
        monkeypatch.setattr(agent, "time", machine.clock)
        return machine, agent.Gate(machine.takes(GATE_NS))

    return make


def request(**fields):
    return {"runs": 40, "seconds": 0.02, "wait_seconds": 2.0, **fields}


def test_on_a_quiet_machine_nobody_waits(on):
    machine, gate = on()
    times, quiet, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request())
    assert slowness == 1.0
    assert times == quiet
    assert set(times) == {MODEL_NS}
    assert len(times) >= agent.LEAST_RUNS
    assert waited_ns < 1e6


def test_runs_wait_for_a_quiet_moment(on):
    machine, gate = on((0.5, 1.2))
    machine.now = int(0.6e9)
    _, quiet, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request())
    assert slowness == 1.0
    assert set(quiet) == {MODEL_NS}
    assert waited_ns == pytest.approx(0.6e9, rel=0.01)


def test_bursts_that_a_disturbance_cut_into_do_not_count(on):
    machine, gate = on((1.003, 1.1))
    machine.now = int(1e9)
    times, quiet, slowness, _ = agent.watched_runs(gate, machine.takes(MODEL_NS), request())
    assert slowness == 1.0
    assert max(times) > MODEL_NS
    assert set(quiet) == {MODEL_NS}


def test_where_no_moment_is_quiet_the_least_slow_runs_count_and_say_how_slow(on):
    machine, gate = on((0.5, 100))
    machine.now = int(0.6e9)
    _, quiet, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request(wait_seconds=0.5))
    assert slowness == pytest.approx(1.6, rel=0.01)
    assert set(quiet) == {int(1.6 * MODEL_NS)}
    assert waited_ns == pytest.approx(0.5e9, rel=0.01)


def test_a_session_that_begins_in_a_busy_time_waits_where_an_earlier_one_knows_better(on):
    for usual_ns, waits, found_ns in ((0.0, 0.0, 1.6 * MODEL_NS), (GATE_NS, 0.7, MODEL_NS)):
        machine, gate = on((0.0, 1.0))
        gate.usual_ns = usual_ns
        _, quiet, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request())
        assert slowness == 1.0
        assert set(quiet) == {int(found_ns)}
        assert waited_ns == pytest.approx(waits * 1e9, rel=0.02, abs=1e6)


def test_a_processor_that_stays_slower_than_usual_is_waited_for_no_longer_than_asked(on):
    machine, gate = on((0.0, 1000))
    gate.usual_ns = GATE_NS
    _, quiet, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request(wait_seconds=0.5))
    assert slowness == pytest.approx(1.6, rel=0.01)
    assert set(quiet) == {int(1.6 * MODEL_NS)}
    assert waited_ns == pytest.approx(0.5e9, rel=0.01)


def test_a_processor_that_is_faster_than_usual_has_a_new_best(on):
    machine, gate = on((1.0, 1000))
    gate.usual_ns = 2 * GATE_NS
    machine.now = int(1.5e9)
    assert gate.slowness() == pytest.approx(1.6, rel=0.01)
    assert gate.best_ns() == GATE_NS


def test_without_patience_runs_are_made_as_the_machine_is(on):
    machine, gate = on((0.5, 100))
    machine.now = int(0.6e9)
    times, _, slowness, waited_ns = agent.watched_runs(gate, machine.takes(MODEL_NS), request(wait_seconds=0.0))
    assert slowness > agent.QUIET
    assert sum(times) == pytest.approx(0.02e9, rel=0.5)
    assert waited_ns < 5e6


def test_a_processor_that_throttles_has_a_new_best_after_a_while(on):
    machine, gate = on((1.0, 1000))
    machine.now = int(2e9)
    assert gate.slowness() == pytest.approx(1.6, rel=0.01)
    machine.now = int(2e9 + agent.WINDOW_NS)
    assert gate.slowness() == 1.0


def test_the_best_is_the_fastest_of_the_window_for_any_course(on):
    machine, gate = on()
    rng, seen = np.random.default_rng(0), []
    for _ in range(2000):
        machine.now += int(rng.integers(1, 10**8))
        cost = int(rng.integers(100, 1000))
        gate.invoke = machine.takes(cost)
        found = gate.slowness()
        seen.append((machine.now, cost))
        best = min(ns for when, ns in seen if when >= machine.now - agent.WINDOW_NS)
        if machine.now > 3e8 + agent.WINDOW_NS:  # the first looks were faster or slower than these
            assert found == cost / best


def test_long_models_run_once_a_burst_and_short_ones_leave_their_first_out(on):
    machine, gate = on()
    times, *_ = agent.watched_runs(gate, machine.takes(50_000_000), request(seconds=0.05))
    assert times == [50_000_000] * agent.LEAST_RUNS
    assert agent.burst(machine.clock.perf_counter_ns, machine.takes(10**6), 40) == [10**6] * 5
    assert agent.burst(machine.clock.perf_counter_ns, machine.takes(1000), 40) == [1000] * 40
