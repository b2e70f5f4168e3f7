"""`mobilenas search --target-ms T` with nothing else: no phone, no images, no torch."""

import json
import subprocess
import sys

from mobilenas.arch import Arch


def test_it_ends_with_a_network_a_front_and_a_file(answer, tmp_path):
    run = tmp_path / "run"
    result = answer("search", "--target-ms", "75", "--trials", "12", "--out", run)
    assert (result["device"], result["met"], result["measured"], result["trained"]) == ("pixel1", True, None, False)
    assert result["predicted_ms"] < result["high_ms"] == result["upper_ms"] <= 75
    assert (result["method"], result["era"], result["extrapolated"]) == ("calibrated", "TFLite 2018", False)
    assert json.loads((run / "result.json").read_text())["method"] == "calibrated"
    assert result["trials"] == 12
    assert Arch.load(run / "best.json").name == result["name"]
    assert (run / "best.tflite").stat().st_size == result["size_bytes"]
    assert len((run / "pareto.csv").read_text().splitlines()) >= 2


def test_what_a_person_reads_says_that_nothing_was_trained(mobilenas, tmp_path):
    code, out, err = mobilenas("search", "--target-ms", "60", "--trials", "10", "--out", tmp_path / "run")
    assert code == 0
    assert " ms (calibrated, TFLite 2018, 90 % interval " in out
    assert "277 distinct ops; profiling them takes about" in err
    assert "UNTRAINED: random weights" in out
    assert "it ranks, and is not what full training gives" in out
    assert "nothing: pixel1 does not answer" in out
    assert "% with as many trials" in out


def test_a_millisecond_is_too_little_and_the_nearest_is_named(refused, tmp_path):
    said = refused(3, "search", "--target-ms", "1", "--out", tmp_path / "run")
    assert "latency on pixel1 of 1 ms cannot be met: the nearest that mnasnet_proxy can is" in said
    assert not (tmp_path / "run").exists()


def test_it_loads_no_torch(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from mobilenas.cli.main import run\n"
        f"sys.exit(run(['search', '--target-ms', '75', '--trials', '10', '--out', {str(tmp_path / 'run')!r}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_search_that_has_found_everything_says_so_without_a_terminal(mobilenas, tmp_path):
    code, out, err = mobilenas("search", "--target-ms", "17.6", "--trials", "300", "--out", tmp_path / "run")
    assert code == 0
    assert "trials: no further network is found that meets the bounds" in err
    assert "of 300 planned: no further network was found" in out
