"""Lists of whole-network latencies, as people publish them: a CSV file with a line a network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError, shorten
from mobilenas.latency.figures import finite, values_of, whole
from mobilenas.storage import read_text

REQUIRED = ("network", "latency_ms")
COLUMNS = (*REQUIRED, "resolution", "era", "source")

LEAST_MS = 1e-3
"""No network takes less than a microsecond; the fit divides by latencies."""


@dataclass(frozen=True, slots=True)
class NetworkLatency:
    """One line of a list.

    Attributes:
        network: What the list calls it, whatever its resolution.
        arch: The network.
        latency_ms: What it took.
        era: Of the runtime it ran on; lines of one era share a factor.
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
    """Reads a CSV file of latencies.

    Its columns are `network` (a published name, or an architecture file relative to the list), `latency_ms`, and where
    wanted `resolution` (the network's own without it), `era` and `source`. Lines that begin with `#` are comments.

    Raises:
        InputError: If a column is missing or unknown, or a value is not accepted; the text names file and line.
    """
    lines = read_text(path, "list of latencies").splitlines()
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InputError(f"{path}: the list is empty; give the columns {','.join(COLUMNS)} and a line a network")
    columns = [name.strip() for name in numbered[0][1].split(",")]
    wrong = [name for name in columns if name not in COLUMNS] or [name for name in REQUIRED if name not in columns]
    if wrong or len(set(columns)) != len(columns):
        what = shorten(wrong[0]) if wrong else "twice the same"
        raise InputError(
            f"{path} line {numbered[0][0]}: column {what}; give {','.join(REQUIRED)} of {','.join(COLUMNS)}"
        )
    found: dict[tuple[str, str], NetworkLatency] = {}
    for number, line in numbered[1:]:
        where = f"{path} line {number}"
        try:
            values = [value.strip() for value in values_of(line)]
            if len(values) != len(columns):
                raise ValueError(f"{len(values)} values, not {len(columns)}; put what holds a comma in quotes")
            latency = _read(dict(zip(columns, values, strict=True)), path.parent)
        except (ValueError, InputError) as error:
            raise InputError(f"{where}: {error}") from error
        if (latency.name, latency.era) in found:
            raise InputError(f"{where}: {latency.name} stands in the list twice; remove one of the lines")
        found[latency.name, latency.era] = latency
    return list(found.values())


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
