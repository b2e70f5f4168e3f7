"""Our files against those of litert-torch and of Keras' converter, of the same networks and weights, float32 and int8.

All files of a network are timed in turn in one run, and the ratio of two is the median over their visits' ratios: what
slows a moment down slows both. What each computes is compared with our float32 file.

    pip install tensorflow-cpu litert-torch ai-edge-quantizer    # in an environment with mobilenas[train]
    python benchmarks/converters.py [--python ITS/bin/python] [--files FOLDER] [NETWORK ...]

What was converted stays in FOLDER and is not converted again.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _convert import calibration_images
from _other_converters import converted_file
from _record import record

from mobilenas import models
from mobilenas.export import random_weights, write_tflite
from mobilenas.nn import observed_ranges
from mobilenas.runners import Device, Failure, LiteRTProcess, Timing, TimingProtocol
from mobilenas.runners.host import HostRunner
from mobilenas.verification import run_model

NETWORKS = (
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "mobilenet_v4_conv_small",
    "mnasnet_a1",
    "mnasnet_b1",
    "mixnet_s",
    "proxylessnas_mobile",
    "fbnet_c",
    "efficientnet_b0",
    "efficientnet_lite0",
)
"""One or two of every family."""
CONVERTERS = ("keras", "litert_torch")
DTYPES = ("float32", "int8")
PROTOCOL = TimingProtocol(visits=20, runs=200, visit_seconds=0.2)
PACKAGES = ("tensorflow", "keras", "litert_torch", "ai_edge_quantizer")


def files_of(name: str, python: str, folder: Path) -> dict[tuple[str, str], bytes]:
    """Every file of a network by (converter, dtype)."""
    graph = models.get(name).graph()
    weights = random_weights(graph)
    found = {}
    for dtype in DTYPES:
        ranges = observed_ranges(graph, weights, calibration_images(graph.input_shapes[0])) if dtype == "int8" else None
        found["ours", dtype] = write_tflite(graph, weights, dtype=dtype, ranges=ranges)
        for converter in CONVERTERS:
            found[converter, dtype] = converted_file(python, converter, name, dtype, folder).read_bytes()
    return found


def measured(files: dict[tuple[str, str], bytes]) -> dict[tuple[str, str], Timing]:
    """What each file takes, all timed in turn."""
    found = {}
    with HostRunner(Device.load("host")) as runner:
        for key, timing in zip(files, runner.measure(list(files.values()), PROTOCOL), strict=True):
            if isinstance(timing, Failure):
                sys.exit(f"the file of {key} does not run: {timing.reason}")
            found[key] = timing
    return found


def compare(name: str, python: str, folder: Path) -> list[dict[str, Any]]:
    """A row for each file of a network."""
    files = files_of(name, python, folder)
    images = calibration_images(models.get(name).graph().input_shapes[0])[:4]
    with LiteRTProcess() as process:
        scores = {key: run_model(process, model, images) for key, model in files.items()}
    exact = scores["ours", "float32"]
    timings = measured(files)
    rows = []
    for (converter, dtype), timing in timings.items():
        difference = scores[converter, dtype].reshape(exact.shape) - exact
        rows.append(
            {
                "network": name,
                "converter": converter,
                "dtype": dtype,
                "latency_ms": round(timing.latency_ms, 4),
                "ours_over_it": ratio(timings["ours", dtype], timing),
                "over_our_float32": ratio(timing, timings["ours", "float32"]),
                "delegates": timing.delegates,
                "size_bytes": len(files[converter, dtype]),
                "difference_of_largest_output": float(f"{np.abs(difference).max() / np.abs(exact).max():.2g}"),
            }
        )
        print(rows[-1], flush=True)
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest and smallest ratio of latencies to each converter's, and int8 against our own float32."""
    found: dict[str, Any] = {}
    for converter in CONVERTERS:
        for dtype in DTYPES:
            ratios = {
                r["network"]: r["ours_over_it"] for r in rows if (r["converter"], r["dtype"]) == (converter, dtype)
            }
            found[f"ours_over_{converter}_{dtype}"] = {
                "largest": max(ratios.items(), key=lambda ratio: ratio[1]),
                "smallest": min(ratios.items(), key=lambda ratio: ratio[1]),
            }
    found["our_int8_over_our_float32"] = {
        r["network"]: r["over_our_float32"] for r in rows if (r["converter"], r["dtype"]) == ("ours", "int8")
    }
    return found


def ratio(timing: Timing, other: Timing) -> float:
    """Of latencies, the median over visits: what slows a moment down slows both."""
    return round(float(np.median(np.divide(timing.visit_us, other.visit_us))), 4)


def versions(python: str) -> dict[str, str]:
    """Of the converters."""
    code = (
        "from importlib.metadata import packages_distributions, version\n"
        f"for name in {PACKAGES!r}: print(version(packages_distributions()[name][0]))"
    )
    said = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return dict(zip(PACKAGES, said, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--files", type=Path)
    settings = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.files or Path(temporary)
        rows = [row for name in settings.networks for row in compare(name, settings.python, folder)]
    name = "converters" if settings.networks == list(NETWORKS) else ".".join(["converters", *settings.networks])
    record(name, {"converters": versions(settings.python), "summary": summary(rows), "files": rows})


if __name__ == "__main__":
    main()
