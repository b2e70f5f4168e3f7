"""`mobilenas predict` against `mobilenas measure` on architecture files that took no part in calibration.

Both run as a stranger would run them: processes of their own, one file after the other, JSON out. The device's table
is made first (`mobilenas profile`), so that what is timed of `predict` is the measuring of missing ops.

    python benchmarks/predict_and_measure.py [--networks 60] [--seed 1000] [--dtype int8] [--odd-channels]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from strangers import stranger


def run(*arguments: str) -> Any:
    """One command of its own process; its JSON."""
    command = [sys.executable, "-m", "mobilenas.cli.main", *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    """Predicts all files first, measures them afterwards, and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--odd-channels", action="store_true")
    settings = parser.parse_args()
    suffixes = [settings.dtype] * (settings.dtype != "float32") + ["odd"] * settings.odd_channels
    name = "_".join(["predict_and_measure", *suffixes])
    where = ("--device", "host", "--dtype", settings.dtype)
    run("profile", *where)
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for i in range(settings.networks):
            path = Path(folder) / f"stranger_{i}.json"
            path.write_text(json.dumps(stranger(settings.seed + i, odd_channels=settings.odd_channels)))
            files.append(str(path))
        start = time.monotonic()
        predicted = [run("predict", path, *where) for path in files]
        predicting_s = time.monotonic() - start
        measured: list[Any] = []
        for first in range(0, len(files), 20):
            measured += run("measure", *files[first : first + 20], *where, "--seconds", str(settings.seconds))
    p = np.array([document["latency_ms"] for document in predicted])
    m = np.array([document["latency_ms"] for document in measured])
    inside = np.array([d["low_ms"] <= x <= d["high_ms"] for d, x in zip(predicted, m, strict=True)])
    errors = p / m - 1
    record(
        name,
        {
            "networks": len(p),
            "dtype": settings.dtype,
            "seed": settings.seed,
            "seconds": settings.seconds,
            "range_ms": [round(float(m.min()), 3), round(float(m.max()), 3)],
            "rmspe_percent": round(100 * float(np.sqrt(np.mean(errors**2))), 2),
            "bias_percent": round(100 * float(np.mean(errors)), 2),
            "within_5_percent": round(float(np.mean(np.abs(errors) <= 0.05)), 3),
            "within_10_percent": round(float(np.mean(np.abs(errors) <= 0.10)), 3),
            "worst_percent": round(100 * float(np.abs(errors).max()), 2),
            "kendall_tau": round(kendall_tau(p, m), 3),
            "inside_90_percent_interval": round(float(np.mean(inside)), 3),
            "seconds_predicting": round(predicting_s, 1),
            "points_ms": [[round(float(a), 4), round(float(b), 4)] for a, b in zip(p, m, strict=True)],
        },
    )


def kendall_tau(a: "np.ndarray[Any, Any]", b: "np.ndarray[Any, Any]") -> float:
    """Rank correlation: concordant minus discordant pairs, over all pairs."""
    upper = np.triu_indices(len(a), 1)
    signs = np.sign(a[:, None] - a[None])[upper] * np.sign(b[:, None] - b[None])[upper]
    return float(signs.mean())


if __name__ == "__main__":
    main()
