"""`mobilenas search --target-ms T` with nothing else, and its winners against known networks of the same space.

    python benchmarks/surrogate_search.py

From a shell, start-up included: seconds, exit code and outcome for several targets on the Pixel 1 table. Then for each
baseline, which is a published network's choices in the ImageNet surrogate's space (MnasNet-A1 has blocks that the space
lacks: expansion 3 becomes 4, four layers become three): a search whose target is the upper end of the baseline's own
prediction, and the surrogate's accuracy of both. Last, at each target, the search from the shell against the best of
each baseline's family that fits: its kernels and SE kept, layers times one share (rounded), expansions up to a cap.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _record import record

from mobilenas.evaluators.imagenet_surrogate import ImageNetSurrogate
from mobilenas.latency import CompiledLatency, load_predictor
from mobilenas.run import SearchSettings, search
from mobilenas.spaces import Choice, Genotype

LAYER_SHARES = tuple(twelfths / 12 for twelfths in range(12, 0, -1))
MOST_EXPANSIONS = (6, 4, 1)
TARGETS_MS = (75.0, 100.0, 50.0, 30.0, 15.0, 1.0)
Row = tuple[int, int, int, float]
# expansion, kernel size, layers and SE ratio of the seven blocks
BASELINES: dict[str, tuple[Row, ...]] = {
    "mnasnet_a1": (
        (1, 3, 1, 0.0),
        (6, 3, 2, 0.0),
        (4, 5, 3, 0.25),
        (6, 3, 3, 0.0),
        (6, 3, 2, 0.25),
        (6, 5, 3, 0.25),
        (6, 3, 1, 0.0),
    ),
    "mnasnet_b1": (
        (1, 3, 1, 0.0),
        (4, 3, 3, 0.0),
        (4, 5, 3, 0.0),
        (6, 5, 3, 0.0),
        (6, 3, 2, 0.0),
        (6, 5, 4, 0.0),
        (6, 3, 1, 0.0),
    ),
    "mobilenet_v2": (
        (1, 3, 1, 0.0),
        (6, 3, 2, 0.0),
        (6, 3, 3, 0.0),
        (6, 3, 3, 0.0),
        (6, 3, 3, 0.0),
        (6, 3, 3, 0.0),
        (6, 3, 1, 0.0),
    ),
    "efficientnet_b0": (
        (1, 3, 1, 0.25),
        (6, 3, 2, 0.25),
        (6, 5, 2, 0.25),
        (6, 3, 3, 0.25),
        (6, 5, 3, 0.25),
        (6, 5, 4, 0.25),
        (6, 3, 1, 0.25),
    ),
}


def cpu_seconds() -> float:
    """Of all processes that have ended so far: on a busy machine the seconds of a clock say little."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def from_a_shell(target_ms: float, folder: Path) -> dict[str, Any]:
    """One search as a user starts it."""
    run = folder / f"{target_ms:g}"
    command = [sys.executable, "-m", "mobilenas.cli.main", "search", "--target-ms", f"{target_ms:g}", "--json"]
    start, busy = time.monotonic(), cpu_seconds()
    done = subprocess.run([*command, "--out", str(run)], capture_output=True, text=True, check=False)
    outcome: dict[str, Any] = {
        "exit_code": done.returncode,
        "seconds": round(time.monotonic() - start, 1),
        "cpu_seconds": round(cpu_seconds() - busy, 1),
    }
    if done.returncode:
        return {**outcome, "said": done.stderr.strip()}
    result = json.loads(done.stdout)
    figures = {name: round(result[name], 4) for name in ("predicted_ms", "high_ms", "validation_accuracy")}
    return {**outcome, **figures, "trials": result["trials"], "macs": result["macs"]}


def genotype_of(surrogate: ImageNetSurrogate, rows: tuple[Row, ...]) -> Genotype:
    """A baseline's network in the surrogate's space."""
    choices: dict[str, Choice] = {}
    for i, (expansion, kernel_size, layers, se_ratio) in enumerate(rows, 1):
        choices[f"stage{i}.conv_op"] = f"mbconv{expansion}"
        choices |= {f"stage{i}.kernel_size": kernel_size, f"stage{i}.layers": layers, f"stage{i}.se_ratio": se_ratio}
    return surrogate.space.encode(choices)


def scaled_down(rows: tuple[Row, ...]) -> list[tuple[Row, ...]]:
    """A baseline and its smaller versions."""
    return [
        tuple(
            (min(expansion, most), kernel, max(1, round(share * layers)), se) for expansion, kernel, layers, se in rows
        )
        for share in LAYER_SHARES
        for most in MOST_EXPANSIONS
    ]


def against_families(target_ms: float, found: dict[str, Any], compiled: CompiledLatency) -> dict[str, Any]:
    """What a search found at a target, and the best of each baseline's family whose interval meets it too."""
    surrogate = ImageNetSurrogate()
    best: dict[str, dict[str, float] | None] = {}
    for name, rows in BASELINES.items():
        family = np.array([genotype_of(surrogate, each) for each in scaled_down(rows)])
        fitting = family[compiled.upper_ms(family) <= target_ms]
        if not len(fitting):
            best[name] = None
            continue
        accuracies = surrogate.evaluate_batch(fitting).accuracy
        top = int(np.argmax(accuracies))
        own = float(accuracies[top])
        best[name] = {
            "ms": round(float(compiled.latency_ms(fitting[top : top + 1])[0]), 2),
            "accuracy_percent": round(100 * own, 2),
            "gain_points": round(100 * (found["validation_accuracy"] - own), 2),
        }
    return best


def against(rows: tuple[Row, ...], compiled: CompiledLatency, folder: Path) -> dict[str, float]:
    """A baseline, and what a search finds at the same predicted latency."""
    surrogate = ImageNetSurrogate()
    row = np.array([genotype_of(surrogate, rows)])
    upper_ms = float(compiled.upper_ms(row)[0])
    own = float(surrogate.evaluate_batch(row).accuracy[0])
    result = search(
        folder,
        SearchSettings(
            target_ms=upper_ms,
            device="pixel1",
            space="mnasnet_proxy",
            searcher="model_based",
            evaluator="imagenet_surrogate",
            reward="strict",
            trials=300,
        ),
    )
    return {
        "baseline_ms": round(float(compiled.latency_ms(row)[0]), 2),
        "found_ms": round(result.predicted_ms, 2),
        "baseline_accuracy_percent": round(100 * own, 2),
        "found_accuracy_percent": round(100 * result.validation_accuracy, 2),
        "gain_points": round(100 * (result.validation_accuracy - own), 2),
    }


def main() -> None:
    compiled = CompiledLatency(load_predictor("pixel1"), ImageNetSurrogate().space)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shell = {target: from_a_shell(target, folder) for target in TARGETS_MS}
        reached = {target: found for target, found in shell.items() if found["exit_code"] == 0}
        record(
            "surrogate_search",
            {
                "from_a_shell": {f"{target:g} ms": found for target, found in shell.items()},
                "against_baselines": {each: against(rows, compiled, folder / each) for each, rows in BASELINES.items()},
                "against_their_families": {
                    f"{target:g} ms": against_families(target, found, compiled) for target, found in reached.items()
                },
            },
        )


if __name__ == "__main__":
    main()
