"""A device whose latencies are known, and a table that predicts them.

A file takes a microsecond a thousand bytes (see `fake_runner`), and the table says the same of every op's weights. What
a file holds beside weights makes it about a percent slower than predicted, which the table's interval covers.
"""

from pathlib import Path

from mobilenas.latency import Calibration, CalibrationNetwork, LatencyTable, Measurement, TableInfo
from mobilenas.spaces import SearchSpace

DEVICE_TOML = 'name = "fake"\nrunner = "fake"\ndescription = "takes a microsecond a thousand bytes"\n'
LEAST_US = 0.001
"""Of ops without weights: a row of 0 would count as not measured."""


def known_table(space: SearchSpace, dtype: str = "float32") -> LatencyTable:
    """The table of the fake device for a space."""
    ops = sorted(space.distinct_ops(), key=str)
    rows = {op: Measurement(max(op.weight_bytes(dtype) / 1000, LEAST_US), 0.0, 40, 3) for op in ops}
    network = CalibrationNetwork(
        f"{space.name}@{space.decode((0,) * len(space.decisions)).resolution}#0", 1000.0, 10**6, 1000.0
    )
    info = TableInfo(device="fake", cpu="fake cpu", runtime="fake 1", dtype=dtype)
    return LatencyTable(info, rows, (network,), Calibration(1.0, 0.0, 0.0, 0.02, 1))


def install(home: Path, space: SearchSpace | None) -> None:
    """Writes the device and, where a space is given, its table into a home folder."""
    (home / "devices").mkdir(parents=True)
    (home / "devices" / "fake.toml").write_text(DEVICE_TOML)
    if space is not None:
        known_table(space).save(home / "latency_tables" / "fake.float32.csv")
