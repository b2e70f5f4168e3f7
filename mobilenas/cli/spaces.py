"""Lists the search spaces."""

import sys
from math import log10
from typing import Annotated, Any

import typer

from mobilenas.cli.arguments import Json
from mobilenas.cli.output import print_json, print_table
from mobilenas.latency import profiling_seconds
from mobilenas.spaces import SPACES, SearchSpace, open_space


def run(
    space: Annotated[list[str] | None, typer.Argument(help="Names or space files (.json); all names without.")] = None,
    json: Json = False,
) -> None:
    """Prints size, distinct ops and estimated profiling time on a desktop processor."""
    spaces = [open_space(name) for name in space or SPACES]
    rows = [describe_space(each) for each in spaces]
    if json:
        print_json(rows)
        return
    lines = [
        (row["name"], row["decisions"], size, row["distinct_ops"], round(row["profiling_seconds"]))
        for row, size in zip(rows, (each.size_text for each in spaces), strict=True)
    ]
    print_table(("space", "decisions", "genotypes", "distinct ops", "profiling s"), lines)


def describe_space(space: SearchSpace) -> dict[str, Any]:
    """What is known of a space before anything is measured."""
    return {
        "name": space.name,
        "decisions": len(space.sizes),
        "genotypes": space.size if space.size <= sys.float_info.max else None,  # what readers of JSON hold
        "genotypes_log10": log10(space.size),
        "distinct_ops": len(space.distinct_ops()),
        "profiling_seconds": profiling_seconds(space),
    }
