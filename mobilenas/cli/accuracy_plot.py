"""Draws accuracy against latency."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.storage import write_atomically

FORMATS = ("png", "svg", "pdf")
NAMED = 14
"""Networks that get their name beside the point: those of the Pareto front come first."""


def plot_format(path: Path) -> str:
    """The format that a file's name asks for.

    Raises:
        InputError: If it is none that can be drawn, or matplotlib is not installed.
    """
    require("matplotlib", "plot")
    format = path.suffix.lower().removeprefix(".")
    if format not in FORMATS:
        raise InputError(f"--plot {path}: give a file that ends in .{', .'.join(FORMATS)}")
    return format


def plot_accuracy(
    rows: Sequence[dict[str, Any]], path: Path, format: str, *, device: str, target_ms: float | None
) -> None:
    """Writes the picture, atomically; networks without a published accuracy are not in it.

    Args:
        rows: With `name`, `top1`, `latency_ms`, `low_ms`, `high_ms` and `pareto`, by rising latency.
        path: The file.
        format: From `plot_format`.
        device: Its name, for the axis.
        target_ms: Drawn as a line where given.
    """
    figure_class = require("matplotlib.figure", "plot").Figure
    shown = [row for row in rows if row["top1"] is not None]
    front = [row for row in shown if row["pareto"]]
    figure = figure_class(figsize=(8, 5.5), layout="constrained")
    axes = figure.subplots()
    for row in shown:
        colour = "tab:blue" if row["pareto"] else "0.6"
        axes.plot([row["low_ms"], row["high_ms"]], [100 * row["top1"]] * 2, color=colour, linewidth=1, alpha=0.6)
        axes.plot(row["latency_ms"], 100 * row["top1"], "o", color=colour, markersize=5)
    axes.plot([row["latency_ms"] for row in front], [100 * row["top1"] for row in front], color="tab:blue", linewidth=1)
    for row in sorted(shown, key=lambda row: (not row["pareto"], -row["top1"]))[:NAMED]:
        place = (row["latency_ms"], 100 * row["top1"])
        axes.annotate(row["name"], place, xytext=(4, -9), textcoords="offset points", fontsize=7)
    if target_ms is not None:
        axes.axvline(target_ms, color="tab:red", linewidth=1, linestyle="--", label=f"target {target_ms:g} ms")
        axes.legend(loc="lower right")
    axes.set(xlabel=f"predicted latency on {device}, ms (90 % interval)", ylabel="published ImageNet top-1, %")
    content = io.BytesIO()
    figure.savefig(content, format=format, dpi=120)
    write_atomically(path, content.getvalue())
