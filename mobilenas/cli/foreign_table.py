"""What `import-table` and `calibrate` share: the device of a table that was not measured here, and where it goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from mobilenas.cli.output import note, print_json
from mobilenas.errors import InputError
from mobilenas.latency import LatencyTable, own_table_path, table_path
from mobilenas.runners import Device, known_devices, open_runner
from mobilenas.storage import home, write_atomically

NewDevice = Annotated[
    str, typer.Option("--device", help="Whose table it becomes; a name that is not known gets a file of its own.")
]
Source = Annotated[str, typer.Option(help="Where the figures come from, for the table's preamble.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Replace the table that the device has.")]


def store(name: str, dtype: str, fresh: bool, make: Callable[[Device], LatencyTable]) -> tuple[Path, LatencyTable]:
    """Makes a table and writes it to the user's folder; a device that is not known yet is written there too.

    Args:
        name: Of a device, or path of its `.toml`.
        dtype: Element type.
        fresh: Whether a table that the device has may be replaced, its own or one that ships.
        make: Makes the table.

    Raises:
        InputError: If the device or what the table is made from is not accepted, it is this machine, which can be
            measured, or there is a table already.
    """
    is_new = not name.endswith(".toml") and name not in known_devices()
    device = Device(name=name, runner="none", description="known by its table only") if is_new else Device.load(name)
    if open_runner(device).is_here:
        raise InputError(
            f"device {device.name} is this machine, which measures its table itself (mobilenas profile --device "
            f"{device.name}); give --device a name of the device that the figures are of"
        )
    path, there = own_table_path(device, dtype), table_path(device, dtype)
    if there.exists() and not fresh:
        raise InputError(f"device {device.name} has a table, {there}; give --fresh to put another in its place")
    table = make(device)
    table.save(path)
    if is_new:
        file = home() / "devices" / f"{device.name}.toml"
        write_atomically(file, f'name = "{device.name}"\nrunner = "none"\ndescription = "{device.description}"\n')
        note(f"{file}: a device without a connection")
    return path, table


def print_table_made(path: Path, table: LatencyTable, json: bool) -> None:
    """What was made, and how good it is."""
    error = table.known_error
    if json:
        print_json(
            {
                "path": str(path),
                "method": table.info.method,
                "ops": len(table.ops),
                "blocks": len(table.blocks),
                "networks": len(table.networks),
                "error": error,
                "eras": dict(table.rates.eras) if table.rates else {},
                "notes": list(table.notes),
            }
        )
        return
    print(f"{path}: {len(table.ops)} ops, {len(table.blocks)} blocks, {table.info.method}")
    if error is not None:
        print(f"relative standard error of a network: {100 * error:.1f} %")
    for each in table.notes:
        print(each)
