"""Workers on a Ray of this machine; each test in a process of its own, since Ray does not leave one clean."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from strange_evaluators import begun

from mobilenas.errors import InputError
from mobilenas.evaluators.workers.ray import connect

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """
import json, sys
from pathlib import Path
from strange_evaluators import Strange
from mobilenas import models
from mobilenas.evaluators.workers import Job, Pool, Ray, connect

folder, plan, seconds, limit_s = Path(sys.argv[1]), json.loads(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
arch = models.get("mobilenet_v3_small", resolution=32, num_classes=10)
evaluator = Strange(folder, {int(seed): tuple(acts) for seed, acts in plan.items()}, seconds)
found, notes, left = {}, [], list(range(5))
with Pool(Ray(evaluator, 2, connect("local")), 2, limit_s=limit_s, note=notes.append) as workers:
    for seed in left[:2]:
        workers.submit(Job(seed, arch, seed))
    for seed in [*left[2:], None, None]:
        job, evaluation = workers.next_ended()
        found[job.seed] = [evaluation.status, evaluation.accuracy, evaluation.detail]
        if seed is not None:
            workers.submit(Job(seed, arch, seed))
print(json.dumps({"found": found, "notes": notes}))
"""


@pytest.fixture
def start(tmp_path):
    """Starts evaluations of five seeds on two workers of a new Ray."""
    pytest.importorskip("ray", reason="ray is not installed")
    script = tmp_path / "search.py"
    script.write_text(SCRIPT)

    def run(plan, seconds=0.0, limit_s=60.0):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment |= {"RAY_TMPDIR": "/tmp", "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, str(script), str(tmp_path), json.dumps(plan), str(seconds), str(limit_s)]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run


def end(process):
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def wait_until(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_one_of_two_workers_is_killed_and_nothing_is_lost(start, tmp_path):
    process = start({}, seconds=3.0)
    wait_until(lambda: begun(tmp_path))
    seed, worker = begun(tmp_path)[0]
    os.kill(worker, signal.SIGKILL)
    said = end(process)
    assert {int(each): status for each, (status, _, _) in said["found"].items()} == dict.fromkeys(range(5), "ok")
    assert all(accuracy == int(each) / 1000 for each, (_, accuracy, _) in said["found"].items())
    assert len(said["notes"]) == 1
    assert said["notes"][0].startswith(f"evaluation {seed + 1} failed and is tried again: ")
    assert sorted(each for each, _ in begun(tmp_path)) == sorted([*range(5), seed])


def test_crashes_hangs_and_exceptions(start):
    said = end(start({1: ["kill", "kill"], 2: ["hang"], 3: ["memory", "exit"]}, limit_s=20.0))
    found = {int(seed): each for seed, each in said["found"].items()}
    assert {seed for seed, each in found.items() if each[0] == "ok"} == {0, 2, 4}
    assert found[1][2].startswith("failed 2 times, the last time: ")
    assert found[3][2].startswith("failed 2 times, the last time: ")
    assert any("it took longer than 20 s" in note for note in said["notes"])
    assert any("MemoryError: all of it is taken" in note for note in said["notes"])


def test_what_the_evaluator_refuses(start):
    process = start({1: ["refuse"]})
    _, err = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "images: 3 is not accepted; give a folder" in err


def test_workers_end_with_a_search_that_is_killed(start, tmp_path):
    process = start({0: ["hang"], 1: ["hang"]})
    wait_until(lambda: len(begun(tmp_path)) == 2)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(Path(f"/proc/{worker}").exists() for _, worker in begun(tmp_path)))


def test_a_cluster_that_does_not_answer_is_named():
    pytest.importorskip("ray", reason="ray is not installed")
    for address in ("127.0.0.1:1", "nonsense"):
        with pytest.raises(InputError, match=f"no Ray cluster answers at {address}: .*; run: ray start --head"):
            connect(address)


LEAVING = """
import sys, threading
from pathlib import Path
import ray
from strange_evaluators import Strange
from mobilenas.errors import InputError
from mobilenas.evaluators.workers import Ray, connect

evaluator = Strange(Path(sys.argv[1]), {})
cluster = connect("local")
site = Ray(evaluator, cluster.room, cluster)
assert not connect("local").is_ours
site.close()
assert not ray.is_initialized()
evaluator.lock = threading.Lock()
try:
    Ray(evaluator, 1, connect("local"))
except InputError as error:
    print(error)
assert not ray.is_initialized()
"""


def test_a_ray_that_was_started_for_the_workers_ends_with_them(tmp_path):
    pytest.importorskip("ray", reason="ray is not installed")
    script = tmp_path / "leaving.py"
    script.write_text(LEAVING)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment |= {"RAY_TMPDIR": "/tmp", "RAY_USAGE_STATS_ENABLED": "0"}
    command = [sys.executable, str(script), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert "the evaluator Strange cannot be sent to a cluster: " in done.stdout
