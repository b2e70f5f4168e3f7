import subprocess
import sys

import pytest

from mobilenas.errors import InputError
from mobilenas.extras import require


def test_gives_what_is_installed() -> None:
    assert require("json", "train") is sys.modules["json"]
    assert require("os.path", "train") is sys.modules["os.path"]


def test_says_how_to_get_what_is_not() -> None:
    with pytest.raises(InputError, match=r'no_such_library is not installed.*pip install "mobilenas\[bench\]"'):
        require("no_such_library.inner", "bench")


def test_a_library_that_is_broken_inside_is_not_called_absent(tmp_path, monkeypatch) -> None:
    (tmp_path / "broken_library.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        require("broken_library", "train")


def test_torch_modules_without_torch() -> None:
    code = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from mobilenas.errors import InputError\n"
        "try:\n"
        "    import mobilenas.nn\n"
        "except InputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == 'torch is not installed; run: pip install "mobilenas[train]"'
