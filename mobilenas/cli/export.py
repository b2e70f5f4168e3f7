"""Writes a network as a file for phones."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import Dtype, Json, Model, WeightsSource, check_dtype, resolve_weights
from mobilenas.cli.output import note, print_json
from mobilenas.errors import InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.registry import unknown
from mobilenas.storage import write_atomically

FORMATS = ("tflite",)


def run(
    model: Model,
    out: Annotated[Path, typer.Option(help="The file to write.")],
    weights: WeightsSource = None,
    format: Annotated[str, typer.Option(help=f"{', '.join(FORMATS)}.")] = "tflite",
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Writes the file, batch norm folded; check it with: mobilenas verify."""
    if format not in FORMATS:
        raise InputError(unknown("format", format, list(FORMATS)))
    arch, state = resolve_weights(model, weights)
    graph = arch.graph()
    if state is None:
        note("no --weights: the file gets random ones; good for timing, not for use")
    if dtype == "int8":
        note("int8 with made-up ranges of activations; good for timing, not for use")
    state = random_weights(graph) if state is None else state
    data = write_tflite(graph, state, dtype=check_dtype(dtype), description=f"mobilenas {arch.name}")
    write_atomically(out, data)
    if json:
        print_json({"path": str(out), "size_bytes": len(data), "format": format, "dtype": dtype, "name": arch.name})
    else:
        print(f"{out}: {len(data):,} bytes; check it: mobilenas verify {out} --against {model}")
