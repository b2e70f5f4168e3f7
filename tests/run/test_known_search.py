"""search without images: accuracies are known, the winner is exported untrained."""

import csv
import json
import signal
from dataclasses import asdict

import pytest
from fake_runner import FakeRunner
from known_device import DEVICE_TOML, known_table
from plans import EVERY_FIELD

from mobilenas.arch import Arch
from mobilenas.errors import InputError, StorageError, TargetError
from mobilenas.evaluators import EVALUATORS, Evaluation, Evaluator
from mobilenas.evaluators.imagenet_surrogate import ImageNetSurrogate
from mobilenas.history import History
from mobilenas.run import SearchSettings, search
from mobilenas.runners import RUNNERS
from mobilenas.spaces import SpacePlan, StagedSpace
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace

ALONE = {
    "target_ms": 15.0,
    "device": "phone",
    "space": "mnasnet_proxy",
    "evaluator": "imagenet_surrogate",
    "trials": 60,
}
PHONE_TOML = 'name = "phone"\nrunner = "none"\n'


@pytest.fixture(scope="module")
def table_text():
    return known_table(MnasNetProxySpace()).to_csv()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch, table_text):
    """A phone that nobody can reach, and the fake device, both with the table of the space."""
    home = tmp_path / "home"
    monkeypatch.setenv("MOBILENAS_HOME", str(home))
    (home / "devices").mkdir(parents=True)
    (home / "latency_tables").mkdir()
    (home / "devices" / "phone.toml").write_text(PHONE_TOML)
    (home / "devices" / "fake.toml").write_text(DEVICE_TOML)
    (home / "latency_tables" / "phone.float32.csv").write_text(of_device("phone", table_text))
    (home / "latency_tables" / "fake.float32.csv").write_text(table_text)
    FakeRunner.reset()
    RUNNERS.add("fake", FakeRunner)
    yield home
    FakeRunner.reset()


def of_device(name, table_text):
    """The fake device's table as one of a device that nobody has measured, fitted to networks up to 100 ms."""
    calibrated = table_text.replace("# method: measured", "# method: calibrated")
    largest = "# calibration_network: largest | 100000.0 | 1000000 | 100000.0\n# calibration_network: "
    return calibrated.replace("# device: fake", f"# device: {name}").replace("# calibration_network: ", largest)


def test_a_phone_that_nobody_can_reach(tmp_path):
    run, notes = tmp_path / "run", []
    result = search(run, SearchSettings(**ALONE), note=notes.append)
    assert result.met
    assert result.measured is None
    assert not result.trained
    assert result.high_ms <= 15.0 < 1.5 * result.high_ms
    assert result.upper_ms == result.high_ms
    assert result.random_accuracy is not None
    assert 0.9 * result.validation_accuracy < result.random_accuracy < result.validation_accuracy
    assert json.loads((run / "result.json").read_text()) == result.to_dict()
    assert "reduced training schedule" in result.accuracy_meaning
    arch = Arch.load(run / "best.json")
    assert ImageNetSurrogate()(arch, seed=0).accuracy == result.validation_accuracy
    model = (run / "best.tflite").read_bytes()
    assert result.size_bytes == len(model)
    assert b"UNTRAINED" in model
    assert result.verification is not None
    checks = [check["name"] for check in result.verification["checks"]]
    assert checks == ["inputs", "outputs", "operators", "delegate", "size"]
    assert result.verification["passed"]
    with (run / "pareto.csv").open() as file:
        front = list(csv.DictReader(file))
    assert float(front[-1]["accuracy"]) == result.validation_accuracy
    assert any("not trained: its file has random weights" in note for note in notes)
    assert any("1e+11 genotypes, 277 distinct ops" in note for note in notes)


def test_auto_is_the_faster_dtype_of_a_phone_that_nobody_can_reach(tmp_path, home):
    """The tables say a microsecond a thousand bytes of weights, so that int8 is the faster one."""
    table = known_table(MnasNetProxySpace(), "int8").to_csv()
    (home / "latency_tables" / "phone.int8.csv").write_text(of_device("phone", table))
    result = search(tmp_path / "run", SearchSettings(**{**ALONE, "dtype": "auto", "target_ms": 4.0}))
    assert (result.met, result.dtype, result.measured) == (True, "int8", None)
    assert result.size_bytes <= 4.3e6
    assert result.peak_memory_bytes == Arch.load(tmp_path / "run" / "best.json").graph().peak_memory_bytes("int8")
    assert search(tmp_path / "run", None) == result


def test_trials_say_what_the_networks_say(tmp_path):
    search(tmp_path / "run", SearchSettings(**ALONE))
    trials = list(History.open(tmp_path / "run" / "trials.jsonl"))
    assert len(trials) == 60
    space, surrogate = MnasNetProxySpace(), ImageNetSurrogate()
    for trial in trials[::20]:
        arch = space.decode(trial.genotype)
        evaluation = surrogate(arch, seed=0)
        assert (trial.accuracy, trial.accuracy_std) == (evaluation.accuracy, evaluation.std)
        assert (trial.macs, trial.params) == (arch.graph().macs, arch.graph().params)
        assert trial.reward == pytest.approx(trial.accuracy * (trial.latency_ms / 15.0) ** -0.07)
        assert trial.low_ms + trial.high_ms == pytest.approx(2 * trial.latency_ms)


def test_a_killed_run_goes_on_as_if_nothing_had_been(tmp_path):
    whole = search(tmp_path / "whole", SearchSettings(**ALONE))
    search(tmp_path / "run", SearchSettings(**ALONE))
    for name in ("best.tflite", "result.json", "pareto.csv"):
        (tmp_path / "run" / name).unlink()
    lines = (tmp_path / "whole" / "trials.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "run" / "trials.jsonl").write_bytes(b"".join(lines[:31]) + lines[31][:-9])
    assert search(tmp_path / "run", None) == whole
    for name in ("trials.jsonl", "result.json", "best.tflite", "best.json", "pareto.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_a_disk_that_fills_in_the_first_batch_leaves_a_run_that_goes_on(tmp_path):
    room, settings = 120_000, SearchSettings(**{**ALONE, "searcher": "random_search", "trials": 600})
    whole = search(tmp_path / "whole", settings)
    resource = pytest.importorskip("resource", reason="Windows has no limit of file sizes")
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
        with pytest.raises(StorageError, match=r"cannot write .*; free space there, then resume the run"):
            search(tmp_path / "run", settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert room - 400 < (tmp_path / "run" / "trials.jsonl").stat().st_size <= room
    assert search(tmp_path / "run", None) == whole
    assert (tmp_path / "run" / "trials.jsonl").read_bytes() == (tmp_path / "whole" / "trials.jsonl").read_bytes()


def test_a_device_that_answers_is_asked(tmp_path):
    FakeRunner.slow = staticmethod(lambda call: 1.3)
    result = search(tmp_path / "run", SearchSettings(**{**ALONE, "device": "fake"}))
    assert result.measured is not None
    assert result.measured.latency_ms <= 15.0
    assert result.correction == pytest.approx(1.3, rel=0.03)
    assert '"key": "candidates ' in (tmp_path / "run" / "journal.jsonl").read_text()  # near-winners, in one go


def test_nothing_meets_it(tmp_path):
    with pytest.raises(TargetError, match=r"latency on phone of 0\.1 ms cannot be met: the nearest that mnasnet_proxy"):
        search(tmp_path / "run", SearchSettings(**{**ALONE, "target_ms": 0.1}))
    assert not (tmp_path / "run").exists()


def test_every_limit_holds_at_once(tmp_path, home, table_text):
    (home / "devices" / "other.toml").write_text('name = "other"\nrunner = "none"\n')
    (home / "latency_tables" / "other.float32.csv").write_text(of_device("other", table_text))
    limits = {"max_macs": 3.5e8, "max_params": 3.4e6, "max_size_mb": 13.0, "max_memory_mb": 6.5, "also": ("other=13",)}
    run = tmp_path / "run"
    result = search(run, SearchSettings(**ALONE, **limits))
    assert result.macs <= 3.5e8
    assert result.params <= 3.4e6
    assert result.size_bytes <= 13e6
    assert result.peak_memory_bytes <= 6.5e6
    assert result.high_ms <= 13
    assert [(bound.name, bound.limit, bound.unit) for bound in result.bounds] == [
        ("latency on phone", 15.0, "ms"),
        ("latency on other", 13.0, "ms"),
        ("multiply-adds", 3.5e8, "MACs"),
        ("parameters", 3.4e6, "params"),
        ("model size", 13.0, "MB"),
        ("peak memory", 6.5, "MB"),
    ]
    assert all(bound.nominal <= bound.upper <= bound.limit for bound in result.bounds)
    assert [bound.nominal for bound in result.bounds[:4]] == [*2 * [result.predicted_ms], result.macs, result.params]
    assert json.loads((run / "result.json").read_text())["bounds"][1] == asdict(result.bounds[1])
    assert all(trial.macs <= 3.5e8 and trial.high_ms <= 13 for trial in History.open(run / "trials.jsonl"))
    (home / "latency_tables" / "other.float32.csv").unlink()
    assert search(run, None) == result  # the run keeps the tables that it began with
    with pytest.raises(TargetError, match=r"parameters of 10 params .*--max-params"):
        search(tmp_path / "none", SearchSettings(**ALONE, max_params=10))


def test_the_risk_decides_how_much_of_the_interval_must_meet_the_target(tmp_path):
    even = search(tmp_path / "even", SearchSettings(**ALONE, risk=0.5))
    assert even.upper_ms == pytest.approx(even.predicted_ms)
    assert even.predicted_ms <= 15.0
    careful = search(tmp_path / "careful", SearchSettings(**ALONE, risk=0.01))
    assert careful.high_ms < careful.upper_ms <= 15.0


def test_a_space_file_is_kept_with_the_run(tmp_path, monkeypatch, home):
    class Half(Evaluator):
        needs_data = False

        @property
        def settings(self):
            return {"evaluator": "half"}

        def __call__(self, arch, *, seed):
            return Evaluation(accuracy=0.5)

    monkeypatch.setattr(EVALUATORS, "_found", {**EVALUATORS._found, "half": Half})
    stages = [{**stage, "conv_op": ["mbconv3"], "skip": ["identity"]} for stage in EVERY_FIELD["stages"]]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**EVERY_FIELD, "stages": stages}))
    space = StagedSpace(SpacePlan.load(path))
    (home / "latency_tables" / "phone.float32.csv").write_text(of_device("phone", known_table(space).to_csv()))
    chosen = {**ALONE, "space": str(path), "evaluator": "half", "trials": 5}
    result = search(tmp_path / "run", SearchSettings(**chosen))
    path.unlink()
    assert search(tmp_path / "run", None) == result
    assert result.name.startswith("mine-")
    assert (result.random_accuracy, result.random_trials) == (0.5, 5)  # its evaluator costs nothing


def test_a_third_figure_has_a_column(tmp_path):
    search(tmp_path / "run", SearchSettings(**ALONE, pareto_third="memory", searcher="nsga2"))
    with (tmp_path / "run" / "pareto.csv").open() as file:
        front = list(csv.DictReader(file))
    space = MnasNetProxySpace()
    for row in front[:: max(1, len(front) // 3)]:
        graph = space.decode(list(map(int, row["genotype"].split()))).graph()
        assert float(row["memory_mb"]) == graph.peak_memory_bytes("float32") / 1e6
    accuracies = [float(row["accuracy"]) for row in front]
    assert accuracies != sorted(accuracies)  # a slower and worse network is there, since it needs less memory


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "digits"}, "imagenet_surrogate takes no images; leave out --data"),
        ({"evaluator": "short_training"}, "short_training trains on images; give --data DATA"),
        ({"space": "mnasnet"}, "does not know mnasnet-"),
        ({"resolution": 192}, "it covers mnasnet_proxy at 224 pixels"),
        ({"space": "nowhere.json"}, "cannot read space file"),
        ({"also": ("toaster=3",)}, "unknown device 'toaster'"),
        ({"also": ("fake",)}, "also: 'fake' is not accepted; give DEVICE=MILLISECONDS"),
        ({"also": ("fake=-1",)}, "also: 'fake=-1'"),
        ({"risk": 0.7}, "risk: 0.7"),
        ({"max_macs": 0.0}, "max_macs: 0.0"),
        ({"max_memory_mb": float("nan")}, "max_memory_mb"),
        ({"reward": "absolute", "alpha": -0.1}, "has no alpha"),
        ({"beta": 0.5}, "beta: 0.5"),
    ],
)
def test_what_does_not_fit_is_said_before_the_search(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        search(tmp_path / "run", SearchSettings(**{**ALONE, **change}))
    assert not (tmp_path / "run").exists()


def test_a_device_without_a_table_and_without_a_connection(tmp_path, home):
    (home / "latency_tables" / "phone.float32.csv").unlink()
    with pytest.raises(InputError, match="phone has no float32 table; run: mobilenas calibrate FILE --device phone"):
        search(tmp_path / "run", SearchSettings(**ALONE))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("change", [{"workers": 2}, {"ray": "local"}])
def test_workers_for_an_evaluator_that_needs_none_are_refused(tmp_path, change):
    with pytest.raises(InputError, match=r"imagenet_surrogate answers thousands .* leave out --workers and --ray"):
        search(tmp_path / "run", SearchSettings(**ALONE, **change))
    assert not (tmp_path / "run").exists()


def test_published_networks_stand_beside_the_winner(tmp_path):
    result = search(tmp_path / "run", SearchSettings(**ALONE))
    assert {"mobilenet_v3_small", "mnasnet_a1_0.75"} <= {each.name for each in result.published}
    assert all(each.high_ms <= 15.0 for each in result.published)
    kept = json.loads((tmp_path / "run" / "result.json").read_text())["published"]
    assert [each["name"] for each in kept] == [each.name for each in result.published]
