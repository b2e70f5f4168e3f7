"""Several evaluations under way: whatever ends first, and wherever the run is killed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mobilenas.errors import TargetError
from mobilenas.evaluators import CachedEvaluator, Evaluation, Evaluator
from mobilenas.evaluators.workers import InProcess, Workers
from mobilenas.history import History
from mobilenas.latency import Calibration, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.run import SearchSettings
from mobilenas.run.trials import TrialLoop
from mobilenas.searchers import SEARCHERS
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

SPACE = NasBenchMacroSpace()
TRIALS = 14


class KilledError(Exception):
    """The process is gone."""


class BySeed(Evaluator):
    """An accuracy that follows from the seed; some fail."""

    @property
    def settings(self):
        return {"evaluator": "by seed"}

    def __call__(self, arch, *, seed):
        if seed % 5 == 3:
            return Evaluation(accuracy=0.0, status="failed", detail="by its seed")
        return Evaluation(accuracy=seed / 2**32)


class Shuffled(Workers):
    """Ends what is under way in the order that `picks` say; killed when they are used up."""

    def __init__(self, count, picks):
        self.count, self._picks, self._jobs = count, list(picks), []
        self.most, self.submitted = 0, []

    def submit(self, job):
        self._jobs.append(job)
        self.submitted.append(job.number)
        self.most = max(self.most, len(self._jobs))

    def next_ended(self):
        assert self._jobs
        if not self._picks:
            raise KilledError
        self._jobs.sort(key=lambda job: job.number)
        job = self._jobs.pop(self._picks.pop(0) % len(self._jobs))
        return job, BySeed()(job.arch, seed=job.seed)

    def rest(self):
        pass

    def close(self):
        pass


@pytest.fixture(scope="module")
def predictor():
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 50))) for op in sorted(SPACE.distinct_ops(), key=str)}
    table = LatencyTable(TableInfo(device="d"), rows, calibration=Calibration(1.03, 15.0, 5.0, 0.02, 10))
    return LatencyPredictor(table)


@pytest.fixture(scope="module")
def make_loop(predictor, tmp_path_factory):
    folder = tmp_path_factory.mktemp("histories")

    def make(name, workers, **changes):
        return TrialLoop(
            settings=SearchSettings(**{"target_ms": 1e6, "trials": TRIALS, "searcher": "random_search", **changes}),
            space=SPACE,
            predictor=predictor,
            evaluator=CachedEvaluator(BySeed()),
            history=History.open(folder / name),
            note=lambda text: None,
            workers=workers,
        )

    return make


@pytest.fixture(scope="module")
def fresh_names():
    numbers = iter(range(10**9))
    return lambda: f"{next(numbers)}.jsonl"


def assert_whole(loop, count=TRIALS):
    trials = list(loop)
    assert [trial.index for trial in trials] == list(range(len(trials)))
    assert sum(not trial.cached for trial in trials) == count
    assert len({trial.genotype for trial in trials}) == len(trials)
    assert len({trial.seed for trial in trials}) == len(trials)
    networks = [SPACE.decode(trial.genotype).canonical for trial in trials if not trial.cached]
    assert len(set(networks)) == count


PICKS = st.lists(st.integers(0, 7), min_size=TRIALS, max_size=TRIALS)


@settings(max_examples=50)
@given(
    searcher=st.sampled_from(["random_search", "regularized_evolution", "nsga2", "local_search"]),
    count=st.integers(1, 6),
    picks=PICKS,
    kills=st.sets(st.integers(0, TRIALS - 1), max_size=3),
)
def test_any_order_and_any_kill(make_loop, fresh_names, searcher, count, picks, kills):
    """The history is whole; and where evaluations end in the same order, it is the one of an undisturbed run."""
    undisturbed = make_loop(fresh_names(), Shuffled(count, picks), searcher=searcher)
    undisturbed.run(TRIALS)
    assert_whole(undisturbed)
    name, done = fresh_names(), 0
    for kill in sorted(kills):
        workers = Shuffled(count, picks[done:kill])
        with pytest.raises(KilledError):
            make_loop(name, workers, searcher=searcher).run(TRIALS)
        assert workers.most <= count
        done = kill
    resumed = make_loop(name, Shuffled(count, picks[done:]), searcher=searcher)
    resumed.run(TRIALS)
    assert list(resumed) == list(undisturbed)


@pytest.mark.parametrize("searcher", sorted(SEARCHERS))
def test_every_searcher_is_resumed_in_another_order(make_loop, fresh_names, searcher):
    rng = np.random.default_rng(0)
    name = fresh_names()
    with pytest.raises(KilledError):
        make_loop(name, Shuffled(3, rng.integers(0, 7, 9)), searcher=searcher).run(TRIALS)
    before = list(make_loop(name, None, searcher=searcher)._replay._history)
    resumed = make_loop(name, Shuffled(3, rng.integers(0, 7, TRIALS)), searcher=searcher)
    resumed.run(TRIALS)
    assert_whole(resumed)
    assert list(resumed)[: len(before)] == before


@pytest.mark.parametrize("searcher", sorted(SEARCHERS))
def test_one_worker_is_this_process(make_loop, fresh_names, searcher):
    one = make_loop(fresh_names(), Shuffled(1, [0] * TRIALS), searcher=searcher)
    here = make_loop(fresh_names(), InProcess(BySeed()), searcher=searcher)
    one.run(TRIALS)
    here.run(TRIALS)
    assert list(one) == list(here)


def test_what_the_history_answers_is_not_submitted(make_loop, fresh_names):
    name = fresh_names()
    with pytest.raises(KilledError):
        make_loop(name, Shuffled(3, [2, 2, 2, 2])).run(TRIALS)
    workers = Shuffled(3, [0] * TRIALS)
    make_loop(name, workers).run(TRIALS)
    assert workers.submitted[:3] == [0, 1, 6]  # what was under way
    assert len(workers.submitted) == TRIALS - 4


class Listed:
    """Proposes what is listed."""

    batch = 1

    def __init__(self, proposals):
        self.proposals, self.told = [tuple(map(int, each)) for each in proposals], []

    def ask(self):
        if not self.proposals:
            raise TargetError("nothing is left")
        return self.proposals.pop(0)

    def tell(self, trial):
        self.told.append("".join(map(str, trial.genotype)))


def test_a_proposal_that_is_under_way_is_told_again_when_it_ends(make_loop, fresh_names):
    one, two, three = "11111111", "22222222", "12121212"
    loop = make_loop(fresh_names(), Shuffled(3, [1, 0, 0]))
    searcher = loop._searcher = Listed([one, two, one, one, three])
    loop.run(3)
    # the second ends first; then the list goes on, with the first still under way
    assert searcher.told == [two, one, one, one, three]
    assert not searcher.proposals


def test_a_network_that_is_under_way_with_another_genotype_is_not_evaluated_twice(make_loop, fresh_names):
    plain = next(
        (a, b)
        for a, b in (
            ((0,) * i + (1,) + (0,) * (7 - i), (0,) * j + (1,) + (0,) * (7 - j)) for i in range(8) for j in range(i)
        )
        if SPACE.decode(a).canonical == SPACE.decode(b).canonical
    )
    loop = make_loop(fresh_names(), Shuffled(2, [0, 0]))
    loop._searcher = Listed(["".join(map(str, each)) for each in (*plain, (2,) * 8)])
    loop.run(2)
    assert [trial.cached for trial in loop] == [False, True, False]
    assert [trial.genotype for trial in loop][:2] == list(plain)
    first, twin, _ = loop
    assert first.accuracy == twin.accuracy


def test_a_searcher_that_has_nothing_more_ends_after_what_is_under_way(make_loop, fresh_names):
    loop = make_loop(fresh_names(), Shuffled(4, [2, 0, 0]))
    searcher = loop._searcher = Listed(["11111111", "22222222", "12121212"])
    with pytest.raises(TargetError, match="nothing is left"):
        loop.run(5)
    assert len(searcher.told) == len(loop) == 3


def test_a_searcher_that_repeats_itself_ends_after_what_is_under_way(make_loop, fresh_names):
    class Stuck(Listed):
        def ask(self):
            return self.proposals.pop(0) if len(self.proposals) > 1 else self.proposals[0]

    loop = make_loop(fresh_names(), Shuffled(2, [0] * 5))
    loop._searcher = Stuck(["11111111", "22222222", "11111111"])
    loop.run(5)
    assert len(loop) == 2


def test_progress_says_what_is_known(make_loop, fresh_names):
    seen = []
    loop = make_loop(fresh_names(), Shuffled(2, [0] * TRIALS))
    loop._watch = seen.append
    loop.run(TRIALS)
    assert [progress.evaluated for progress in seen][-1] == seen[-1].planned == TRIALS
    assert seen[-1].best.accuracy == max(trial.accuracy or 0.0 for trial in loop)
    assert seen[-1].feasible_share == 1.0
    assert seen[-1].a_second > 0
    assert seen[-1].seconds_left == 0.0
