"""imported_table: a table of blocks that somebody else measured."""

import datetime
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mobilenas.latency.block_file import BlockEntry, read_block_file
from mobilenas.latency.op_key import OpKey
from mobilenas.latency.preamble import TableInfo
from mobilenas.latency.rate_fit import Sample, fit_rates, left_out_errors, with_error
from mobilenas.latency.rates import Rates
from mobilenas.latency.table import LatencyTable, Measurement
from mobilenas.runners import Device

FOLDS = 5
"""Parts of the blocks that are left out in turn, to see how far prices of work are off on others."""


def imported_table(device: Device, paths: Sequence[Path], *, dtype: str = "float32", source: str = "") -> LatencyTable:
    """The table of a device from look-up tables of ProxylessNAS or Once-for-All, one file a resolution.

    What several files have (a classifier does not depend on the resolution) becomes the mean over their runs. Ops and
    blocks that no file has get prices of work that are fitted to the blocks; the table says how far these are off.

    Args:
        device: What the blocks ran on.
        paths: The files.
        dtype: Element type of what was measured.
        source: Where they come from; the names of the files without it.

    Raises:
        InputError: If a file is not valid.
    """
    entries = [entry for path in paths for entry in read_block_file(path)]
    samples = [Sample(entry.graph.op_counts(), entry.measurement.latency_us) for entry in entries]
    numbers = {key: index for index, key in enumerate(dict.fromkeys(entry.keys for entry in entries))}
    folds = [numbers[entry.keys] % FOLDS for entry in entries]  # what several files have is left out together

    def fit(rest: Sequence[Sample]) -> Rates:
        return fit_rates(rest, dtype=dtype)

    error = _left_out_error(samples, folds, fit, dtype)
    return LatencyTable(
        TableInfo(
            device=device.name,
            dtype=dtype,
            threads=device.threads,
            date=datetime.date.today().isoformat(),
            method="imported",
            source=source or ", ".join(path.name for path in paths),
        ),
        _rows(entries),
        rates=with_error(fit(samples), error),
        notes=(
            f"{len(numbers)} blocks and ops that others measured; a network is their plain sum",
            f"prices of work for what is missing: root mean square error {100 * error:.0f} % on blocks left out, "
            "weighted by latency",
        ),
    )


def _left_out_error(
    samples: Sequence[Sample], folds: Sequence[int], fit: Callable[[Sequence[Sample]], Rates], dtype: str
) -> float:
    """Root mean square relative error, dear blocks counting more: on cheap ones relative errors are large."""
    errors = left_out_errors(samples, folds, fit, dtype)
    latencies_us = [sample.latency_us for sample in samples]
    return float(np.sqrt(np.average(np.square(errors), weights=latencies_us))) if len(set(folds)) > 1 else 1.0


def _rows(entries: Sequence[BlockEntry]) -> dict[OpKey, Measurement]:
    by_key: dict[OpKey, list[Measurement]] = defaultdict(list)
    for entry in entries:
        for key in entry.keys:
            by_key[key].append(entry.measurement)
    return {key: _mean(found) for key, found in by_key.items()}


def _mean(found: Sequence[Measurement]) -> Measurement:
    weights = [max(each.runs, 1) for each in found]
    return Measurement(
        float(np.average([each.latency_us for each in found], weights=weights)),
        float(np.average([each.spread_us for each in found], weights=weights)),
        sum(each.runs for each in found),
        sum(each.visits for each in found),
    )
