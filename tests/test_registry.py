import subprocess
import sys
from abc import ABC, abstractmethod

import pytest

from mobilenas.blocks import BLOCKS, Block
from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import InputError
from mobilenas.registry import Registry, unknown

BASE = """
from abc import ABC, abstractmethod
class Tool(ABC):
    @abstractmethod
    def work(self): ...
"""
SAW = """
from {package}.tool import Tool
class Handle: ...
class Saw(Tool):
    def work(self): return "sawn"
"""
TWO = """
from {package}.saw import Saw
class First(Saw): ...
class Second(Saw): ...
"""
NONE = """
from {package}.saw import Saw
from {package}.tool import Tool
class Abstract(Tool): ...
"""


@pytest.fixture
def tools(tmp_path, monkeypatch, request):
    """A registry of a package of its own, and the package's name."""
    name = f"tools_{abs(hash(request.node.name))}"
    package = tmp_path / name
    (package / "inner").mkdir(parents=True)
    files = {"__init__": "", "tool": BASE, "saw": SAW, "two": TWO, "none": NONE, "_private": SAW, "inner/__init__": ""}
    for file, text in files.items():
        (package / f"{file}.py").write_text(text.format(package=name))
    monkeypatch.syspath_prepend(str(tmp_path))
    base = __import__(f"{name}.tool", fromlist=["Tool"]).Tool
    yield Registry(name, base, "tool"), name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


def test_every_file_but_the_base_private_ones_and_packages_is_listed(tools):
    registry, name = tools
    assert list(registry) == ["none", "saw", "two"]
    assert len(registry) == 3
    assert "saw" in registry
    assert not any(key in registry for key in ("tool", "_private", "inner", "hammer", 5))
    assert f"{name}.saw" not in sys.modules


def test_a_look_up_imports_that_module_and_finds_its_one_class(tools):
    registry, name = tools
    assert registry["saw"]().work() == "sawn"
    assert registry["saw"] is registry["saw"]
    assert f"{name}.two" not in sys.modules


@pytest.mark.parametrize(("module", "count"), [("two", 2), ("none", 0)])
def test_a_module_with_not_exactly_one_class_is_a_mistake_in_it(tools, module, count):
    registry, name = tools
    with pytest.raises(TypeError, match=rf"{name}\.{module} must hold exactly one Tool, not {count}"):
        registry[module]


def test_an_unknown_name_gives_the_nearest(tools):
    registry, _ = tools
    with pytest.raises(InputError, match=r"^unknown tool 'sew'; did you mean: saw\?$"):
        registry["sew"]


def test_a_class_from_elsewhere_can_be_added(tools):
    registry, _ = tools

    class Hammer(registry["saw"]):
        pass

    registry.add("hammer", Hammer)
    assert registry["hammer"] is Hammer
    assert list(registry) == ["hammer", "none", "saw", "two"]
    assert len(registry) == 4
    assert "hammer" in registry


def test_unknown_without_a_near_name_lists_all_of_them():
    assert unknown("model", "zzz", ["a", "b"]) == "unknown model 'zzz'; did you mean: a, b?"
    assert unknown("model", "zzz", []) == "unknown model 'zzz'"
    assert len(unknown("model", "z" * 1000, [])) < 100


def test_unknown_names_what_begins_so() -> None:
    names = ["mobilenet_v2", "mobilenet_v4_conv_small", "mobilenet_v4_conv_large"]
    said = unknown("model", "mobilenet_v4", names)
    assert said == "unknown model 'mobilenet_v4'; did you mean: mobilenet_v4_conv_large, mobilenet_v4_conv_small?"


def test_unknown_does_not_list_what_nobody_would_read():
    names = [f"name_{i}" for i in range(50)]
    assert unknown("model", "zzz", names) == "unknown model 'zzz'"
    assert unknown("model", "name_7x", names).startswith("unknown model 'name_7x'; did you mean: name_7")


def test_blocks_are_found_by_file():
    assert BLOCKS["mbconv"] is MBConv
    assert all(issubclass(BLOCKS[name], Block) and BLOCKS[name].type == name for name in BLOCKS)


def test_listing_blocks_imports_none():
    code = (
        "import sys; from mobilenas.blocks import BLOCKS; names = list(BLOCKS)\n"
        "assert 'mbconv' in names and 'mobilenas.blocks.mbconv' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_abstract_classes_and_imported_ones_do_not_count():
    class Base(ABC):
        @abstractmethod
        def work(self): ...

    registry = Registry("mobilenas.blocks", Base, "nothing")
    with pytest.raises(TypeError, match="exactly one Base, not 0"):
        registry["mbconv"]
