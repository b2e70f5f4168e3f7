"""`mobilenas predict` against `mobilenas measure` on torchvision's and timm's CNNs, taken as they are.

Both run as a stranger would run them: processes of their own, JSON out. First every network is predicted, which
measures the ops that the host's table lacks; then they are measured, ten at a time, interleaved. What is tried, how far
each file is from torch, its delegates, and what stopped the others come from `foreign_modules.py`, which runs before.

    python benchmarks/foreign_latency.py [--seconds 8] [NAME...]
"""

import argparse
import json
import time
from typing import Any

import numpy as np
from _record import RESULTS, record
from foreign_modules import PARITY
from predict_and_measure import kendall_tau, run

TOGETHER = 10
MODULES = {"torchvision": "torchvision.models", "timm": "timm.models"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=8.0, help="of measuring a network")
    given = parser.parse_args()
    tried = json.loads((RESULTS / "foreign_modules.json").read_text())["figures"]["networks"]
    rows = [row for row in tried if row["traced"] and (not given.names or row["name"] in given.names)]
    models = [f"{MODULES[row['library']]}:{row['name']}" for row in rows]
    run("profile", "--device", "host")
    start = time.monotonic()
    predicted: list[dict[str, Any]] = []
    for model in models:
        predicted.append(run("predict", model, "--device", "host"))
        print(f"{model}: {predicted[-1]['latency_ms']:.4g} ms predicted", flush=True)
    predicting_s = time.monotonic() - start
    measured: list[dict[str, Any]] = []
    for first in range(0, len(models), TOGETHER):
        part = models[first : first + TOGETHER]
        found = run("measure", *part, "--device", "host", "--seconds", str(given.seconds))
        measured += found if isinstance(found, list) else [found]
    networks = [
        {
            "library": row["library"],
            "name": row["name"],
            "difference_of_file": row["difference_of_file"],
            "delegates": m["delegates"],
            "ops": row["ops"],
            "predicted_ms": p["latency_ms"],
            "low_ms": p["low_ms"],
            "high_ms": p["high_ms"],
            "measured_ms": m["latency_ms"],
            "error_percent": round(100 * (p["latency_ms"] / m["latency_ms"] - 1), 2),
            "ops_by_source": {
                source: sum(op["source"] == source for op in p["ops"]) for source in {op["source"] for op in p["ops"]}
            },
        }
        for row, p, m in zip(rows, predicted, measured, strict=True)
    ]
    errors = np.array([network["error_percent"] for network in networks])
    p, m = (np.array([network[f"{name}_ms"] for network in networks]) for name in ("predicted", "measured"))
    inside = np.array([network["low_ms"] <= network["measured_ms"] <= network["high_ms"] for network in networks])
    figures = {
        "networks": len(networks),
        "range_ms": [round(float(m.min()), 3), round(float(m.max()), 3)],
        "within_10_percent": round(float((np.abs(errors) <= 10).mean()), 3),
        "within_5_percent": round(float((np.abs(errors) <= 5).mean()), 3),
        "rmspe_percent": round(float(np.sqrt((errors**2).mean())), 2),
        "bias_percent": round(float(errors.mean()), 2),
        "worst_percent": round(float(np.abs(errors).max()), 2),
        "kendall_tau": round(kendall_tau(p, m), 3),
        "inside_90_percent_interval": round(float(inside.mean()), 3),
        "one_delegate": sum(network["delegates"] == 1 for network in networks),
        "within_parity": sum(network["difference_of_file"] <= PARITY for network in networks),
        "seconds_predicting": round(predicting_s, 1),
        "not_within_10_percent": [n["name"] for n in networks if abs(n["error_percent"]) > 10],
        "stopped": {row["name"]: row["text"] for row in tried if not row["traced"]},
        "rows": networks,
    }
    if given.names:
        print(json.dumps(figures, indent=2))
    else:
        record("foreign_latency", figures)


if __name__ == "__main__":
    main()
