"""Trials in batches: what one by one would give, through the same history."""

import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.evaluators import BatchEvaluator, Evaluation, Evaluations
from mobilenas.history import History
from mobilenas.latency import Calibration, CompiledLatency, LatencyPredictor, LatencyTable, Measurement, TableInfo
from mobilenas.run import SearchSettings, trials
from mobilenas.run.trials import TrialLoop
from mobilenas.searchers import SEARCHERS
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

SPACE = NasBenchMacroSpace()


class Sums(BatchEvaluator):
    """The mean choice."""

    def __init__(self, space=SPACE):
        self._space, self.batches = space, []

    @property
    def space(self):
        return self._space

    @property
    def settings(self):
        return {"evaluator": "sums"}

    def __call__(self, arch, *, seed):
        return Evaluation(accuracy=float(np.mean([int(digit) for digit in arch.name[-8:]]) / 2))

    def evaluate_batch(self, genotypes):
        array = np.asarray(genotypes)
        self.batches.append(len(array))
        return Evaluations(array.mean(axis=1) / 2, np.full(len(array), 0.01), array[:, 0] == 2)


@pytest.fixture(scope="module")
def predictor():
    rng = np.random.default_rng(0)
    rows = {op: Measurement(float(rng.uniform(1, 50))) for op in sorted(SPACE.distinct_ops(), key=str)}
    calibration = Calibration(1.03, 15.0, 5.0, 0.02, 10)
    return LatencyPredictor(LatencyTable(TableInfo(device="d", overhead_us=0.3), rows, calibration=calibration))


@pytest.fixture(scope="module")
def target_ms(predictor):
    graphs = [SPACE.decode(g).graph() for g in SPACE.sample_batch(60, np.random.default_rng(5))]
    return float(np.median([predictor.predict(graph).high_ms for graph in graphs]))


@pytest.fixture
def make_loop(predictor, target_ms, tmp_path):
    def make(evaluator, *, path="trials.jsonl", note=lambda text: None, **changes):
        return TrialLoop(
            settings=SearchSettings(**{"target_ms": target_ms, "trials": 60, **changes}),
            space=SPACE,
            predictor=predictor,
            evaluator=evaluator,
            history=History.open(tmp_path / path),
            note=note,
        )

    return make


@pytest.mark.parametrize("searcher", sorted(SEARCHERS))
def test_trials_are_what_the_graphs_say(make_loop, predictor, target_ms, searcher):
    loop = make_loop(Sums(), searcher=searcher)
    loop.run(40)
    assert len(loop) == 40
    assert len({trial.genotype for trial in loop}) == 40
    for index, trial in enumerate(loop):
        graph = SPACE.decode(trial.genotype).graph()
        latency = predictor.predict(graph)
        assert trial.index == index
        assert (trial.latency_ms, trial.low_ms, trial.high_ms) == pytest.approx(
            (latency.ms, latency.low_ms, latency.high_ms)
        )
        assert (trial.macs, trial.params) == (graph.macs, graph.params)
        assert trial.accuracy == pytest.approx(sum(trial.genotype) / 16)
        assert trial.reward == pytest.approx(trial.accuracy * (trial.latency_ms / target_ms) ** -0.07)
        assert trial.detail == ("extrapolated" if trial.genotype[0] == 2 else "")
        assert trial.high_ms <= target_ms


def test_proposals_that_do_not_wait_are_evaluated_at_once(make_loop):
    evaluator = Sums()
    loop = make_loop(evaluator, searcher="random_search")
    loop.run(300)
    assert len(loop) == 300
    assert evaluator.batches[0] > 200
    evaluator = Sums()
    make_loop(evaluator, searcher="local_search", path="other.jsonl").run(20)
    assert evaluator.batches == [1] * 20


@pytest.mark.parametrize("searcher", sorted(SEARCHERS))
@pytest.mark.parametrize("kept", [0, 7, 25, 40])
def test_a_resumed_loop_goes_the_same_way(make_loop, tmp_path, searcher, kept):
    make_loop(Sums(), searcher=searcher).run(40)
    lines = (tmp_path / "trials.jsonl").read_bytes().splitlines(keepends=True)
    torn = lines[kept][:-7] if kept < len(lines) else b""
    (tmp_path / "again.jsonl").write_bytes(b"".join(lines[:kept]) + torn)
    evaluator = Sums()
    make_loop(evaluator, searcher=searcher, path="again.jsonl").run(40)
    assert (tmp_path / "again.jsonl").read_bytes() == b"".join(lines)
    assert sum(evaluator.batches) == 40 - kept


def test_a_repeated_proposal_is_told_and_does_not_count(make_loop):
    class Twice:
        batch = 3

        def __init__(self):
            self.told = []

        def ask_batch(self, count):
            start = len(self.told) // 3
            return [(0,) * 7 + (0,), (0,) * 7 + (1,), (0,) * 7 + (0,)] if start == 0 else [(0,) * 6 + (1, 1)] * 3

        def tell(self, trial):
            self.told.append(trial)

    loop = make_loop(Sums(), target_ms=1e6)
    searcher = loop._searcher = Twice()
    loop.run(3)
    assert [trial.index for trial in searcher.told] == [0, 1, 0, 2, 2, 2]
    assert len(loop) == 3


def test_a_controller_that_has_converged_stops_with_a_message(make_loop):
    class Stuck:
        batch = 10
        asked = 0

        def ask_batch(self, count):
            self.asked += count
            return [(0,) * 8] * count

        def tell(self, trial):
            pass

    loop, notes = make_loop(Sums(), target_ms=1e6), []
    loop._searcher, loop._announce = Stuck(), notes.append
    loop.run(20)
    assert len(loop) == 1
    assert notes[-1] == "the search stops after 1 of 20 trials: the searcher proposed nothing new 200 times in a row"
    assert loop._searcher.asked <= 220


@pytest.mark.parametrize("searcher", ["random_search", "model_based", "regularized_evolution", "nsga2", "local_search"])
def test_a_search_that_has_found_everything_stops_soon(make_loop, predictor, searcher):
    """Of all 6,561 networks 7 are so fast."""
    whole = np.stack(np.unravel_index(np.arange(SPACE.size), SPACE.sizes), axis=1).astype(np.uint8)
    upper_ms = CompiledLatency(predictor, SPACE).upper_ms(whole)
    fast_ms, notes, asked = float(np.sort(upper_ms)[6]), [], []
    loop = make_loop(Sums(), target_ms=fast_ms, searcher=searcher, note=notes.append)
    propose = loop._searcher._propose
    loop._searcher._propose = lambda rng: asked.append(0) or propose(rng)
    loop.run(60)
    assert {trial.genotype for trial in loop} == {tuple(row) for row in whole[upper_ms <= fast_ms].tolist()}
    assert notes[-1] == ("the search stops after 8 of 60 trials: no further network is found that meets the bounds")
    assert len(asked) <= 160


def test_an_evaluator_of_another_space_is_refused(make_loop):
    with pytest.raises(InputError, match="give --space nas_bench_macro at 64 pixels"):
        make_loop(Sums(NasBenchMacroSpace(resolution=64)))


def test_a_correction_that_leaves_no_leader_is_answered_from_the_whole_history(make_loop, target_ms, monkeypatch):
    monkeypatch.setattr(trials, "BEST_OF", 50)
    loop = make_loop(Sums(), searcher="random_search", trials=300)
    loop.run(300)
    assert len(loop.standing.leaders) == 64
    loop.correction = target_ms / min(trial.latency_ms for trial in loop) - 1e-9
    assert not any(loop.correction * trial.latency_ms <= target_ms for trial in loop.standing.leaders)
    best = loop.best()
    assert best is not None
    assert best.latency_ms == min(trial.latency_ms for trial in loop)
    assert loop.best(excluded={best.genotype}) is None


def test_after_a_resume_the_best_is_still_that_of_the_whole_run(make_loop, monkeypatch):
    monkeypatch.setattr(RandomSearch, "batch", 5)
    said, again = [], []
    make_loop(Sums(), path="whole.jsonl", note=said.append, searcher="random_search").run(40)
    make_loop(Sums(), searcher="random_search").run(20)
    make_loop(Sums(), note=again.append, searcher="random_search").run(40)
    assert again == [text for text in said if int(text.split()[1].rstrip(":")) > 20]
    assert len(said) > len(again)
