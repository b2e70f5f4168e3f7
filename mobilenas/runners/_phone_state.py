"""How a phone is doing, and which processors it has."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from mobilenas.errors import InputError

CoreName = Literal["big", "mid", "little", "all"]


@dataclass(frozen=True, slots=True)
class PhoneState:
    """What the phone said of itself; None where it could not be read.

    Attributes:
        battery_percent: Charge.
        battery_celsius: Temperature.
        thermal_status: 0 none, 1 light, 2 moderate, 3 severe throttling and so on (Android 10 and later).
        wakefulness: "Awake", "Asleep", "Dozing" ...
        governor: Frequency governor of the first processor in use; "unknown" where it cannot be read.
        frequencies_khz: Of the processors in use; "unknown" where it cannot be read.
        cpuset: Of a process of the shell; "unknown" where it cannot be read.
    """

    battery_percent: int | None
    battery_celsius: float | None
    thermal_status: int | None
    wakefulness: str | None
    governor: str
    frequencies_khz: tuple[int | Literal["unknown"], ...]
    cpuset: str

    @classmethod
    def parse(cls, text: str) -> "PhoneState":
        """Reads what `dumpsys` and the processors' files gave."""
        tenths = _number(r"^\s*temperature: (-?\d+)", text)
        awake = re.search(r"mWakefulness=(\w+)", text)
        governor = re.search(r"^governor \d+ (\S+)", text, re.M)
        cpuset = re.search(r"^cpuset (\S+)", text, re.M)
        return cls(
            battery_percent=_number(r"^\s*level: (\d+)", text),
            battery_celsius=None if tenths is None else tenths / 10,
            thermal_status=_number(r"Thermal Status: (\d+)", text),
            wakefulness=awake[1] if awake else None,
            governor=governor[1] if governor else "unknown",
            frequencies_khz=tuple(
                int(khz) if khz else "unknown" for khz in re.findall(r"^frequency \d+ (\d*)", text, re.M)
            ),
            cpuset=cpuset[1] if cpuset else "unknown",
        )

    def trouble(self, *, most_celsius: float, least_percent: int) -> str:
        """Why latencies that are measured now would not be the phone's own; empty if they are."""
        if self.wakefulness not in (None, "Awake"):
            return f"asleep (mWakefulness={self.wakefulness})"
        if self.thermal_status:
            return f"throttled (thermal status {self.thermal_status})"
        if self.battery_celsius is not None and self.battery_celsius > most_celsius:
            return f"hot (battery at {self.battery_celsius:g} C, at most {most_celsius:g} C)"
        if self.battery_percent is not None and self.battery_percent < least_percent:
            return f"low on charge ({self.battery_percent} %, at least {least_percent} %)"
        return ""


def choose_cores(listing: str, name: CoreName, threads: int) -> tuple[int, ...]:
    """The processors that a run is bound to: the last `threads` of a class; none for "all".

    Args:
        listing: A line each: number, `cpu_capacity`, `cpuinfo_max_freq` (0 where it cannot be read).
        name: big: those with the largest capacity; little: with the least; mid: between.
        threads: How many.

    Raises:
        InputError: If the phone has too few of them, or does not say which are which.
    """
    if name == "all":
        return ()
    rows = [tuple(map(int, line.split())) for line in listing.splitlines() if re.fullmatch(r"\d+ \d+ \d+", line)]
    capacities, frequencies = {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}
    speed: Mapping[int, int] = capacities if rows and all(capacities.values()) else frequencies
    levels = sorted(set(speed.values()))
    if not rows or not all(speed.values()):
        raise InputError(f"cores {name!r}: the phone does not say which processors are which; give cores = 'all'")
    chosen = {"big": levels[-1:], "little": levels[:1], "mid": levels[1:-1]}[name]
    found = sorted(number for number, value in speed.items() if value in chosen)
    if len(found) < threads:
        raise InputError(f"cores {name!r}: the phone has {len(found)} of them for {threads} threads; give others")
    return tuple(found[-threads:])


def mask_of(cores: Sequence[int]) -> int:
    """The processors as bits."""
    return sum(1 << core for core in cores)


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.M)
    return int(found[1]) if found else None
