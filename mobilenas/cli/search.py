"""Searches for the most accurate network that meets a latency target."""

import datetime
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobilenas.cli.arguments import Data, DeviceName, Dtype, Json, Resolution
from mobilenas.cli.output import LOG, note, print_json, print_table, progress_bar
from mobilenas.errors import InputError
from mobilenas.extras import require

if TYPE_CHECKING:
    from mobilenas.run import SearchResult


def run(
    target_ms: Annotated[float | None, typer.Option(help="Latency that the result must not exceed, measured.")] = None,
    device: DeviceName = "host",
    data: Data = "digits",
    out: Annotated[Path | None, typer.Option(help="The run's folder; runs/<date and time> by default.")] = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with the run in this folder.")] = None,
    space: Annotated[str, typer.Option(help="Search space.")] = "mnasnet",
    searcher: Annotated[str, typer.Option(help="Searcher.")] = "regularized_evolution",
    evaluator: Annotated[str, typer.Option(help="Where accuracy comes from.")] = "short_training",
    trials: Annotated[int, typer.Option(help="Distinct evaluations.")] = 12,
    trial_epochs: Annotated[int, typer.Option(help="Epochs of each evaluation.")] = 5,
    final_epochs: Annotated[int, typer.Option(help="Epochs of the winner; 0 for the recipe's own.")] = 0,
    hard: Annotated[bool, typer.Option("--hard", help="MnasNet's hard reward instead of the soft one.")] = False,
    resolution: Resolution = None,
    dtype: Dtype = "float32",
    seed: Annotated[int, typer.Option(help="Every random stream derives from it.")] = 0,
    json: Json = False,
) -> None:
    """Profiles the device if need be, searches, trains the winner, exports, measures and verifies it."""
    if target_ms is not None and resume is not None:
        raise InputError(
            f"--resume {resume} goes on with that run's own target, by which its trials were chosen; "
            "give either it, or --target-ms and another folder to --out"
        )
    if target_ms is None and resume is None:
        raise InputError(
            "give --target-ms MILLISECONDS for a new search or --resume RUN for an old one; "
            "for example: mobilenas search --device host --data digits --target-ms 0.3"
        )
    require("torch", "train")
    from mobilenas.run import SearchSettings, search

    settings = None
    if target_ms is not None:
        settings = SearchSettings(
            target_ms=target_ms,
            device=device,
            dtype=dtype,
            space=space,
            searcher=searcher,
            evaluator=evaluator,
            data=data,
            resolution=resolution,
            trials=trials,
            trial_epochs=trial_epochs,
            final_epochs=final_epochs,
            reward="hard" if hard else "soft",
            seed=seed,
        )
    folder = resume or out or Path("runs") / f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    say = note if sys.stderr.isatty() else LOG.info
    with progress_bar(f"profiling {device}") as progress:
        result = search(folder, settings, note=say, progress=progress)
    if json:
        print_json({**asdict(result), "run": str(folder)})
    else:
        _print(result, folder)


def _print(result: "SearchResult", folder: Path) -> None:
    measured, report = result.measured, result.verification
    accuracies = (result.test_accuracy, result.exported_accuracy, result.agreement)
    test, exported, agreement = (f"{100 * share:.2f} %" if share is not None else "not known" for share in accuracies)
    if measured is None or report is None:
        raise ValueError(f"{folder}: a search ended without a measurement of its winner")
    spread = ""
    if measured.p10_ms is not None and measured.p90_ms is not None:
        spread = f" (10th to 90th percentile: {measured.p10_ms:.3g} to {measured.p90_ms:.3g})"
    rows = [
        ("target", f"{result.target_ms:g} ms on {result.device}"),
        ("predicted", f"{result.predicted_ms:.3g} ms (90 % interval {result.low_ms:.3g} to {result.high_ms:.3g})"),
        ("measured", f"{measured.latency_ms:.3g} ms{spread}"),
        ("reference", f"{measured.reference_ms:.3g} ms ({result.reference}, same input, in turn)"),
        ("accuracy", f"{test} of held-out images"),
        ("exported file", f"{exported}; agrees with torch on {agreement}"),
        ("network", f"{result.params:,} params, {result.macs:,} MACs, {result.size_bytes:,} bytes"),
        ("verified", "parity, one delegate, operators" if report["passed"] else "FAILED"),
        ("run", f"{folder} (best.tflite, best.json, result.json)"),
    ]
    print_table(("", ""), rows)
