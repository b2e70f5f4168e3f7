"""How commands say what a prediction rests on."""

from mobilenas.latency import LatencyTable
from mobilenas.runners import Unit


def described(method: str, era: str | None = None) -> str:
    """What figures of a table are: "calibrated, TFLite 2018"."""
    return f"{method}, {era}" if era else method


def without_row(method: str) -> str:
    """How ops were priced that a table lacks, after "... ops": a calibrated one is fitted to whole networks anyway."""
    if method == "calibrated":
        return "have no row of their own in the table and are estimated"
    return f"were not {method} but {'interpolated' if method == 'measured' else 'estimated'}"


def beyond(table: LatencyTable) -> str:
    """Beyond what figures lie that are extrapolated, after "... is"."""
    if table.fitted_us is None:
        return "in part beyond all measured ops of their kinds; the interval is wider for that"
    unit = Unit(table.info.unit)
    least, most = (f"{unit.show(figure):.3g}" for figure in table.fitted_us)
    return (
        f"beyond the networks of {least} to {most} {unit.shown} that the table of {table.info.device} was fitted to; "
        "the interval is wider for that"
    )
