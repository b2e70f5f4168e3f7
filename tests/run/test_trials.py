"""TrialLoop: feasible trials, replayed from the history without asking the evaluator."""

import hashlib

import numpy as np
import pytest

from mobilenas.errors import InputError, TargetError
from mobilenas.evaluators import CachedEvaluator, Evaluation, Evaluator
from mobilenas.history import History
from mobilenas.latency import Calibration, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.run import SearchSettings
from mobilenas.run.seeds import derived_seed
from mobilenas.run.trials import TrialLoop
from mobilenas.searchers import SEARCHERS

CALIBRATION = Calibration(1.03, 15.0, 5.0, 0.02, 10)


class HashEvaluator(Evaluator):
    """An accuracy that depends on what the network computes and on nothing else."""

    def __init__(self, fails=lambda arch: False):
        self.calls = []
        self._fails = fails

    @property
    def settings(self):
        return {"evaluator": "hash"}

    def __call__(self, arch, *, seed):
        self.calls.append((arch.canonical, seed))
        if self._fails(arch):
            return Evaluation(accuracy=0.0, status="failed", detail="diverged")
        digest = hashlib.sha256(arch.canonical.encode()).digest()
        return Evaluation(accuracy=int.from_bytes(digest[:4], "little") / 2**32, std=0.01)


@pytest.fixture(scope="module")
def predictor(space):
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 50))) for op in sorted(space.distinct_ops(), key=str)}
    return LatencyPredictor(LatencyTable(TableInfo(device="d", overhead_us=0.3), rows, calibration=CALIBRATION))


@pytest.fixture(scope="module")
def target_ms(space, predictor):
    """A target that about one network in ten meets."""
    graphs = [space.decode(g).graph() for g in space.sample_batch(100, np.random.default_rng(5))]
    return float(np.quantile([predictor.predict(graph).high_ms for graph in graphs], 0.1))


@pytest.fixture
def make_loop(space, predictor, target_ms, tmp_path):
    def make(evaluator, *, path="trials.jsonl", **changes):
        settings = SearchSettings(**{"target_ms": target_ms, "trials": 30, **changes})
        loop = TrialLoop(
            settings=settings,
            space=space,
            predictor=predictor,
            evaluator=CachedEvaluator(evaluator),
            history=History.open(tmp_path / path),
            note=lambda text: None,
        )
        return loop

    return make


@pytest.mark.parametrize("searcher", sorted(SEARCHERS))
@pytest.mark.parametrize("reward", ["soft", "hard"])
def test_every_trial_meets_the_target_with_its_interval(make_loop, space, predictor, target_ms, searcher, reward):
    loop = make_loop(HashEvaluator(), searcher=searcher, reward=reward)
    loop.check_target()
    loop.run(30)
    assert [trial.index for trial in loop.trials] == list(range(len(loop.trials)))
    assert sum(not trial.cached for trial in loop.trials) == 30
    for trial in loop.trials:
        latency = predictor.predict(space.decode(trial.genotype).graph())
        assert (trial.latency_ms, trial.low_ms, trial.high_ms) == (latency.ms, latency.low_ms, latency.high_ms)
        assert trial.high_ms <= target_ms
        assert trial.seed == derived_seed(0, trial.index)
        assert trial.macs == space.decode(trial.genotype).graph().macs
    best = loop.best()
    assert best is not None
    assert best.accuracy == max(trial.accuracy for trial in loop.trials)


@pytest.mark.parametrize("kept", [0, 1, 13, 30])
def test_a_resumed_loop_goes_the_same_way_and_evaluates_only_what_is_missing(make_loop, tmp_path, kept):
    whole = make_loop(HashEvaluator())
    whole.run(30)
    lines = (tmp_path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    torn = lines[kept][:-7] if kept < len(lines) else b""
    (tmp_path / "again.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
    evaluator = HashEvaluator()
    again = make_loop(evaluator, path="again.jsonl")
    again.run(30)
    assert again.trials == whole.trials
    assert (tmp_path / "again.jsonl").read_bytes() == b"".join(lines)
    assert len(evaluator.calls) == sum(not trial.cached for trial in whole.trials[kept:])


def test_more_trials_after_a_replay_are_those_of_one_long_run(make_loop):
    long = make_loop(HashEvaluator(), path="long.jsonl")
    long.run(20)
    long.run(5)
    first = make_loop(HashEvaluator(), path="short.jsonl")
    first.run(20)
    second = make_loop(HashEvaluator(), path="short.jsonl")
    second.run(20)
    second.run(5)
    assert second.trials == long.trials


def test_another_search_s_history_is_refused(make_loop):
    make_loop(HashEvaluator(), path="one.jsonl", seed=1).run(3)
    evaluator = HashEvaluator()
    with pytest.raises(InputError, match="trial 0 of the history"):
        make_loop(evaluator, path="one.jsonl", seed=2).run(3)
    assert not evaluator.calls


def test_an_impossible_target_names_one_that_is_possible(make_loop):
    with pytest.raises(TargetError, match=r"nearest that mnasnet can is [0-9.]+ ms") as caught:
        make_loop(HashEvaluator(), target_ms=0.0001).check_target()
    suggested = float(str(caught.value).rpartition("--target-ms ")[2])
    possible = make_loop(HashEvaluator(), target_ms=suggested, trials=2)
    possible.check_target()
    possible.run(2)
    assert all(trial.high_ms <= suggested for trial in possible.trials)


def test_a_correction_tightens_the_target(make_loop, target_ms):
    loop = make_loop(HashEvaluator())
    loop.run(20)
    loose = loop.best()
    loop.correction = 1.1
    tight = loop.best()
    assert tight is None or 1.1 * tight.latency_ms <= target_ms
    before = len(loop.trials)
    loop.run(10)
    added = loop.trials[before:]
    assert added
    assert all(1.1 * trial.latency_ms <= target_ms for trial in added)
    best = loop.best()
    assert best is not None
    assert 1.1 * best.latency_ms <= target_ms
    loop.correction = 1.0
    assert loop.best().accuracy >= loose.accuracy


def test_a_correction_that_nothing_meets_is_a_target_error(make_loop):
    loop = make_loop(HashEvaluator())
    loop.run(3)
    loop.correction = 1e6
    assert loop.best() is None
    with pytest.raises(TargetError, match="nearest"):
        loop.run(1)


def test_equal_networks_are_evaluated_once_and_do_not_count(make_loop, space, target_ms):
    """A regular conv has no skip: two genotypes that differ there are one network."""

    class Proposals:
        def __init__(self, genotypes):
            self.genotypes, self.told = list(genotypes), []

        def ask(self):
            return self.genotypes.pop(0)

        def tell(self, trial):
            self.told.append(trial)

    rng = np.random.default_rng(0)
    first = list(space.sample(rng))
    first[0], first[3] = 0, 0
    twin = [*first[:3], 1, *first[4:]]
    other = space.sample(rng)
    assert space.decode(first).canonical == space.decode(twin).canonical != space.decode(other).canonical
    evaluator = HashEvaluator()
    loop = make_loop(evaluator, target_ms=1e6)
    searcher = loop._searcher = Proposals([tuple(first), tuple(twin), tuple(first), other])
    loop.run(2)
    assert not searcher.genotypes
    assert len(evaluator.calls) == 2
    assert [trial.cached for trial in loop.trials] == [False, True, False]
    assert [trial.genotype for trial in searcher.told] == [tuple(first), tuple(twin), tuple(first), other]
    assert loop.trials[0].accuracy == loop.trials[1].accuracy


def test_failed_trials_are_written_down_told_and_never_the_best(make_loop, tmp_path):
    fails = HashEvaluator(lambda arch: "5" in hashlib.sha256(arch.canonical.encode()).hexdigest()[:8])
    loop = make_loop(fails)
    loop.run(30)
    failed = [trial for trial in loop.trials if trial.status == "failed"]
    assert 0 < len(failed) < 30
    assert all(trial.accuracy is None and trial.reward is None and trial.detail == "diverged" for trial in failed)
    assert loop.best().status == "ok"
    nothing = HashEvaluator()
    again = make_loop(nothing)
    again.run(30)
    assert again.trials == loop.trials
    assert not nothing.calls


def test_a_searcher_that_runs_dry_ends_the_loop(make_loop, space):
    """One network meets the target: it is evaluated once, and the loop ends."""

    class Stubborn:
        asked = 0

        def ask(self):
            self.asked += 1
            return (0,) * len(space.decisions)

        def tell(self, trial):
            pass

    loop = make_loop(HashEvaluator(), target_ms=1e6)
    loop._searcher = Stubborn()
    loop.run(5)
    assert len(loop.trials) == 1
    assert loop._searcher.asked == 201


def test_the_best_of_equals_is_the_fastest_and_what_was_tried_is_left_out(make_loop):
    class Flat(HashEvaluator):
        def __call__(self, arch, *, seed):
            return Evaluation(accuracy=0.5)

    loop = make_loop(Flat())
    loop.run(10)
    order = sorted(loop.trials, key=lambda trial: trial.latency_ms)
    assert loop.best().genotype == order[0].genotype
    assert loop.best(excluded={order[0].genotype}).genotype == order[1].genotype
    assert loop.best(excluded={trial.genotype for trial in loop.trials}) is None


def test_seeds_of_trials_differ_and_are_these():
    seeds = {derived_seed(run, index) for run in range(10) for index in range(100)}
    assert len(seeds) == 1000
    assert derived_seed(0, 0) == int.from_bytes(hashlib.sha256(b"0/0").digest()[:4], "little")
    assert all(0 <= seed < 2**32 for seed in seeds)
