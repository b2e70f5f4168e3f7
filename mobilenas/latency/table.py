"""LatencyTable: measured latency by op, and its file `<device>.<dtype>.csv`."""

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilenas.errors import InputError, shorten
from mobilenas.graph import BYTES, OpSpec
from mobilenas.latency.calibration import Calibration, CalibrationNetwork
from mobilenas.latency.op_columns import OP_COLUMNS, read_op, write_op
from mobilenas.runners import Device
from mobilenas.storage import home, read_text, shipped, write_atomically

VALUE_COLUMNS = ("latency_us", "spread_us", "runs", "visits")
COLUMNS = (*OP_COLUMNS, *VALUE_COLUMNS)
METHODS = ("measured", "calibrated", "imported")
UNITS = ("us",)
MOST_US = 1e9
"""No op and no network takes a thousand seconds."""
NETWORK_KEY, CALIBRATION_KEY = "calibration_network", "calibration"


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one op costs inside a network, the cost of starting an inference taken off.

    Attributes:
        latency_us: Microseconds.
        spread_us: Half the range between the quartiles of its visits.
        runs, visits: How often it ran.
    """

    latency_us: float
    spread_us: float = 0.0
    runs: int = 0
    visits: int = 0


@dataclass(frozen=True, kw_only=True)
class TableInfo:
    """The preamble: what was measured, on what, how and when.

    Attributes:
        device: Name of the device.
        dtype: Element type of the models.
        threads: Threads of the runtime.
        cpu: Model of the processor or system on chip.
        runtime: Runtime and version.
        pinning, governor: Where known.
        date: ISO date of the last measurement.
        mobilenas: Version that measured.
        method: "measured", "calibrated" (from whole networks) or "imported".
        source: Where foreign figures come from.
        overhead_us: Cost of starting one inference, which every network pays once.
        sentinel_block_us, sentinel_network_us: What the sentinels usually take (`steady.py`); a later session finds out
            whether the device is as it was.
        share: Of the ops of a search space, the share that is measured; the others are interpolated.
        unit: Unit of the rows.
    """

    device: str
    dtype: str = "float32"
    threads: int = 1
    cpu: str = "unknown"
    runtime: str = "unknown"
    pinning: str = "unknown"
    governor: str = "unknown"
    date: str = ""
    mobilenas: str = ""
    method: str = "measured"
    source: str = ""
    overhead_us: float = 0.0
    sentinel_block_us: float = 0.0
    sentinel_network_us: float = 0.0
    share: float = 1.0
    unit: str = "us"


class LatencyTable(Mapping[OpSpec, Measurement]):
    """The measured ops of one device and dtype, and the calibration of sums of them.

    Args:
        info: The preamble.
        rows: Measurement by op.
        networks: Networks that were measured whole.
        calibration: The fit to them; by default it is made here.
    """

    def __init__(
        self,
        info: TableInfo,
        rows: Mapping[OpSpec, Measurement] | None = None,
        networks: tuple[CalibrationNetwork, ...] = (),
        calibration: Calibration | None = None,
    ) -> None:
        self.info, self.networks = info, networks
        self._rows = dict(rows or {})
        self.calibration = calibration or Calibration.fit(networks)

    def __getitem__(self, op: OpSpec) -> Measurement:
        return self._rows[op]

    def __iter__(self) -> Iterator[OpSpec]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def updated(
        self, info: TableInfo, rows: Mapping[OpSpec, Measurement], networks: tuple[CalibrationNetwork, ...] = ()
    ) -> "LatencyTable":
        """A table with rows and networks added or replaced; new networks are fitted together with the old ones."""
        known = {network.name: network for network in (*self.networks, *networks)}
        calibration = None if networks else self.calibration
        return LatencyTable(info, {**self._rows, **rows}, tuple(known.values()), calibration)

    def to_csv(self) -> str:
        """The file's content."""
        out = io.StringIO()
        for key, value in vars(self.info).items():
            out.write(f"# {key}: {value}\n")
        if self.networks:
            out.write(f"# {CALIBRATION_KEY}: {self.calibration.to_text()}\n")
        for network in self.networks:
            out.write(f"# {NETWORK_KEY}: {network.to_text()}\n")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for op, row in self._rows.items():
            values = (f"{row.latency_us:.4f}", f"{row.spread_us:.4f}", row.runs, row.visits)
            writer.writerow((*write_op(op), *values))
        return out.getvalue()

    def save(self, path: Path) -> None:
        """Writes the file, atomically."""
        write_atomically(path, self.to_csv())

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Reads a table.

        Raises:
            InputError: If anything in it is not what `save` writes: a duplicate, negative, missing or NaN value, an
                unknown column or unit; the text names file and line.
        """
        lines = read_text(path, "latency table").splitlines()
        count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        info, networks, calibration = _read_preamble(lines[:count], path)
        if lines[count : count + 1] != [",".join(COLUMNS)]:
            raise InputError(f"{path} line {count + 1}: the columns must be {','.join(COLUMNS)}")
        rows: dict[OpSpec, Measurement] = {}
        for number, values in enumerate(_split(lines[count + 1 :], count + 2, path), count + 2):
            where = f"{path} line {number}"
            if len(values) != len(COLUMNS):
                raise InputError(f"{where}: {len(values)} values, not {len(COLUMNS)}; restore the line or remove it")
            try:
                op = read_op(values[: len(OP_COLUMNS)])
                row = _read_row(values[len(OP_COLUMNS) :])
            except (ValueError, InputError) as error:
                raise InputError(f"{where}: {error}") from error
            if op in rows:
                raise InputError(f"{where}: the op stands in the table twice; remove one of the lines")
            rows[op] = row
        return cls(info, rows, networks, calibration)


def table_path(device: Device, dtype: str) -> Path:
    """Where the table of a device is: the user's, else a shipped one, else where the user's will be."""
    own, ready_made = own_table_path(device, dtype), shipped("latency_tables") / f"{device.name}.{dtype}.csv"
    return ready_made if not own.exists() and ready_made.exists() else own


def own_table_path(device: Device, dtype: str) -> Path:
    """Where a table that is measured here is written."""
    return home() / "latency_tables" / f"{device.name}.{dtype}.csv"


def load_table(device: Device, dtype: str) -> LatencyTable | None:
    """The table of a device; None if it has none.

    Raises:
        InputError: If the table is not valid or is one of another device, dtype or number of threads.
    """
    path = table_path(device, dtype)
    if not path.exists():
        return None
    table = LatencyTable.load(path)
    for name, wanted in (("device", device.name), ("dtype", dtype), ("threads", device.threads)):
        found = getattr(table.info, name)
        if found != wanted:
            raise InputError(
                f"{path}: measured with {name} {found}, but the device says {wanted}; "
                f"run: mobilenas profile --device {device.name} --dtype {dtype} --fresh"
            )
    return table


def _split(lines: list[str], first: int, path: Path) -> Iterator[list[str]]:
    reader = csv.reader(lines, strict=True)
    try:
        yield from reader
    except csv.Error as error:
        raise InputError(
            f"{path} line {first + reader.line_num - 1}: {error}; restore the line or remove it"
        ) from error


Preamble = tuple[TableInfo, tuple[CalibrationNetwork, ...], Calibration | None]


def _read_preamble(lines: list[str], path: Path) -> Preamble:
    info = TableInfo(device="")
    networks: list[CalibrationNetwork] = []
    calibration = None
    for number, line in enumerate(lines, 1):
        key, _, value = (part.strip() for part in line[1:].partition(":"))
        try:
            if key == NETWORK_KEY:
                networks.append(CalibrationNetwork.from_text(value))
            elif key == CALIBRATION_KEY:
                calibration = Calibration.from_text(value)
            elif key in vars(info):
                info = _with(info, key, value)
            else:
                raise ValueError(f"unknown key {shorten(key)}")
        except ValueError as error:
            raise InputError(f"{path} line {number}: {error}") from error
    for key, accepted in (("dtype", tuple(BYTES)), ("method", METHODS), ("unit", UNITS)):
        if getattr(info, key) not in accepted:
            raise InputError(f"{path}: {key} {getattr(info, key)!r} is not accepted; give {' or '.join(accepted)}")
    if not 0 < info.share <= 1:
        raise InputError(f"{path}: share {info.share} is not accepted; give a number above 0, at most 1")
    return info, tuple(networks), calibration


def _with(info: TableInfo, key: str, value: str) -> TableInfo:
    """The preamble with one key read from its text."""
    fields = vars(info).copy()
    kind = type(fields[key])
    try:
        fields[key] = _finite(value, key) if kind is float else kind(value)
    except ValueError as error:
        raise ValueError(f"{key} {shorten(value)} is not accepted; {error}") from error
    return TableInfo(**fields)


def _read_row(values: list[str]) -> Measurement:
    latency_us, spread_us = (_finite(v, name) for v, name in zip(values[:2], VALUE_COLUMNS, strict=False))
    runs, visits = (int(v) for v in values[2:])
    if runs < 0 or visits < 0:
        raise ValueError("runs and visits must be whole numbers from 0")
    return Measurement(latency_us, spread_us, runs, visits)


def _finite(text: str, name: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST_US:
        raise ValueError(f"{name} {shorten(text)} is not accepted; give a number from 0 to {MOST_US:g}")
    return value
