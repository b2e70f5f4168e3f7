"""Makes a latency table of blocks that somebody else measured."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import Dtype, Json, check_dtype
from mobilenas.cli.foreign_table import Fresh, NewDevice, Source, print_table_made, store
from mobilenas.latency import imported_table


def run(
    file: Annotated[list[Path], typer.Argument(metavar="FILE...", help="YAML look-up tables, one a resolution.")],
    device: NewDevice,
    dtype: Dtype = "float32",
    source: Source = "",
    fresh: Fresh = False,
    json: Json = False,
) -> None:
    """Reads look-up tables of ProxylessNAS or Once-for-All (docs/importing_a_table.md)."""
    check_dtype(dtype)
    path, table = store(device, dtype, fresh, lambda target: imported_table(target, file, dtype=dtype, source=source))
    print_table_made(path, table, json)
