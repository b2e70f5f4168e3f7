import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mobilenas

PACKAGE = Path(mobilenas.__file__).parent

LEVELS = (
    ("errors", "extras", "settings", "registry", "storage"),
    ("graph",),
    ("blocks",),
    ("arch",),
    ("models", "spaces"),
    ("nn", "export"),
    ("pretrained",),
    ("runners",),
    ("latency",),
    ("objectives",),
    ("history",),
    ("training",),
    ("quantization",),
    ("evaluators",),
    ("scaling",),
    ("searchers",),
    ("verification",),
    ("run",),
    ("cli",),
    ("testing",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}
ROOT = 0
"""Modules at the root: anyone may use them, and they may use each other."""

SIBLINGS = {("nn", "export")}
"""(importer, imported) on one level; every other pair of siblings keeps apart."""

LIGHT_ROOMS = {
    *LEVELS[ROOT],
    *(
        "graph",
        "blocks",
        "arch",
        "models",
        "spaces",
        "export",
        "pretrained",
        "runners",
        "latency",
        "objectives",
        "history",
    ),
}
SCRIPTS = {
    "mobilenas.runners._litert_agent",
    "mobilenas.runners._onnx_agent",
    "mobilenas.runners._board_supervisor",
}
"""Run elsewhere, never imported."""
HEAVY = ("torch", "torchvision", "accelerate", "sklearn", "pandas", "PIL")
SEARCHERS_USERS = {"searchers", "run", "cli", "testing"}


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        yield ".".join(("mobilenas", *(part for part in parts if part != "__init__"))), path


MODULES = dict(modules())


def imports_of(name: str, *, for_types: bool = True) -> set[str]:
    """Full names of what a module imports, in functions too; `from p import m` is `p.m` where that is a module.

    `for_types` says whether imports that only a type checker sees count.
    """
    found = set()
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    unseen = set() if for_types else {id(node) for block in blocks for node in ast.walk(block)}
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            full = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {entry if entry in MODULES else str(node.module) for entry in full}
    return found


def run_python(code: str) -> str:
    environment = os.environ | {"ANDROID_ADB_SERVER_PORT": "1"}  # a server that runs here is asked, with a library
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_heavy(code: str) -> str:
    """Runs code where torch and its like cannot be imported."""
    return run_python(f"import sys\nsys.modules.update(dict.fromkeys({HEAVY!r}))\n{code}")


def test_every_module_belongs_to_a_known_room():
    assert {room_of(name) for name in MODULES} - {""} <= set(LEVEL)
    assert len(MODULES) > 50


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name)])
def test_an_earlier_room_never_imports_a_later_one(name):
    room = room_of(name)
    for imported in imports_of(name):
        other = room_of(imported) if imported.split(".")[0] == "mobilenas" else ROOT
        if not other or other == room:
            continue
        allowed = LEVEL[other] == ROOT or LEVEL[other] < LEVEL[room] or (room, other) in SIBLINGS
        assert allowed, f"{name} imports {imported}"


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) not in SEARCHERS_USERS])
def test_only_the_run_and_the_command_line_know_searchers(name):
    assert not {imported for imported in imports_of(name) if room_of(imported) == "searchers"}


def test_the_run_finds_searchers_through_the_registry():
    searchers = {name for name in MODULES if room_of(name) == "searchers" and name.count(".") == 2}
    concrete = {name for name in searchers if name != "mobilenas.searchers.searcher"}
    assert concrete
    for name in MODULES:
        if room_of(name) in ("run", "cli"):
            assert not imports_of(name) & concrete, name


@pytest.mark.parametrize("name", [name for name in MODULES if room_of(name) in LIGHT_ROOMS])
def test_light_rooms_name_no_heavy_library(name):
    assert not {imported for imported in imports_of(name, for_types=False) if imported.split(".")[0] in HEAVY}


def test_light_rooms_can_be_imported_where_no_heavy_library_is_installed():
    names = [name for name in MODULES if room_of(name) in LIGHT_ROOMS and name not in SCRIPTS]
    without_heavy("\n".join(f"import {name}" for name in names))


def test_the_blocked_libraries_really_cannot_be_imported():
    assert without_heavy("try:\n    import torch\nexcept ImportError:\n    print('blocked')") == "blocked\n"


def test_importing_the_package_loads_next_to_nothing():
    loaded = run_python("import sys, mobilenas; print(*sys.modules, sep='\\n')").splitlines()
    assert "mobilenas" in loaded
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY, "numpy", "ai_edge_litert", "typer", "rich"}


def test_public_names_are_found_when_they_are_used():
    assert mobilenas.models.get("mobilenet_v2").name == "mobilenet_v2"
    assert mobilenas.Arch.__name__ == "Arch"
    assert callable(mobilenas.load_predictor)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = mobilenas.nothing


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["models", "--json"],
        ["info", "mobilenet_v3_small", "--json"],
        ["devices", "--json"],
        ["predict", "--help"],
        ["predict", "mobilenet_v3_large", "--device", "pixel1", "--json"],
        ["models", "--device", "pixel1", "--target-ms", "75", "--json"],
        ["import-table", "--help"],
        ["calibrate", "--help"],
        ["profile", "--help"],
        ["measure", "--help"],
        ["search", "--help"],
        ["export", "mnasnet_b1", "--out", "{folder}/network.tflite", "--json"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_commands_that_train_nothing_need_no_torch(arguments, tmp_path):
    filled = [argument.format(folder=tmp_path) for argument in arguments]
    code = f"from mobilenas.cli.main import run\ncode = run({filled!r})\nassert code == 0, code"
    assert without_heavy(code)


def test_help_loads_no_heavy_library_where_all_are_installed():
    code = (
        "import contextlib, io, sys\n"
        "from mobilenas.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()) as out:\n"
        "    assert run(['--help']) == 0\n"
        "assert 'search' in out.getvalue()\n"
        "print(*sys.modules, sep='\\n')"
    )
    loaded = run_python(code).splitlines()
    assert not {name.split(".")[0] for name in loaded} & {*HEAVY, "scipy"}
    assert "ai_edge_litert.interpreter" not in loaded
