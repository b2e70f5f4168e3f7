"""Workers: evaluations in other processes, some of which crash, hang or are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from strange_evaluators import Strange, begun

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.evaluators.workers import InProcess, Job, Pool, Processes
from mobilenas.evaluators.workers.ray import connect, share

ARCH = models.get("mobilenet_v3_small", resolution=32, num_classes=10)


def job(seed):
    return Job(seed, ARCH, seed)


def outcomes(workers, seeds):
    """What becomes of evaluations with these seeds, as many at once as there are workers."""
    left, found = list(seeds), {}
    under_way = 0
    while left or under_way:
        while left and under_way < workers.count:
            workers.submit(job(left.pop(0)))
            under_way += 1
        ended, evaluation = workers.next_ended()
        assert ended.seed not in found
        found[ended.seed] = evaluation
        under_way -= 1
    return found


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def pool(tmp_path):
    """Makes pools of processes, and closes them."""
    made = []

    def make(plan, count=2, **settings):
        notes = []
        evaluator = Strange(tmp_path, plan, settings.pop("seconds", 0.0))
        made.append(Pool(Processes(evaluator, count), count, note=notes.append, **settings))
        return made[-1], notes

    yield make
    for each in made:
        each.close()


def test_in_this_process_one_after_the_other(tmp_path):
    with InProcess(Strange(tmp_path, {})) as workers:
        found = outcomes(workers, range(3))
    assert {seed: evaluation.accuracy for seed, evaluation in found.items()} == {0: 0.0, 1: 0.001, 2: 0.002}
    assert begun(tmp_path) == [(seed, os.getpid()) for seed in range(3)]


def test_what_is_no_evaluation_has_failed(pool, tmp_path):
    workers, _ = pool({0: ("text", "nothing"), 1: ("text",)})
    found = outcomes(workers, range(3))
    assert [found[seed].status for seed in range(3)] == ["failed", "ok", "ok"]
    assert found[0].detail == "failed 2 times, the last time: the evaluator gave None, no Evaluation"
    with InProcess(Strange(tmp_path, {7: ("text",)})) as here:
        failed = outcomes(here, [7])[7]
    assert (failed.status, failed.detail) == ("failed", "the evaluator gave 'an evaluation', no Evaluation")


def test_a_crash_is_tried_again_with_the_same_seed_and_then_has_failed(pool, tmp_path):
    plan = {1: ("kill",), 2: ("exit", "memory"), 4: ("memory",), 5: ("exit", "kill")}
    workers, notes = pool(plan)
    found = outcomes(workers, range(7))
    assert sorted(found) == list(range(7))
    assert {seed for seed, each in found.items() if each.status == "ok"} == {0, 1, 3, 4, 6}
    assert all(found[seed].accuracy == seed / 1000 for seed in (0, 1, 3, 4, 6))
    assert found[2].detail == "failed 2 times, the last time: MemoryError: all of it is taken"
    assert found[5].detail == "failed 2 times, the last time: its process was killed by SIGKILL"
    assert sorted(seed for seed, _ in begun(tmp_path)) == [0, 1, 1, 2, 2, 3, 4, 4, 5, 5, 6]
    assert "evaluation 3 failed and is tried again: its process ended with exit code 3" in notes
    assert len(notes) == 4
    processes = {process for _, process in begun(tmp_path)}
    assert os.getpid() not in processes
    workers.close()
    assert not any(alive(process) for process in processes)


def test_an_evaluation_that_hangs_is_ended(pool, tmp_path):
    workers, notes = pool({0: ("hang",), 1: ("hang", "hang")}, limit_s=1.0)
    found = outcomes(workers, range(3))
    assert found[0].accuracy == 0.0
    assert found[1].detail == "failed 2 times, the last time: it took longer than 1 s"
    assert [found[seed].status for seed in range(3)] == ["ok", "failed", "ok"]
    assert len(notes) == 2
    assert sorted(seed for seed, _ in begun(tmp_path)) == [0, 0, 1, 1, 2]


def test_a_worker_that_somebody_kills_loses_nothing(pool, tmp_path):
    workers, notes = pool({}, seconds=1.0)
    found = {}

    def search():
        found.update(outcomes(workers, range(4)))

    thread = threading.Thread(target=search)
    thread.start()
    wait_until(lambda: begun(tmp_path))
    seed, process = begun(tmp_path)[0]
    os.kill(process, signal.SIGKILL)
    thread.join(60)
    assert {seed: each.accuracy for seed, each in found.items()} == {seed: seed / 1000 for seed in range(4)}
    assert notes == [f"evaluation {seed + 1} failed and is tried again: its process was killed by SIGKILL"]


def test_workers_that_rest_hold_no_process_and_go_on(pool, tmp_path):
    workers, notes = pool({})
    first = outcomes(workers, range(3))
    workers.rest()
    assert not any(alive(process) for _, process in begun(tmp_path))
    second = outcomes(workers, range(3, 6))
    assert {seed: each.accuracy for seed, each in (first | second).items()} == {seed: seed / 1000 for seed in range(6)}
    assert not notes


def test_what_the_evaluator_refuses_ends_the_search(pool):
    workers, _ = pool({1: ("refuse",)})
    with pytest.raises(InputError, match="images: 3 is not accepted; give a folder"):
        outcomes(workers, range(3))


def test_an_evaluator_that_cannot_be_sent_is_refused(tmp_path):
    evaluator = Strange(tmp_path, {})
    evaluator.hook = lambda: None
    with pytest.raises(InputError, match="evaluator Strange cannot be sent to other processes"):
        Processes(evaluator, 2)


def test_workers_that_do_not_start_end_the_search(tmp_path, monkeypatch):
    site = Processes(Strange(tmp_path, {}), 2)
    monkeypatch.setattr(site, "_evaluator", b"no evaluator")
    with Pool(site, 2) as workers, pytest.raises(InputError, match="workers do not start: its process ended with"):
        outcomes(workers, range(3))


def test_workers_that_hang_while_they_start_end_the_search(tmp_path, monkeypatch):
    site = Processes(Strange(tmp_path, {}), 2)
    monkeypatch.setattr(site, "start_limit_s", 0.0)
    with Pool(site, 2) as workers, pytest.raises(InputError, match="workers do not start: it took longer than 0 s"):
        outcomes(workers, range(3))


def test_the_limit_is_ten_times_the_median_and_at_least_ten_minutes(pool):
    workers, _ = pool({})
    assert workers._limit() == float("inf")
    workers._durations_s.extend([1.0, 2.0, 300.0])
    assert workers._limit() == 600.0
    workers._durations_s.extend([100.0] * 5)
    assert workers._limit() == 1000.0


def test_threads_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    processors = len(os.sched_getaffinity(0))
    for count, threads in ((1, ""), (2, str(max(1, processors // 2))), (10**6, "1")):
        with Pool(Processes(Strange(tmp_path, {}), count), count) as workers:
            assert outcomes(workers, [0])[0].detail == threads


ORPHANS = """
import sys
from pathlib import Path
from strange_evaluators import Strange
from mobilenas import models
from mobilenas.evaluators.workers import Job, Pool, Processes

if __name__ == "__main__":
    arch = models.get("mobilenet_v3_small", resolution=32, num_classes=10)
    with Pool(Processes(Strange(Path(sys.argv[1]), {0: ("hang",), 1: ("hang",)}), 2), 2) as workers:
        for seed in range(2):
            workers.submit(Job(seed, arch, seed))
        workers.next_ended()
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_workers_end_with_the_search_however_it_ends(tmp_path, end):
    script = tmp_path / "search.py"
    script.write_text(ORPHANS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(script), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(begun(tmp_path)) == 2)
    process.send_signal(end)
    process.wait(30)
    wait_until(lambda: not any(alive(worker) for _, worker in begun(tmp_path)))


def test_ray_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r'ray is not installed; run: pip install "mobilenas\[ray\]"'):
        connect("local")


@pytest.mark.parametrize(
    ("capacities", "count", "wanted"),
    [
        ([8.0], 1, 8.0),
        ([8.0], 3, 2.0),
        ([8.0], 8, 1.0),
        ([6.0, 6.0], 3, 3.0),
        ([2.0], 4, 0.5),
        ([1.0, 1.0], 3, 0.5),
        ([0.0], 2, 0.0),
        ([], 2, 0.0),
    ],
)
def test_what_each_of_several_workers_can_have(capacities, count, wanted):
    assert share(capacities, count) == pytest.approx(wanted)


def test_images_and_recipe_are_sent_and_the_accuracy_is_this_process_s():
    from mobilenas.evaluators.short_training import ShortTraining
    from mobilenas.runners.host import wait_while_host_is_measured
    from mobilenas.training import default_recipe, load_data

    data = load_data("digits", resolution=16)
    evaluator = ShortTraining(data, default_recipe(len(data.train), 16, 1), pause=wait_while_host_is_measured)
    arch = models.get("mobilenet_v3_small", resolution=16, num_classes=10)
    with Pool(Processes(evaluator, 1), 1) as workers:
        workers.submit(Job(0, arch, 7))
        _, evaluation = workers.next_ended()
    assert evaluation.accuracy == evaluator(arch, seed=7).accuracy
