"""Lists the known devices and their latency tables."""

from typing import Any

from mobilenas.cli.arguments import Json
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.errors import InputError
from mobilenas.export import DTYPES
from mobilenas.latency import LatencyTable, table_path
from mobilenas.runners import Device, known_devices, open_runner


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
    columns = ("device", "runner", "answers", "dtype", "ops", "networks", "error", "date", "method")
    lines = []
    for row in rows:
        for table in row["tables"] or [dict.fromkeys(columns[3:])]:
            held_out = None if table["error"] is None else f"{100 * table['error']:.1f} %"
            values = (table["dtype"], table["ops"], table["networks"], held_out, table["date"], table["method"])
            lines.append((row["name"], row["runner"], row["answers"], *values))
    print_table(columns, lines)


def _describe(device: Device) -> dict[str, Any]:
    tables = []
    for dtype in DTYPES:
        path = table_path(device, dtype)
        if path.exists():
            table = LatencyTable.load(path)
            tables.append(
                {
                    "dtype": dtype,
                    "path": str(path),
                    "ops": len(table),
                    "networks": len(table.networks),
                    "error": table.calibration.error if table.networks else None,
                    "date": table.info.date,
                    "method": table.info.method,
                    "cpu": table.info.cpu,
                    "runtime": table.info.runtime,
                }
            )
    return {
        "name": device.name,
        "description": device.description,
        "runner": device.runner,
        "answers": open_runner(device).answers(),
        "tables": tables,
    }
