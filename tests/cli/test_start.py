"""What need not be loaded is not: help, and predictions from a table, start at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FAKE_RUNNER = Path(__file__).parents[1] / "latency"
HEAVY = ("torch", "torchvision", "sklearn", "pandas", "accelerate", "tflite_runtime", "ai_edge_litert.interpreter")


def heavy(code, **environment):
    """The heavy modules that Python loads for some code."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    found = {line.rpartition("|")[2].strip() for line in lines}
    assert "mobilenas" in found
    return {name for name in found for module in HEAVY if name == module or name.startswith(f"{module}.")}


@pytest.mark.parametrize(
    "code",
    [
        "import mobilenas",
        "from mobilenas.cli.main import run; assert run(['--help']) == 0",
        "from mobilenas.cli.main import run; assert run(['search', '--help']) == 0",
        "from mobilenas.cli.main import run; assert run(['info', 'mobilenet_v2']) == 0",
        "from mobilenas.cli.main import run; assert run(['predict', 'mobilenet_v3_large', '--device', 'pixel1']) == 0",
    ],
)
def test_nothing_heavy_is_loaded(code):
    assert heavy(code) == set()


def test_heavy_modules_would_be_seen():
    assert "torch.nn" in heavy("import mobilenas.nn")


def test_a_prediction_from_a_table_loads_nothing_heavy(home, table, mobilenas, tiny):
    assert mobilenas("profile", "--device", "fake", "--model", tiny)[0] == 0
    register = (
        "from fake_runner import FakeRunner; from mobilenas.runners import RUNNERS; RUNNERS.add('fake', FakeRunner)"
    )
    for extra in ([], ["--no-measure"]):
        arguments = ["predict", tiny, "--device", "fake", *extra]
        code = f"{register}; from mobilenas.cli.main import run; assert run({arguments!r}) == 0"
        assert heavy(code, MOBILENAS_HOME=str(home), PYTHONPATH=str(FAKE_RUNNER)) == set()


def test_no_arguments_print_help(mobilenas):
    code, out, err = mobilenas()
    assert (code, err) == (2, "")
    assert out == mobilenas("--help")[1]
    assert out.lstrip().startswith("Usage: ")
    assert "search" in out


def test_options_without_a_command_are_an_error(mobilenas):
    assert mobilenas("--verbose") == (2, "", "error: Missing command; run: mobilenas --help\n")


def test_small_matrices_are_no_work_for_several_threads():
    code = (
        "import mobilenas.cli.main, numpy, threadpoolctl\n"
        "print([pool['num_threads'] for pool in threadpoolctl.threadpool_info() if pool['user_api'] == 'blas'])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.endswith("NUM_THREADS")}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout.strip() == "[1]"
