"""Draws accuracy against latency."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.storage import write_atomically

FORMATS = ("png", "svg", "pdf")
PLACES = [
    (radius * x, radius * y, align)
    for radius in (6, 14, 24, 36, 50)
    for x, y, align in (
        *((1, -1, "left"), (1, 0.6, "left"), (-1, 0.6, "right"), (-1, -1, "right")),
        *((0.5, -1.6, "left"), (-0.5, 1.6, "right")),
    )
]
"""Where a name may stand: points to the right of and above its network, and which end of it is there; nearest first."""
CLOSE = 12
"""How many of them are close; networks that are not of the front stay without a name rather than get one far away."""
NEAR = 14
"""From this distance on a line leads from the name to its network, in points."""
WIDE = 20
"""From this ratio of the slowest to the fastest on, latency is drawn on a logarithmic axis."""


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
    if target_ms is not None:
        axes.axvline(target_ms, color="tab:red", linewidth=1, linestyle="--", label=f"target {target_ms:g} ms")
        axes.legend(loc="lower right")
    if shown and max(row["high_ms"] for row in shown) > WIDE * min(row["low_ms"] for row in shown):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
    axes.set(xlabel=f"predicted latency on {device}, ms (90 % interval)", ylabel="published ImageNet top-1, %")
    name_points(axes, [*front, *sorted((row for row in shown if not row["pareto"]), key=lambda row: -row["top1"])])
    content = io.BytesIO()
    figure.savefig(content, format=format, dpi=120)
    write_atomically(path, content.getvalue())


def name_points(axes: Any, rows: Sequence[dict[str, Any]]) -> list[Any]:
    """Writes names beside their points, the first first, and leaves out those that would cover a name or a point.

    Args:
        axes: With everything else drawn.
        rows: With `name`, `latency_ms`, `top1` and `pareto`.

    Returns:
        The names as matplotlib drew them.
    """
    axes.figure.draw_without_rendering()
    transforms, frame = require("matplotlib.transforms", "plot"), axes.get_window_extent()
    places = axes.transData.transform([(row["latency_ms"], 100 * row["top1"]) for row in rows]) if rows else []
    taken = [transforms.Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in places]
    names = []
    for row in rows:
        place = (row["latency_ms"], 100 * row["top1"])
        for x, y, align in PLACES if row["pareto"] else PLACES[:CLOSE]:
            settings = {"textcoords": "offset points", "ha": align, "va": "center", "fontsize": 7}
            name = axes.annotate(row["name"], place, xytext=(x, y), **settings)
            box = name.get_window_extent()
            inside = frame.x0 < box.x0 and box.x1 < frame.x1 and frame.y0 < box.y0 and box.y1 < frame.y1
            if not inside or box.count_overlaps(taken):
                name.remove()
                continue
            if math.hypot(x, y) >= NEAR:
                line = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.5"}
                axes.annotate("", place, xytext=(x, y), textcoords="offset points", arrowprops=line)
            taken.append(box)
            names.append(name)
            break
    return names
