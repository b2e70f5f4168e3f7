"""LatencyTable: measured latency by op, and its file `<device>.<dtype>.csv`."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenas.errors import InputError
from mobilenas.export.lowering import FORMS, has_new_form
from mobilenas.graph import OpSpec
from mobilenas.latency.calibration import Calibration
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.figures import finite, values_of, whole
from mobilenas.latency.op_columns import OP_COLUMNS, read_key, write_key
from mobilenas.latency.op_key import BlockKey, OpKey
from mobilenas.latency.preamble import Preamble, TableInfo
from mobilenas.latency.rates import Rates
from mobilenas.runners import Device, known_devices, open_runner
from mobilenas.storage import home, read_text, shipped, write_atomically

LEAST_US = 1e-4
"""The smallest figure that a row holds: none is written as 0, which would say that an op costs nothing."""
VALUE_COLUMNS = ("latency_us", "spread_us", "runs", "visits")
COLUMNS = (*OP_COLUMNS, *VALUE_COLUMNS)
USUAL_ERROR, LEAST_NETWORKS = 0.05, 5
"""Held-out error of a calibration that a quiet device stays below (docs/latency.md), and networks that can tell it."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one op or block costs inside a network, the cost of starting an inference taken off.

    Attributes:
        latency_us: Microseconds, or what else the table's unit is.
        spread_us: Half the range between the quartiles of its visits.
        runs, visits: How often it ran.
    """

    latency_us: float
    spread_us: float = 0.0
    runs: int = 0
    visits: int = 0


class LatencyTable(Mapping[OpKey, Measurement]):
    """The measured ops and blocks of one device and dtype, and the calibration of sums of them.

    No op costs nothing: a row of 0, as tables had of ops shorter than what starting an inference varies by, says
    nothing and counts as not measured.

    Args:
        info: The preamble.
        rows: Measurement by op or block.
        networks: Networks that were measured whole.
        calibration: The fit to them; by default it is made here.
        rates: What an op without a row costs, where the table was made from whole networks or blocks.
        notes: What a reader should know, a line each.
    """

    def __init__(
        self,
        info: TableInfo,
        rows: Mapping[OpSpec, Measurement] | Mapping[OpKey, Measurement] | None = None,
        networks: tuple[CalibrationNetwork, ...] = (),
        calibration: Calibration | None = None,
        rates: Rates | None = None,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.info, self.networks, self.rates, self.notes = info, networks, rates, notes
        self._rows: dict[OpKey, Measurement] = {key: row for key, row in (rows or {}).items() if row.latency_us > 0}
        self.calibration = calibration or Calibration.fit(networks)

    @property
    def known_error(self) -> float | None:
        """Relative standard error of a network; None where none was ever compared."""
        return self.calibration.error if self.networks else None

    @property
    def era(self) -> str | None:
        """The era of the runtime that predictions speak of, where the table tells."""
        return next(iter(self.rates.eras), None) if self.rates is not None else None

    @property
    def fitted_us(self) -> tuple[float, float] | None:
        """From the least to the most that the whole networks take which a calibrated table was made from."""
        if self.info.method != "calibrated" or not self.networks:
            return None
        measured_us = [network.measured_us for network in self.networks]
        return self.info.overhead_us + min(measured_us), self.info.overhead_us + max(measured_us)

    def __getitem__(self, key: OpKey) -> Measurement:
        return self._rows[key]

    def __iter__(self) -> Iterator[OpKey]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def ops(self) -> dict[OpSpec, Measurement]:
        """The rows of single ops."""
        return {key: row for key, row in self._rows.items() if isinstance(key, OpSpec)}

    @property
    def blocks(self) -> dict[BlockKey, Measurement]:
        """The rows of whole blocks; only imported tables have them."""
        return {key: row for key, row in self._rows.items() if isinstance(key, BlockKey)}

    @property
    def doubt(self) -> str:
        """A sentence for users where whole networks took something else than the measured ops say; else empty."""
        info, error = self.info, self.calibration.error
        if info.method != "measured" or self.calibration.networks < LEAST_NETWORKS or error <= USUAL_ERROR:
            return ""
        return (
            f"the {info.dtype} table of {info.device} has a held-out error of {100 * error:.1f} %, usual is at most "
            f"{100 * USUAL_ERROR:g} %: the device was probably disturbed while it was profiled; once it is quiet, run: "
            f"mobilenas profile --device {info.device} --dtype {info.dtype} --fresh"
        )

    def updated(
        self, info: TableInfo, rows: Mapping[OpSpec, Measurement], networks: tuple[CalibrationNetwork, ...] = ()
    ) -> "LatencyTable":
        """A table with rows and networks added or replaced; new networks are fitted together with the old ones."""
        known = {network.name: network for network in (*self.networks, *networks)}
        calibration = None if networks else self.calibration
        both = self._rows.copy()
        both.update(rows.items())
        return LatencyTable(info, both, tuple(known.values()), calibration, rates=self.rates, notes=self.notes)

    def to_csv(self) -> str:
        """The file's content."""
        out = io.StringIO()
        preamble = Preamble(
            info=self.info,
            networks=self.networks,
            calibration=self.calibration if self.networks else None,
            rates=self.rates,
            notes=self.notes,
        )
        out.writelines(f"{line}\n" for line in preamble.lines())
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(COLUMNS)
        for key, row in self._rows.items():
            values = (f"{max(row.latency_us, LEAST_US):.4f}", f"{row.spread_us:.4f}", row.runs, row.visits)
            writer.writerow((*write_key(key), *values))
        return out.getvalue()

    def save(self, path: Path) -> None:
        """Writes the file, atomically."""
        write_atomically(path, self.to_csv())

    @classmethod
    def load(cls, path: Path) -> "LatencyTable":
        """Reads a table. Rows of ops that have another form now count as not measured.

        Raises:
            InputError: If anything in it is not what `save` writes: a duplicate, negative, missing or NaN value, an
                unknown column or unit; the text names file and line.
        """
        lines = read_text(path, "latency table").splitlines()
        count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
        preamble = Preamble.read(lines[:count], path)
        if lines[count : count + 1] != [",".join(COLUMNS)]:
            raise InputError(f"{path} line {count + 1}: the columns must be {','.join(COLUMNS)}")
        rows: dict[OpKey, Measurement] = {}
        for number, line in enumerate(lines[count + 1 :], count + 2):
            where = f"{path} line {number}"
            try:
                key, row = _read_row(line)
            except (ValueError, InputError) as error:
                raise InputError(f"{where}: {error}") from error
            if key in rows:
                raise InputError(f"{where}: the op stands in the table twice; remove one of the lines")
            rows[key] = row
        info = preamble.info
        if info.method != "imported" and preamble.rates is None:  # those are of others' forms, or of none
            rows = {key: row for key, row in rows.items() if not _is_outdated(key, info.forms)}
            info = replace(info, forms=FORMS)
        return cls(info, rows, preamble.networks, preamble.calibration, rates=preamble.rates, notes=preamble.notes)


def _is_outdated(key: OpKey, forms: int) -> bool:
    """Whether a row tells what the op took in a form that it no longer has."""
    return isinstance(key, OpSpec) and has_new_form(key, forms)


def table_path(device: Device, dtype: str) -> Path:
    """Where the table of a device is: the user's, else a shipped one, else where the user's will be."""
    own, ready_made = own_table_path(device, dtype), shipped("latency_tables") / f"{device.name}.{dtype}.csv"
    return ready_made if not own.exists() and ready_made.exists() else own


def own_table_path(device: Device, dtype: str) -> Path:
    """Where a table that is measured here is written."""
    return home() / "latency_tables" / f"{device.name}.{dtype}.csv"


def command_for_table(device: Device | str, dtype: str) -> str:
    """What to run for a table of ops: nothing can be profiled where nothing is connected.

    Args:
        device: A device; of a name that is not known the command is the usual one.
        dtype: Element type.
    """
    known = Device.load(device) if isinstance(device, str) and device in known_devices() else device
    name, connected = (known, True) if isinstance(known, str) else (known.name, open_runner(known).has_connection)
    return f"mobilenas {'profile' if connected else 'calibrate FILE'} --device {name} --dtype {dtype}"


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
                f"run: {command_for_table(device, dtype)} --fresh"
            )
    return table


def _read_row(line: str) -> tuple[OpKey, Measurement]:
    values = values_of(line)
    if len(values) != len(COLUMNS):
        raise ValueError(f"{len(values)} values, not {len(COLUMNS)}; restore the line or remove it")
    key = read_key(values[: len(OP_COLUMNS)])
    latency_us, spread_us, runs, visits = values[len(OP_COLUMNS) :]
    return key, Measurement(
        finite(latency_us, "latency_us"), finite(spread_us, "spread_us"), whole(runs, "runs"), whole(visits, "visits")
    )
