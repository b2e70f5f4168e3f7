"""How commands say what a prediction rests on."""

from mobilenas.latency import LatencyTable
from mobilenas.runners import Unit


def described(method: str, era: str | None = None) -> str:
    """What figures of a table are: "calibrated, TFLite 2018"."""
    return f"{method}, {era}" if era else method


def beyond_fitted(table: LatencyTable) -> str:
    """That figures lie beyond the networks of a calibrated table, after "... is"."""
    unit = Unit(table.info.unit)
    least, most = (f"{unit.show(figure):.3g}" for figure in table.fitted_us or (0.0, 0.0))
    return (
        f"beyond the networks of {least} to {most} {unit.shown} that the table of {table.info.device} was fitted to; "
        "the interval is wider for that"
    )
