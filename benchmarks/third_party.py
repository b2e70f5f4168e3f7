"""`mobilenas predict` against `mobilenas measure` on `.tflite` files that others wrote, in processes of their own.

    MOBILENAS_TEST_DATA=DATA python benchmarks/third_party.py [--python PYTHON] [--files FOLDER] [FILE ...]

Without FILE: the files in DATA/models, and networks of Keras and of torchvision as the converters of the environment of
PYTHON write them (see `converters.py`). What was converted stays in FOLDER and is not converted again.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _other_converters import converted_file
from _record import record
from predict_and_measure import run

MADE = (
    *(
        ("keras_applications", name, dtype)
        for name in ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0")
        for dtype in ("float32", "float16", "int8")
    ),
    *(
        ("torchvision", name, dtype)
        for name in ("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small", "efficientnet_b0")
        for dtype in ("float32", "int8")
    ),
    ("keras_applications", "mobilenet_v2", "uint8"),
)
"""(source, network, dtype) as `_convert.py` takes them."""
BATCH = 8
"""Files that are measured in turn."""


def third_party_files(python: str, folder: Path) -> list[Path]:
    """Those that are there, and those that are made."""
    data = os.environ.get("MOBILENAS_TEST_DATA")
    found = sorted((Path(data) / "models").glob("*.tflite")) if data else []
    return found + [converted_file(python, *made, folder) for made in MADE]


def row(path: Path, predicted: Any, measured: Any) -> dict[str, Any]:
    error = predicted["latency_ms"] / measured["latency_ms"] - 1
    return {
        "file": path.stem,
        "dtype": predicted["dtype"],
        "predicted_ms": round(predicted["latency_ms"], 4),
        "measured_ms": round(measured["latency_ms"], 4),
        "error_percent": round(100 * error, 2),
        "inside_interval": predicted["low_ms"] <= measured["latency_ms"] <= predicted["high_ms"],
        "delegates": measured["delegates"],
        "not_delegated": predicted["warnings"],
        "left_out": predicted["left_out"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--files", dest="folder", type=Path)
    parser.add_argument("--seconds", type=float, default=8.0)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        files = settings.files or third_party_files(settings.python, settings.folder or Path(temporary))
        for dtype in dict.fromkeys(run("info", str(path))["dtype"] for path in files):
            run("profile", "--device", "host", "--dtype", dtype)
        predicted = [run("predict", str(path), "--device", "host") for path in files]
        measured: list[Any] = []
        for first in range(0, len(files), BATCH):
            batch = [str(path) for path in files[first : first + BATCH]]
            found = run("measure", *batch, "--device", "host", "--seconds", str(settings.seconds))
            measured += found if isinstance(found, list) else [found]
    rows = [row(*each) for each in zip(files, predicted, measured, strict=True)]
    for each in rows:
        print(each, flush=True)
    whole = [abs(each["error_percent"]) for each in rows if not each["not_delegated"]]
    record(
        "third_party",
        {
            "files": len(rows),
            "delegated_as_a_whole": len(whole),
            "of_those_within_10_percent": sum(error <= 10 for error in whole),
            "of_those_rmspe_percent": round(float(np.sqrt(np.mean(np.square(whole)))), 2) if whole else None,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
