"""Files of other converters, made once by `_convert.py` in the environment that has them, and kept in a folder."""

import os
import subprocess
import sys
from pathlib import Path

import mobilenas

SCRIPT = Path(__file__).with_name("_convert.py")


def converted_file(python: str, source: str, name: str, dtype: str, folder: Path) -> Path:
    """The file of one source (see `_convert.py`), converted by the interpreter `python` unless `folder` has it.

    Raises:
        SystemExit: If it cannot be converted; the text is the converter's last line.
    """
    path = folder / f"{source}-{name}-{dtype}.tflite"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".partial")
        ours = str(Path(mobilenas.__file__).parents[1])
        searched = os.pathsep.join(filter(None, (ours, os.environ.get("PYTHONPATH"))))
        command = [python, str(SCRIPT), source, name, dtype, str(unfinished)]
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": searched}, capture_output=True, text=True, check=False
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            sys.exit(f"{source} does not convert {name} to {dtype}: {last}")
        unfinished.replace(path)
    return path
