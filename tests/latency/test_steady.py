"""SteadyRunner on a device that is disturbed when the test says so."""

from dataclasses import replace

import pytest
from fake_runner import FakeRunner, latency_us

from mobilenas.errors import DeviceError
from mobilenas.latency import SteadyRunner
from mobilenas.latency import steady as steady_module
from mobilenas.latency.sentinel import Visit
from mobilenas.latency.steady import NETWORK_CHUNK, NETWORK_STRIDE
from mobilenas.runners import Failure, Patience, Timing, TimingProtocol, open_runner

FILES = [bytes([65 + i]) * 1000 * (i + 1) for i in range(NETWORK_CHUNK + 1)]
PROTOCOL = TimingProtocol(visits=3, runs=5)


@pytest.fixture
def pauses(monkeypatch):
    """Pauses are noted instead of waited for; they pass on the clock."""
    slept = []
    monkeypatch.setattr(steady_module.time, "sleep", slept.append)
    monkeypatch.setattr(steady_module.time, "monotonic", lambda: sum(slept))
    return slept


def steady(device, **usual):
    with open_runner(device) as runner:
        return SteadyRunner(runner, **usual)


def test_an_undisturbed_device_is_asked_once_a_visit_and_chunk(fake_device, pauses):
    runner = steady(fake_device)
    timings = runner.measure(FILES, PROTOCOL)
    assert [t.latency_us for t in timings] == [latency_us(file) for file in FILES]
    assert [t.visits for t in timings] == [3] * len(FILES)
    assert FakeRunner.calls == [NETWORK_CHUNK + NETWORK_CHUNK // NETWORK_STRIDE + 1, 1 + 2] * 3
    assert pauses == []
    assert runner.drift() == ""


def test_a_slow_chunk_is_made_again_after_pauses_that_double(fake_device, pauses):
    FakeRunner.slow = staticmethod(lambda call: 1.3 if call in (2, 3, 4) else 1.0)
    runner = steady(fake_device)
    timings = runner.measure(FILES, PROTOCOL)
    assert [t.latency_us for t in timings] == [latency_us(file) for file in FILES]
    assert all(t.spread_us == 0 for t in timings)
    assert runner.repeated_visits == 3 * NETWORK_CHUNK
    assert pauses == [0.2, 0.4, 0.8]


def test_a_device_that_is_slow_from_the_start_is_seen_by_what_an_earlier_session_knew(fake_device, pauses):
    first = steady(fake_device)
    first.measure(FILES, PROTOCOL)
    FakeRunner.slow = staticmethod(lambda call: 1.5)
    second = steady(fake_device, block_us=first.block.usual_us, network_us=first.network.usual_us)
    second.measure(FILES, PROTOCOL)
    assert second.repeated_visits > 0
    assert second.drift() == "the device runs mobilenet_v2 50 % slower than when its latency table was made"
    assert second.network.usual_us == first.network.usual_us


def test_patience_ends(fake_device, pauses):
    FakeRunner.slow = staticmethod(lambda call: 1.5)
    runner = steady(fake_device, network_us=1.0)
    runner.measure(FILES, TimingProtocol(visits=60, runs=5))
    assert sum(pauses) < 2 * Patience().session_seconds
    assert FakeRunner.calls[-1] == 1 + 2


def test_a_device_that_is_too_slow_for_its_runner_is_given_up(fake_device, pauses, monkeypatch):
    monkeypatch.setattr(FakeRunner, "patience", Patience(pause_seconds=5.0, session_seconds=30.0, most_drift=1.25))
    FakeRunner.slow = staticmethod(lambda call: 1.0 if call == 0 else 1.2 if call < 6 else 1.3)
    runner = steady(fake_device, network_us=latency_us(steady(fake_device).network.write()))
    runner.measure(FILES[:1], PROTOCOL)  # 20 % slower is measured as it is
    assert pauses[:3] == [5.0, 10.0, 20.0]
    with pytest.raises(
        DeviceError, match=r"runs mobilenet_v2 30 % slower than usual and does not recover; let it cool"
    ):
        runner.measure(FILES[:1], TimingProtocol(visits=9, runs=5))


def test_of_all_tries_the_least_disturbed_counts(fake_device, pauses):
    FakeRunner.slow = staticmethod(lambda call: {0: 1.0, 1: 1.4, 2: 1.2, 3: 1.3, 4: 1.5}[call])
    runner = steady(fake_device)
    runner.visit(FILES, TimingProtocol(visits=1, runs=5), runner.block)
    timings = runner.visit(FILES, TimingProtocol(visits=1, runs=5), runner.block)
    assert [t.latency_us for t in timings] == pytest.approx([1.2 * latency_us(file) for file in FILES])


def test_a_refused_file_fails_alone(fake_device, pauses):
    FakeRunner.refuse = b"BBBB"
    timings = steady(fake_device).measure(FILES, PROTOCOL)
    assert isinstance(timings[1], Failure)
    assert [t.visits for t in timings if not isinstance(t, Failure)] == [3] * (len(FILES) - 1)


def test_a_device_that_does_not_run_the_sentinel_is_lost(fake_device, pauses):
    runner = steady(fake_device)
    FakeRunner.refuse = runner.network.write()
    with pytest.raises(DeviceError, match="mobilenet_v2"):
        runner.measure(FILES, PROTOCOL)


def test_what_is_left_of_a_disturbance_is_taken_off_a_networks_latency(fake_device, pauses):
    """A device that stays slow: the sentinel says by how much."""
    known = steady(fake_device)
    known.measure(FILES, PROTOCOL)
    FakeRunner.slow = staticmethod(lambda call: 1.25)
    runner = steady(fake_device, network_us=known.network.usual_us)
    timings = runner.measure(FILES, PROTOCOL)
    assert [t.latency_us for t in timings] == pytest.approx([latency_us(file) for file in FILES])
    assert [t.visit_us[0] for t in timings] == pytest.approx([1.25 * latency_us(file) for file in FILES])
    assert "25 % slower" in runner.drift()


def test_without_a_gate_ops_follow_a_slow_sentinel_as_much_as_their_visits_say(fake_device, pauses):
    """Here as its cube root; by itself a visit says nothing."""
    runner = steady(fake_device, block_us=1000.0)
    slowed = [Visit(50.0, 1000.0, 1.0, 5), Visit(100.0, 8000.0, 1.0, 5)]  # more than a quarter is never taken off
    assert runner.ops_us([slowed] * 9) == pytest.approx([50.0] * 9)
    assert runner.ops_us([[Visit(120.0, 1728.0, 1.0, 5)], []] + [slowed] * 9)[:2] == [pytest.approx(100.0), 0.0]
    alone = runner.ops_us([[Visit(7.0, 1210.0, 1.0, 5)]])
    assert alone == [pytest.approx(7.0 / 1.21**steady_module.OP_RESPONSE)]


def test_behind_a_gate_quiet_visits_count_and_follow_the_sentinel_both_ways(fake_device, pauses, monkeypatch):
    """Here as its square root; by itself a visit says nothing."""
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    runner = steady(fake_device, block_us=1000.0)
    followed = [Visit(55.0, 1210.0, 1.0, 5), Visit(45.0, 810.0, 1.0, 5)]
    unquiet = [Visit(65.0, 1000.0, 1.3, 5), Visit(55.0, 1210.0, 1.0, 5)]
    assert runner.ops_us([followed] * 9) == pytest.approx([50.0] * 9)
    assert runner.ops_us([unquiet, []] + [followed] * 9)[:2] == [pytest.approx(50.0), 0.0]
    assert runner.ops_us([[Visit(65.0, 1000.0, 1.2, 5)]] + [followed] * 9)[0] == pytest.approx(65 / 1.2)
    alone = runner.ops_us([[Visit(7.0, 1210.0, 1.0, 5)]])
    assert alone == [pytest.approx(7.0 / 1.21**steady_module.OP_RESPONSE_BEHIND_A_GATE)]


def test_behind_a_gate_ops_that_do_not_follow_the_sentinel_are_left_alone(fake_device, pauses, monkeypatch):
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    runner = steady(fake_device, block_us=1000.0)
    ops = [[Visit(50.0, 1210.0, 1.0, 5), Visit(50.0, 1000.0, 1.0, 5)]] * 99
    assert runner.ops_us(ops) == pytest.approx([50.0] * 99)


@pytest.mark.parametrize(
    ("slower", "taken_off"), [(1.2**0.5, 1.2**0.375), (1.69, 1.25**0.75), (0.81, 0.81**0.75), (0.5, 0.8**0.75)]
)
def test_behind_a_gate_networks_follow_a_sentinel_that_is_slow_or_fast_for_a_whole_session(
    fake_device, pauses, monkeypatch, slower, taken_off
):
    """By three quarters: it is the memory, which others use; never more is taken off or added than for a quarter."""
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    runner = steady(fake_device, network_us=latency_us(steady(fake_device).network.write()))
    FakeRunner.slow = staticmethod(lambda call: slower)
    timings = runner.measure(FILES, PROTOCOL)
    seen_us = [slower * latency_us(file) for file in FILES]
    assert [t.latency_us for t in timings] == pytest.approx([us / taken_off for us in seen_us])
    assert [t.p10_us for t in timings] == pytest.approx(seen_us)


def test_without_a_gate_nothing_is_taken_off_visits_that_were_made_again_in_time(fake_device, pauses, monkeypatch):
    """One trip in twelve is undisturbed: the tries that were thrown away say nothing of those that count."""
    monkeypatch.setattr(FakeRunner, "patience", Patience(session_seconds=1e9))
    FakeRunner.slow = staticmethod(lambda call: 1.0 if call % 4 == 3 else 1.2)
    runner = steady(fake_device, network_us=latency_us(steady(fake_device).network.write()))
    timings = runner.measure(FILES[:4], TimingProtocol(visits=6, runs=5))
    assert [t.latency_us for t in timings] == pytest.approx([latency_us(file) for file in FILES[:4]])
    assert len(FakeRunner.calls) == 6 * 4


def test_without_a_gate_networks_follow_the_sentinel_as_much_as_their_visits_say(fake_device, pauses):
    runner = steady(fake_device, network_us=1000.0)
    networks = [[Visit(50.0, 1000.0, 1.0, 5), Visit(60.0, 1728.0, 1.0, 5)] for _ in range(9)]
    assert runner.networks_us([*networks, []]) == [pytest.approx(50.0)] * 9 + [0.0]  # the cube root: 60 / 1.2
    assert runner.networks_us([[Visit(60.0, 1200.0, 1.0, 5)]]) == [pytest.approx(50.0)]


def test_behind_a_gate_visits_of_an_older_journal_count_by_how_slow_the_gate_was(fake_device, pauses, monkeypatch):
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    runner = steady(fake_device)
    assert runner.networks_us([[Visit(60.0, 1000.0, 1.2, 5), Visit(100.0, 1000.0, 9.0, 5)]]) == [pytest.approx(53.0)]


def test_behind_a_gate_ops_are_visited_again_and_wait(fake_device, pauses, monkeypatch):
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    FakeRunner.slow = staticmethod(lambda call: 1.2 if call == 1 else 1.0)
    runner = steady(fake_device)
    for _ in range(2):
        timings = runner.visit(FILES, TimingProtocol(visits=1, runs=5), runner.block)
    assert [t.latency_us for t in timings] == [latency_us(file) for file in FILES]
    assert runner.repeated_visits == len(FILES)


def test_behind_a_gate_networks_have_many_visits_of_which_the_fastest_tenth_counts(fake_device, pauses, monkeypatch):
    """Two calls in eleven are undisturbed: nothing waits for them, and nothing is visited again."""
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    waits = []

    class Runner(FakeRunner):
        def measure(self, models, protocol):
            waits.append(protocol.waits)
            return super().measure(models, protocol)

    FakeRunner.slow = staticmethod(lambda call: 1.0 if call in (4, 7) else 1.3 + 0.01 * call)
    with Runner(fake_device) as device:
        runner = SteadyRunner(device)
        (timing,) = runner.measure(FILES[:1], TimingProtocol(visits=11, runs=5))
    assert timing.latency_us == latency_us(FILES[0])
    assert timing.visits == len(FakeRunner.calls) == 11
    assert not any(waits)
    assert runner.repeated_visits == 0
    assert pauses == []


def test_a_sentinel_in_no_quiet_moment_does_not_become_the_usual_one(fake_device, pauses):
    """The runner's reference took 60 % longer, the sentinel only 20 %: it is not taken for a quarter faster."""
    sentinel = steady(fake_device).block
    quiet = Timing.from_visit([100.0], delegates=1)
    loud = Timing.from_visit([120.0], delegates=1, slowness=1.6)
    assert sentinel.beside(loud, loud, 1) == (120.0, 120.0)  # nothing better is known
    assert sentinel.usual_us == 120.0
    assert sentinel.beside(quiet, quiet, 1) == (100.0, 100.0)
    assert sentinel.usual_us == 100.0
    assert sentinel.beside(loud, quiet, 1) == (100.0, 100.0)
    assert sentinel.beside(quiet, replace(loud, latency_us=240.0), 1) == (125.0, 150.0)
    assert sentinel.usual_us == 100.0


def test_a_resumed_session_has_the_sentinel_of_one_that_was_not_interrupted(fake_device, pauses, monkeypatch):
    """What a journal keeps of each visit is what the session keeps."""
    monkeypatch.setattr(FakeRunner, "has_gate", True)
    FakeRunner.slow = staticmethod(lambda call: 1 + 0.1 * (call * 7 % 11))
    whole = steady(fake_device)
    seen = [
        Visit.of(timing)
        for _ in range(9)
        for timing in whole.visit(FILES[:4], TimingProtocol(visits=1, runs=5), whole.network)
    ]
    resumed = steady(fake_device)
    resumed.network.remember(seen)
    assert resumed.network.session_us == whole.network.session_us > 0


def test_the_gate_of_an_earlier_session_goes_to_the_runner(fake_device, pauses):
    runner = steady(fake_device, gate_us=30.0)
    assert runner.gate_us == 30.0
    assert runner._runner.usual_gate_us == 30.0
    assert steady(fake_device).gate_us == 0.0


def test_only_models_beside_a_slow_sentinel_are_visited_again(fake_device, pauses):
    """The third of five sentinels is slow: the four networks around it are visited again, the others not."""

    class Runner(FakeRunner):
        def measure(self, models, protocol):
            timings = super().measure(models, protocol)
            if len(FakeRunner.calls) == 2:
                slow = models.index(models[0], 4)
                timings[slow] = replace(timings[slow], latency_us=1.2 * timings[slow].latency_us)
            return timings

    with Runner(fake_device) as device:
        runner = SteadyRunner(device)
        runner.measure(FILES[:2], TimingProtocol(visits=1, runs=5))
        runner.measure(FILES[:8], TimingProtocol(visits=1, runs=5))
    assert FakeRunner.calls == [4, 13, 7]
    assert runner.repeated_visits == 4
