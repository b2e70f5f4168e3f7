"""Lists the known devices and their latency tables."""

from typing import Any

from mobilenas.cli.arguments import Json
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.errors import InputError
from mobilenas.export import DTYPES
from mobilenas.latency import LatencyTable, table_path
from mobilenas.runners import Device, Runner, known_devices, open_runner

TABLE_COLUMNS = ("dtype", "ops", "blocks", "networks", "error", "date", "method")


def run(json: Json = False) -> None:
    """Prints what is known, what answers now, and how good each table is."""
    rows = []
    for name, path in known_devices().items():
        try:
            rows.append(_describe(Device.load(str(path))))
        except InputError as error:
            note(f"device {name}: {error}")
    if json:
        print_json(rows)
        return
    lines = []
    for row in rows:
        for table in row["tables"] or [dict.fromkeys(TABLE_COLUMNS)]:
            shown = {**table, "error": _percent(table["error"]) or _percent(table.get("block_error"), " of a block")}
            lines.append((row["name"], row["runner"], row["answers"], *(shown[column] for column in TABLE_COLUMNS)))
            if table.get("mismatch"):
                note(f"the {table['dtype']} table of {row['name']} is of another machine: {table['mismatch']}")
    print_table(("device", "runner", "answers", *TABLE_COLUMNS), lines)


def _describe(device: Device) -> dict[str, Any]:
    runner = open_runner(device)
    tables = []
    for dtype in DTYPES:
        if table_path(device, dtype).exists():
            try:
                tables.append(_describe_table(device, dtype, runner))
            except InputError as error:
                note(f"device {device.name}: {error}")
    return {
        "name": device.name,
        "description": device.description,
        "runner": device.runner,
        "answers": runner.answers(),
        "tables": tables,
    }


def _percent(error: float | None, of: str = "") -> str | None:
    return None if error is None else f"{100 * error:.1f} %{of}"


def _describe_table(device: Device, dtype: str, runner: Runner) -> dict[str, Any]:
    """How good a table is.

    `error` is the relative standard error of a network, `block_error` that of a block which an imported table lacks;
    None where none was ever compared.
    """
    path = table_path(device, dtype)
    table = LatencyTable.load(path)
    return {
        "dtype": dtype,
        "path": str(path),
        "ops": len(table.ops),
        "blocks": len(table.blocks),
        "networks": len(table.networks),
        "error": table.known_error,
        "block_error": table.rates.error if table.rates and table.blocks else None,
        "date": table.info.date,
        "method": table.info.method,
        "source": table.info.source,
        "cpu": table.info.cpu,
        "runtime": table.info.runtime,
        "mismatch": runner.mismatch(vars(table.info)),
        "eras": dict(table.rates.eras) if table.rates else {},
        "notes": list(table.notes),
    }
