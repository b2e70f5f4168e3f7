import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

REPOSITORY = Path(__file__).parent.parent
SCRIPTS = "Scripts" if os.name == "nt" else "bin"


def run(*command, cwd, **environment):
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | environment
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    """The sdist, and the wheel that is built from the unpacked sdist and not from the checkout."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, REPOSITORY, cwd=out)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(distributions, tmp_path_factory):
    """The scripts' folder of a fresh environment with the wheel; its dependencies are those that are installed here."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / SCRIPTS / "python"
    command = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", distributions[1])
    run(*command, cwd=folder)
    purelib = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # a .pth inside a folder that a .pth adds is not read, so the editable install of this checkout stays out
    Path(purelib, "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / SCRIPTS


@pytest.fixture
def empty(tmp_path):
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


def test_the_wheel_carries_devices_tables_and_types(distributions):
    names = set(zipfile.ZipFile(distributions[1]).namelist())
    devices = {f"mobilenas/_data/devices/{path.name}" for path in (REPOSITORY / "devices").glob("*.toml")}
    tables = {f"mobilenas/_data/latency_tables/{path.name}" for path in (REPOSITORY / "latency_tables").glob("*.csv")}
    assert devices
    assert tables
    assert devices | tables | {"mobilenas/py.typed", "mobilenas/_data/latency_tables/README.md"} <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"mobilenas"}
    assert not [name for name in names if Path(name).name.startswith("host.") and name.endswith(".csv")]
    assert [name for name in names if name.endswith("licenses/LICENSE")]


def test_the_sdist_carries_what_a_wheel_is_built_from_and_no_build_output(distributions):
    with tarfile.open(distributions[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "devices/host.toml", "mobilenas/arch.py"} <= names
    assert not [name for name in names if name.startswith((".venv", "build/", "runs/", ".hypothesis"))]


def test_it_is_imported_from_the_wheel(installed, empty):
    found = run(installed / "python", "-c", "import mobilenas; print(mobilenas.__file__)", cwd=empty).strip()
    assert Path(found).is_relative_to(installed.parent)
    assert not Path(found).is_relative_to(REPOSITORY)


def test_info_counts_the_parameters_of_a_published_network(installed, empty):
    document = json.loads(run(installed / "mobilenas", "info", "mobilenet_v3_large", "--json", cwd=empty))
    assert document["name"] == "mobilenet_v3_large"
    assert document["params"] == 5_483_032
    assert list(empty.iterdir()) == []


def test_devices_lists_the_shipped_ones(installed, empty, tmp_path):
    out = run(installed / "mobilenas", "devices", "--json", cwd=empty, MOBILENAS_HOME=str(tmp_path / "home"))
    assert "host" in {device["name"] for device in json.loads(out)}
    assert list(empty.iterdir()) == []


def test_a_phone_that_nobody_has_is_predicted_from_its_shipped_table(installed, empty, tmp_path):
    command = (installed / "mobilenas", "predict", "mobilenet_v3_large", "--device", "pixel1", "--json")
    document = json.loads(run(*command, cwd=empty, MOBILENAS_HOME=str(tmp_path / "home")))
    assert document["method"] == "calibrated"
    assert {era["era"] for era in document["eras"]} == {"TFLite 2018", "TFLite 2019"}
    assert list(empty.iterdir()) == []
