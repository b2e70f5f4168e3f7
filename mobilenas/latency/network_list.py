"""Lists of whole-network latencies, as people publish them: a CSV file with a line a network."""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError, shorten
from mobilenas.latency.figures import finite, whole
from mobilenas.storage import read_text

REQUIRED = ("network", "latency_ms")
COLUMNS = (*REQUIRED, "resolution", "era", "source")

OTHER_ERA = "other"
"""The era of lines that name none, in a list where others do."""
LEAST_MS = 1e-3
"""No network takes less than a microsecond; the fit divides by latencies."""


@dataclass(frozen=True, slots=True)
class NetworkLatency:
    """One line of a list.

    Attributes:
        network: What the list calls it, whatever its resolution.
        arch: The network.
        latency_ms: What it took.
        era: Of the runtime it ran on; lines of one era share a factor. Empty where no line of the list names one.
        source: Where the figure was published.
    """

    network: str
    arch: Arch
    latency_ms: float
    era: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        """Network and resolution."""
        return f"{self.arch.name}@{self.arch.resolution}"


def read_network_list(path: Path) -> list[NetworkLatency]:
    """Reads a CSV file of latencies, by hand or from a spreadsheet.

    Its columns are `network` (a published name, or an architecture file relative to the list), `latency_ms`, and where
    wanted `resolution` (the network's own without it), `era` and `source`. Lines that begin with `#` are comments. A
    byte order mark, names of columns in quotes and line ends within quotes are taken as spreadsheets write them.

    Raises:
        InputError: If a column is missing or unknown, or a value is not accepted; the text names file and line.
    """
    records = _records(path)
    number, columns = next(records, (0, []))
    if not columns:
        raise InputError(f"{path}: the list is empty; give the columns {','.join(COLUMNS)} and a line a network")
    wrong = [name for name in columns if name not in COLUMNS] or [name for name in REQUIRED if name not in columns]
    if wrong or len(set(columns)) != len(columns):
        what = shorten(wrong[0]) if wrong else "twice the same"
        raise InputError(f"{path} line {number}: column {what}; give {','.join(REQUIRED)} of {','.join(COLUMNS)}")
    found: dict[tuple[str, str], NetworkLatency] = {}
    for number, values in records:
        where = f"{path} line {number}"
        if len(values) != len(columns):
            raise InputError(f"{where}: {len(values)} values, not {len(columns)}; put what holds a comma in quotes")
        try:
            latency = _read(dict(zip(columns, values, strict=True)), path.parent)
        except (ValueError, InputError) as error:
            raise InputError(f"{where}: {error}") from error
        if (latency.name, latency.era) in found:
            raise InputError(f"{where}: {latency.name} stands in the list twice; remove one of the lines")
        found[latency.name, latency.era] = latency
    if any(each.era for each in found.values()):
        return [replace(each, era=each.era or OTHER_ERA) for each in found.values()]
    return list(found.values())


def _records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number of the first line and values of each record; values are one line, without blanks around them."""
    text = read_text(path, "list of latencies").removeprefix("\ufeff")
    lines = enumerate(io.StringIO(text, newline=""), 1)
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        reader = csv.reader(itertools.chain([line], (more for _, more in lines)), strict=True)
        try:
            values = next(reader)
        except csv.Error as error:
            what = f"a quote in {shorten(line.strip())} is out of place"
            raise InputError(f"{path} line {number}: {what}; restore the line or remove it") from error
        yield number, [" ".join(value.split()) for value in values]


def _read(values: Mapping[str, str], folder: Path) -> NetworkLatency:
    name = values["network"]
    arch = Arch.load(folder / name) if name.endswith(".json") else models.get(name)
    if resolution := values.get("resolution"):
        arch = arch.resized(resolution=whole(resolution, "resolution"))
    latency_ms = finite(values["latency_ms"], "latency_ms")
    if latency_ms < LEAST_MS:
        raise ValueError(f"latency_ms {values['latency_ms']} is not accepted; give milliseconds, at least {LEAST_MS:g}")
    era = values.get("era", "")
    if "|" in era:
        raise ValueError(f"era {shorten(era)} is not accepted; give a name without '|'")
    return NetworkLatency(name, arch, latency_ms, era, values.get("source", ""))
