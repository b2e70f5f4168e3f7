"""What stands in a line of a table: values between commas, and numbers as programs write them."""

import csv
import re

from mobilenas.errors import shorten

MOST_US = 1e12
"""No op and no network takes so many microseconds or instructions."""
_WHOLE = re.compile(r"[0-9]{1,18}")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def values_of(line: str) -> list[str]:
    """The values of one line; one that holds a comma stands in quotes.

    Raises:
        ValueError: If a quote is not closed or stands inside a value.
    """
    try:
        return next(csv.reader([line], strict=True), [])
    except csv.Error as error:
        raise ValueError(f"a quote in {shorten(line)} is out of place; restore the line or remove it") from error


def whole(text: str, name: str) -> int:
    """A whole number in ASCII digits and nothing else.

    Raises:
        ValueError: If it is none, or has more than 18 digits.
    """
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{name} {shorten(text)} is not accepted; give a whole number from 0")
    return int(text)


def finite(text: str, name: str, most: float = MOST_US) -> float:
    """A number in ASCII digits, with point and exponent where wanted, from 0 to `most`.

    Raises:
        ValueError: If it is none, or out of range.
    """
    value = float(text) if _NUMBER.fullmatch(text) else -1.0
    if not 0 <= value <= most:
        raise ValueError(f"{name} {shorten(text)} is not accepted; give a number from 0 to {most:g}")
    return value
