"""search from end to end, on a device whose latencies are known."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from fake_runner import FakeRunner
from known_device import known_table

from mobilenas.arch import Arch
from mobilenas.errors import DeviceError, InputError, TargetError, VerificationError
from mobilenas.latency import LatencyPredictor, LatencyTable
from mobilenas.run import SearchSettings, search, winner
from mobilenas.verification import Check, Report, checked_export

QUICK = {
    "target_ms": 3.0,
    "device": "fake",
    "data": "digits",
    "resolution": 16,
    "trials": 2,
    "trial_epochs": 1,
    "final_epochs": 1,
}
DOCUMENTS = ["best.json", "best.tflite", "journal.jsonl", "latency_table.csv", "log.txt", "pareto.csv"]
DOCUMENTS += ["result.json", "run.json", "trials.jsonl"]


def names(folder):
    """Every file of a run but locks, checkpoints apart."""
    return sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != ".lock")


def slower_than_predicted(factor, after=0):
    """The device is slower than its table says, from its `after`-th trip on."""
    return staticmethod(lambda call: factor if call >= after else 1.0)


@pytest.fixture(autouse=True)
def no_training(monkeypatch, fake_home):
    """Accuracies of trials come from the seed, and the winner keeps the weights that it begins with."""
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining
    from mobilenas.training import TrainingResult

    def evaluate(self, arch, *, seed):
        return Evaluation(accuracy=float(np.random.default_rng(seed).uniform(0.1, 0.9)))

    def untrained(module, *args, **rest):
        module.eval()
        return TrainingResult("ok", 0.5, (), 0.1)

    monkeypatch.setattr(ShortTraining, "__call__", evaluate)
    monkeypatch.setattr(winner, "train", untrained)


def test_a_target_that_is_met(tmp_path, monkeypatch, small_space):
    from mobilenas.training import train

    monkeypatch.setattr(winner, "train", train)
    run, notes = tmp_path / "run", []
    result = search(run, SearchSettings(**QUICK), note=notes.append)
    assert result.met
    assert result.measured is not None
    assert result.measured.latency_ms <= result.target_ms == 3.0
    assert result.high_ms <= 3.0
    assert names(run) == sorted(DOCUMENTS)
    assert json.loads((run / "result.json").read_text()) == result.to_dict()

    model = (run / "best.tflite").read_bytes()
    assert result.size_bytes == len(model)
    assert result.measured.latency_ms == pytest.approx(len(model) / 1e6)  # a microsecond a thousand bytes
    arch = Arch.load(run / "best.json")
    assert (arch.name, arch.graph().macs, arch.graph().params) == (result.name, result.macs, result.params)
    predictor = LatencyPredictor(LatencyTable.load(run / "latency_table.csv"))
    assert predictor.predict(arch.graph()).ms == result.predicted_ms
    assert result.verification is not None
    assert result.verification["passed"]
    assert result.trials == 2
    assert result.correction == 1.0
    assert result.agreement == 1.0
    assert result.test_accuracy == result.exported_accuracy
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    assert result.validation_accuracy == max(trial["accuracy"] for trial in trials)
    with (run / "pareto.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert 1 <= len(rows) <= 2
    assert "measured" in " ".join(notes)
    assert (run / "checkpoints" / "best.safetensors").is_file()
    assert not list(run.rglob("*.tmp"))


def test_an_evaluator_of_ones_own_is_chosen_by_its_name(tmp_path, monkeypatch):
    from mobilenas.evaluators import EVALUATORS, Evaluation, Evaluator

    class Half(Evaluator):
        @property
        def settings(self):
            return {"evaluator": "half"}

        def __call__(self, arch, *, seed):
            return Evaluation(accuracy=0.5)

    monkeypatch.setattr(EVALUATORS, "_found", dict(EVALUATORS._found))
    EVALUATORS.add("half", Half)
    result = search(tmp_path / "run", SearchSettings(**QUICK, evaluator="half"))
    assert (result.validation_accuracy, result.accuracy_source) == (0.5, "half on digits")


def test_a_finished_run_that_is_resumed_answers_the_same_without_a_device(tmp_path):
    run = tmp_path / "run"
    result = search(run, SearchSettings(**QUICK))
    before = {name: (run / name).read_bytes() for name in DOCUMENTS if name != "log.txt"}
    FakeRunner.lose_after = 0
    assert search(run, None) == result
    assert {name: (run / name).read_bytes() for name in before} == before


def test_a_first_candidate_that_misses_corrects_the_next(tmp_path):
    """The best trial takes 1.5 times its prediction: a network that meets the target with that factor comes after it.

    2.1 ms are predicted, 3.15 measured; what is measured to meet the target is what is given.
    """
    FakeRunner.slow = slower_than_predicted(1.5)
    run, notes = tmp_path / "run", []
    result = search(run, SearchSettings(**QUICK), note=notes.append)
    candidates = [note for note in notes if note.startswith("candidate")]
    assert len(candidates) >= 2
    assert result.met
    assert result.measured.latency_ms <= 3.0
    assert result.measured.latency_ms == pytest.approx(1.5 * result.predicted_ms, rel=0.03)
    assert result.correction == pytest.approx(1.5, rel=0.03)
    assert result.predicted_ms * result.correction <= 3.0
    assert (run / "best.tflite").read_bytes()
    assert any("corrected by 1.5" in note for note in notes)


def test_a_device_on_which_nothing_meets_the_target(tmp_path):
    FakeRunner.slow = slower_than_predicted(10.0)
    run = tmp_path / "run"
    with pytest.raises(TargetError, match=r"nearest of 1 measured candidates takes [0-9.]+ ms") as caught:
        search(run, SearchSettings(**QUICK))
    document = json.loads((run / "result.json").read_text())
    assert document["met"] is False
    assert document["measured"]["latency_ms"] > 3.0
    assert document["test_accuracy"] is None
    assert f"takes {document['measured']['latency_ms']:.3g} ms" in str(caught.value)
    assert names(run) == sorted(set(DOCUMENTS) - {"best.tflite"})
    suggested = float(str(caught.value).rpartition("--target-ms ")[2].split()[0])
    assert suggested >= document["measured"]["latency_ms"]


def test_a_search_whose_trials_all_fail_says_so(tmp_path, monkeypatch):
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining

    def diverge(self, arch, *, seed):
        return Evaluation(accuracy=0.0, status="failed", detail="training diverged in epoch 1")

    monkeypatch.setattr(ShortTraining, "__call__", diverge)
    for settings in (SearchSettings(**QUICK), None):  # a resumed run says the same and tries nothing again
        with pytest.raises(InputError) as caught:
            search(tmp_path / "run", settings)
        assert str(caught.value).startswith("all 4 trials failed, the last: training diverged in epoch 1; check --data")
    assert len((tmp_path / "run" / "trials.jsonl").read_text().splitlines()) == 4
    assert not FakeRunner.calls
    assert not (tmp_path / "run" / "result.json").exists()


def test_the_file_itself_must_meet_the_target_not_only_the_candidate(tmp_path):
    """The device slows down after the candidate was measured, so that the trained file misses."""
    FakeRunner.slow = slower_than_predicted(10.0, after=1)
    run = tmp_path / "run"
    with pytest.raises(TargetError):
        search(run, SearchSettings(**QUICK))
    assert not (run / "best.tflite").exists()
    assert json.loads((run / "result.json").read_text())["met"] is False


def test_a_target_that_no_network_meets(tmp_path):
    with pytest.raises(TargetError, match="nearest that mnasnet can is"):
        search(tmp_path / "run", SearchSettings(**{**QUICK, "target_ms": 1e-4}))
    assert not (tmp_path / "run" / "result.json").exists()
    assert not FakeRunner.calls


def test_a_device_that_is_lost_leaves_a_run_that_goes_on(tmp_path):
    whole = search(tmp_path / "whole", SearchSettings(**QUICK))
    FakeRunner.reset()
    FakeRunner.lose_after = 1
    with pytest.raises(DeviceError, match="cable"):
        search(tmp_path / "run", SearchSettings(**QUICK))
    assert not (tmp_path / "run" / "best.tflite").exists()
    FakeRunner.reset()
    assert search(tmp_path / "run", None) == whole
    for name in ("trials.jsonl", "result.json", "best.tflite", "best.json", "pareto.csv", "journal.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_winner_whose_training_diverges_is_no_winner(tmp_path, monkeypatch):
    from mobilenas.training import TrainingResult

    monkeypatch.setattr(winner, "train", lambda *args, **rest: TrainingResult("failed", 0.0, (), 0.1))
    with pytest.raises(InputError, match="diverged"):
        search(tmp_path / "run", SearchSettings(**QUICK))
    assert not (tmp_path / "run" / "best.tflite").exists()
    assert not (tmp_path / "run" / "result.json").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"evaluator": "oracle"}, "unknown evaluator 'oracle'"),
        ({"data": "nonsense"}, "nonsense"),
        ({"device": "toaster"}, "unknown device 'toaster'"),
        ({"space": "narnia"}, "narnia"),
        ({"searcher": "psychic"}, "psychic"),
        ({"dtype": "int3"}, "int3"),
    ],
)
def test_what_is_not_known_is_named_before_anything_is_written(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        search(tmp_path / "run", SearchSettings(**{**QUICK, **change}))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("target_ms", 0.0),
        ("target_ms", -1.0),
        ("target_ms", float("nan")),
        ("target_ms", float("inf")),
        ("trials", 0),
        ("trial_epochs", 0),
        ("final_epochs", -1),
        ("seed", -1),
        ("seed", 2**32),
        ("workers", 0),
        ("workers", 1001),
        ("trial_timeout", 0.0),
        ("trial_timeout", float("nan")),
    ],
)
def test_settings_outside_their_range(field, value):
    with pytest.raises(InputError, match=field):
        SearchSettings(**{**QUICK, field: value})


@pytest.mark.parametrize(("max_drop", "dtype"), [(0.9, "int8"), (0.0, "float32")])
def test_auto_takes_the_faster_dtype_unless_it_loses_too_much(
    tmp_path, fake_home, small_space, monkeypatch, max_drop, dtype
):
    """The fake device takes a microsecond a thousand bytes, so that int8 is the faster one."""
    known_table(small_space, "int8").save(fake_home / "latency_tables" / "fake.int8.csv")

    def verify(model, graph, weights, *, dtype, **rest):
        lost = dtype == "int8" and max_drop == 0.0
        return Report((Check("accuracy", not lost, "lost", "not lost"),))

    monkeypatch.setattr(checked_export, "verify_file", verify)
    settings = SearchSettings(**{**QUICK, "dtype": "auto", "max_drop": max_drop, "target_ms": 40.0})
    result = search(tmp_path / "run", settings)
    assert (result.met, result.dtype) == (True, dtype)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "typical latency: float32" in log
    assert ("the winner in int8 does not pass: accuracy" in log) == (dtype == "float32")
    assert search(tmp_path / "run", None) == result


def test_auto_takes_no_dtype_that_breaks_another_bound(tmp_path, fake_home, small_space, monkeypatch):
    """No network of the space is below 2.3 MB in float32."""
    known_table(small_space, "int8").save(fake_home / "latency_tables" / "fake.int8.csv")
    tried = []

    def verify(model, graph, weights, *, dtype, **rest):
        tried.append(dtype)
        return Report((Check("accuracy", False, "lost", "not lost"),))

    monkeypatch.setattr(checked_export, "verify_file", verify)
    settings = SearchSettings(**{**QUICK, "dtype": "auto", "max_size_mb": 2.0, "target_ms": 40.0})
    with pytest.raises(VerificationError, match="the exported winner"):
        search(tmp_path / "run", settings)
    assert set(tried) == {"int8"}


def test_a_random_search_that_would_have_to_train_is_not_made_and_its_cost_is_said(tmp_path, monkeypatch, capsys):
    from mobilenas.cli.search_output import print_result
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining

    monkeypatch.setattr(ShortTraining, "__call__", lambda self, arch, *, seed: Evaluation(accuracy=0.5, seconds=40.0))
    result = search(tmp_path / "run", SearchSettings(**QUICK))
    assert result.random_accuracy is None
    assert all(each.top1 is None for each in result.published)  # they were published for other images
    print_result(result, tmp_path / "run")
    assert "random networks would be evaluated for about 1 min 20 s too" in capsys.readouterr().out


def test_a_random_search_that_is_asked_for_is_made_once(tmp_path, monkeypatch, capsys):
    from mobilenas.cli.search_output import print_result
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining

    seeds = []

    def evaluate(self, arch, *, seed):
        seeds.append(seed)
        return Evaluation(accuracy=0.5 + seed % 1000 / 10_000, seconds=40.0)

    monkeypatch.setattr(ShortTraining, "__call__", evaluate)
    alone = search(tmp_path / "run", SearchSettings(**QUICK))
    assert len(seeds) == 2
    compared = search(tmp_path / "run", None, baseline=True)
    assert len(seeds) == 4
    assert compared.random_accuracy == max(0.5 + seed % 1000 / 10_000 for seed in seeds[2:])
    assert replace(compared, random_accuracy=None, random_trials=0) == alone
    assert search(tmp_path / "run", None) == compared  # from the journal
    assert search(tmp_path / "other", SearchSettings(**QUICK, baseline=True)) == compared
    assert len(seeds) == 8
    print_result(compared, tmp_path / "run")
    assert "% with as many trials" in capsys.readouterr().out


def test_near_winners_are_measured_together_and_the_best_of_those_that_meet_the_target_wins(tmp_path, monkeypatch):
    """All are within half a point: the reward at measured latency decides; a resumed run decides the same."""
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining

    def evaluate(self, arch, *, seed):
        return Evaluation(accuracy=0.6 + seed % 100 / 50_000)

    monkeypatch.setattr(ShortTraining, "__call__", evaluate)
    run, notes = tmp_path / "run", []
    result = search(run, SearchSettings(**{**QUICK, "trials": 5}), note=notes.append)
    assert sum(note.startswith("candidate trial") for note in notes) == 3
    journal = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    near = next(line for line in journal if line["key"].startswith("candidates "))
    trials = [json.loads(line) for line in (run / "trials.jsonl").read_text().splitlines()]
    best = sorted(trials, key=lambda trial: -trial["accuracy"])[:3]
    assert near["key"] == "candidates " + " ".join(str(trial["index"]) for trial in best)
    rewards = [
        trial["accuracy"] * (each["latency_ms"] / 3.0) ** -0.07
        for trial, each in zip(best, near["answer"], strict=True)
    ]
    assert result.predicted_ms == best[int(np.argmax(rewards))]["latency_ms"]
    FakeRunner.lose_after = 0
    assert search(run, None) == result


def test_workers_rest_before_the_winner_is_trained(tmp_path, monkeypatch):
    from mobilenas.evaluators import Evaluation
    from mobilenas.evaluators.short_training import ShortTraining
    from mobilenas.evaluators.workers import InProcess

    seen = []
    monkeypatch.setattr(ShortTraining, "__call__", lambda self, arch, *, seed: Evaluation(accuracy=0.5))
    monkeypatch.setattr(InProcess, "rest", lambda self: seen.append("rest"))
    search(tmp_path / "run", SearchSettings(**QUICK), note=seen.append)
    said = [text.split(" for ")[0] for text in seen]
    assert said.count("rest") == 1
    assert said.index("rest") < said.index("training the winner")
