"""Preamble: what stands before the rows of a latency table's file."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from mobilenas.errors import InputError, shorten
from mobilenas.export.lowering import FORMS
from mobilenas.graph import BYTES
from mobilenas.latency.calibration import Calibration
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.figures import finite, whole
from mobilenas.latency.rates import Rates, era_from_text, era_to_text
from mobilenas.runners import Unit

METHODS = ("measured", "calibrated", "imported")
UNITS = tuple(Unit)
NETWORK_KEY, CALIBRATION_KEY, RATES_KEY, ERA_KEY, NOTE_KEY = (
    "calibration_network",
    "calibration",
    "rates",
    "era",
    "note",
)


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
        gate_us: What the runner's gate takes at the device's best; 0 where there is none.
        forms: Of which forms of ops (`lowering.FORMS`) the rows are; 1 in tables that do not say.
        share: Of the ops of a search space, the share that is measured; the others are interpolated.
        unit: What every figure named `..._us` is counted in: the text of a `Unit`.
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
    gate_us: float = 0.0
    forms: int = FORMS
    share: float = 1.0
    unit: str = "us"

    @property
    def usual_us(self) -> dict[str, float]:
        """What `SteadyRunner` compares a session with."""
        return {
            "block_us": self.sentinel_block_us,
            "network_us": self.sentinel_network_us,
            "gate_us": self.gate_us,
        }


@dataclass(frozen=True, kw_only=True)
class Preamble:
    """Everything before the rows.

    Attributes:
        info: What was measured, on what, how and when.
        networks: Networks that were measured whole.
        calibration: The fit to them; None where it was not written down.
        rates: Prices of work, in a table that was made from whole networks or blocks.
        notes: What a reader should know, a line each.
    """

    info: TableInfo
    networks: tuple[CalibrationNetwork, ...] = ()
    calibration: Calibration | None = None
    rates: Rates | None = None
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """The lines of the file, without line ends."""
        for key, value in vars(self.info).items():
            yield f"# {key}: {_one_line(str(value))}"
        for note in self.notes:
            yield f"# {NOTE_KEY}: {_one_line(note)}"
        if self.rates is not None:
            yield f"# {RATES_KEY}: {self.rates.to_text()}"
            for name, factor in self.rates.eras.items():
                yield f"# {ERA_KEY}: {era_to_text(name, factor)}"
        if self.calibration is not None:
            yield f"# {CALIBRATION_KEY}: {self.calibration.to_text()}"
        for network in self.networks:
            yield f"# {NETWORK_KEY}: {network.to_text()}"

    @classmethod
    def read(cls, lines: Sequence[str], path: Path) -> Self:
        """Reads what `lines` gave; a calibration of an earlier kind is left out and will be made anew.

        Raises:
            InputError: If a key is unknown or a value not accepted; the text names file and line.
        """
        info = TableInfo(device="", forms=1)
        networks: list[CalibrationNetwork] = []
        eras: dict[str, float] = {}
        notes: list[str] = []
        calibration = rates = None
        outdated = False
        for number, line in enumerate(lines, 1):
            key, _, value = (part.strip() for part in line[1:].partition(":"))
            try:
                if key == NETWORK_KEY:
                    networks.append(CalibrationNetwork.from_text(value))
                elif key == CALIBRATION_KEY and (outdated := Calibration.is_outdated(value)):
                    pass
                elif key == CALIBRATION_KEY:
                    calibration = Calibration.from_text(value)
                elif key == RATES_KEY:
                    rates = Rates.from_text(value, eras)
                elif key == ERA_KEY:
                    eras |= [era_from_text(value)]
                elif key == NOTE_KEY:
                    notes.append(value)
                elif key in vars(info):
                    info = _with(info, key, value)
                else:
                    raise ValueError(f"unknown key {shorten(key)}")
            except ValueError as error:
                raise InputError(f"{path} line {number}: {error}") from error
        _check(info, path)
        if not 1 <= info.forms <= FORMS:
            raise InputError(
                f"{path}: forms {info.forms} is not accepted; give 1 to {FORMS} (more is of a newer mobilenas)"
            )
        if outdated:
            networks = []  # their footprints are of the earlier kind; the ops are as good as ever
        return cls(info=info, networks=tuple(networks), calibration=calibration, rates=rates, notes=tuple(notes))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())


def _check(info: TableInfo, path: Path) -> None:
    for key, accepted in (("dtype", tuple(BYTES)), ("method", METHODS), ("unit", UNITS)):
        if getattr(info, key) not in accepted:
            raise InputError(
                f"{path}: {key} {shorten(getattr(info, key))} is not accepted; give {' or '.join(accepted)}"
            )
    if not 0 < info.share <= 1:
        raise InputError(f"{path}: share {info.share} is not accepted; give a number above 0, at most 1")


def _with(info: TableInfo, key: str, value: str) -> TableInfo:
    """The preamble with one key read from its text."""
    fields = vars(info).copy()
    kind = type(fields[key])
    fields[key] = finite(value, key) if kind is float else whole(value, key) if kind is int else value
    return TableInfo(**fields)
