"""Makes a latency table from whole-network latencies, for a device that nobody can profile op by op."""

from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.arguments import Dtype, Json, check_dtype
from mobilenas.cli.foreign_table import Fresh, NewDevice, Source, print_table_made, store
from mobilenas.latency import calibrated_table, read_network_list


def run(
    file: Annotated[Path, typer.Argument(help="A .csv with the columns network,latency_ms (resolution, era, source).")],
    device: NewDevice,
    dtype: Dtype = "float32",
    source: Source = "",
    fresh: Fresh = False,
    json: Json = False,
) -> None:
    """Fits prices of work to published or measured latencies of networks (docs/importing_a_table.md)."""
    check_dtype(dtype)
    latencies = read_network_list(file)
    path, table = store(
        device,
        dtype,
        fresh,
        lambda target: calibrated_table(target, latencies, dtype=dtype, source=source or file.name),
    )
    print_table_made(path, table, json)
