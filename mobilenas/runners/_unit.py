"""Unit: what a device's figures are counted in."""

from enum import StrEnum
from typing import overload

from mobilenas.errors import InputError


class Unit(StrEnum):
    """What a latency is counted in: a device has a clock, an emulated one counts instructions.

    Fields named `..._us` hold figures of a device in its unit. Whatever prints, compares or stores milliseconds takes
    them from `milliseconds`, which refuses all but time.
    """

    MICROSECONDS = "us"
    INSTRUCTIONS = "instructions"

    def milliseconds(self, figure: float) -> float:
        """A figure in this unit as milliseconds.

        Raises:
            InputError: If it is no time.
        """
        self.check_is_time("a figure of this device")
        return figure / 1e3

    def check_is_time(self, what: str) -> None:
        """Raises `InputError` unless this is a unit of time.

        Args:
            what: What is not, as the beginning of "... is counted in instructions".
        """
        if self is not Unit.MICROSECONDS:
            raise InputError(
                f"{what} is counted in {self}, which is not comparable with milliseconds; "
                "give a device that has a clock, such as host"
            )

    @property
    def shown(self) -> str:
        """What people are shown figures in, and what ends the names of fields that hold them: "ms"."""
        return "ms" if self is Unit.MICROSECONDS else str(self)

    @overload
    def show(self, figure: float) -> float: ...
    @overload
    def show(self, figure: None) -> None: ...
    @overload
    def show(self, figure: float | None) -> float | None: ...
    def show(self, figure: float | None) -> float | None:
        """A figure as people are shown it: milliseconds, or as it is; None where the device does not give it."""
        if figure is None or self is not Unit.MICROSECONDS:
            return figure
        return figure / 1e3
