"""calibrated_table: a table for a device that nobody can profile op by op, from whole-network latencies."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.latency.calibration import LEAST_ERROR, UNCALIBRATED_ERROR, Calibration
from mobilenas.latency.calibration_network import CalibrationNetwork
from mobilenas.latency.network_list import NetworkLatency
from mobilenas.latency.preamble import TableInfo
from mobilenas.latency.rate_fit import Sample, fit_rates, left_out_errors, predicted_us
from mobilenas.latency.rates import PRIOR, Rates
from mobilenas.latency.table import LatencyTable, Measurement
from mobilenas.runners import Device

Floats = npt.NDArray[np.float64]
LEAST_NETWORKS = 3
FEW_NETWORKS = 8
"""Below so many, an error of those left out says little, and no less than that of an uncalibrated sum is assumed."""
NEW_FAMILY = 1.8
"""Factor from the error of left-out networks to the one that intervals assume.

On the Pixel 1, families that took no part err 1.5 times as much; with 1.8, nine in ten of them lie in a 90 % interval
(benchmarks/pixel1.py). It rests on that one phone.
"""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Root mean square relative errors of networks whose like took no part in the fit.

    Attributes:
        networks: All resolutions of a network left out together.
        resolutions: All networks of a resolution left out together; None where there is one resolution only.
    """

    networks: float
    resolutions: float | None

    @property
    def error(self) -> float:
        """The larger one."""
        return max(self.networks, self.resolutions or 0.0)


def calibrated_table(
    device: Device,
    latencies: Sequence[NetworkLatency],
    *,
    dtype: str = "float32",
    source: str = "",
    prior: Rates = PRIOR,
) -> LatencyTable:
    """A table of the ops of these networks, and prices for any other op.

    Args:
        device: What they ran on.
        latencies: At least three.
        dtype: Their element type.
        source: Where the list comes from.
        prior: What rates are held to, up to a common scale.

    Returns:
        A table whose method is "calibrated". Its interval assumes 1.8 times the error of left-out networks or
        resolutions, whichever is larger, since other families err more.

    Raises:
        InputError: If there are fewer than three networks.
    """
    if len(latencies) < LEAST_NETWORKS:
        raise InputError(f"{len(latencies)} networks are too few for a calibration; give at least {LEAST_NETWORKS}")
    samples = [Sample(each.arch.graph().op_counts(), 1e3 * each.latency_ms, each.era) for each in latencies]
    rates = fit_rates(samples, prior=prior, dtype=dtype)
    left_out = left_out_of(latencies, samples, dtype=dtype, prior=prior)
    error = max(NEW_FAMILY * left_out.error, LEAST_ERROR)
    if len(latencies) < FEW_NETWORKS:
        error = max(error, UNCALIBRATED_ERROR)
    ops = dict.fromkeys(op for sample in samples for op in sample.ops)
    return LatencyTable(
        TableInfo(
            device=device.name,
            dtype=dtype,
            threads=device.threads,
            date=datetime.date.today().isoformat(),
            method="calibrated",
            source=source,
        ),
        {op: Measurement(rates.op_us(op, dtype)) for op in ops},
        _fitted(latencies, samples, rates, dtype),
        Calibration(error=error, networks=len(latencies)),
        rates=rates,
        notes=_notes(samples, rates, left_out, dtype),
    )


def left_out_of(
    latencies: Sequence[NetworkLatency], samples: Sequence[Sample], *, dtype: str = "float32", prior: Rates = PRIOR
) -> LeftOut:
    """Errors on networks and resolutions left out of the fit."""

    def fit(rest: Sequence[Sample]) -> Rates:
        return fit_rates(rest, prior=prior, dtype=dtype)

    by_network = left_out_errors(samples, [each.network for each in latencies], fit, dtype)
    resolutions = [each.arch.resolution for each in latencies]
    several = len(set(resolutions)) > 1
    by_resolution = left_out_errors(samples, resolutions, fit, dtype) if several else np.zeros(0)
    return LeftOut(
        networks=UNCALIBRATED_ERROR if np.isnan(by_network).all() else _rms(by_network),
        resolutions=None if np.isnan(by_resolution).all() else _rms(by_resolution),
    )


def _fitted(
    latencies: Sequence[NetworkLatency], samples: Sequence[Sample], rates: Rates, dtype: str
) -> tuple[CalibrationNetwork, ...]:
    """The networks as a table keeps them, in the era that the rates speak of."""
    found = []
    for each, sample in zip(latencies, samples, strict=True):
        factor = rates.eras.get(sample.era, 1.0)
        name = f"{each.name} ({each.era})" if each.era else each.name
        op_sum_us = sum(count * rates.op_us(op, dtype) for op, count in sample.ops.items())
        size = each.arch.graph().footprint_bytes(dtype)
        found.append(CalibrationNetwork(name, op_sum_us, size, sample.latency_us / factor))
    return tuple(found)


def _notes(samples: Sequence[Sample], rates: Rates, left_out: LeftOut, dtype: str) -> tuple[str, ...]:
    fitted = predicted_us(rates, samples, dtype) / [sample.latency_us for sample in samples] - 1
    resolutions = "" if left_out.resolutions is None else f", resolutions left out {100 * left_out.resolutions:.1f} %"
    return (
        f"prices of work fitted to {len(samples)} whole networks by relative non-negative "
        "least squares, held to a prior (docs/importing_a_table.md)",
        f"root mean square error: fitted networks {100 * _rms(fitted):.1f} %, networks left out "
        f"{100 * left_out.networks:.1f} %{resolutions}; the interval assumes {NEW_FAMILY:g} times as much, "
        "since families that took no part err more; single ops are worse",
        "calibration networks are given in the first era: their latency is divided by the factor of their own",
    )


def _rms(errors: Floats) -> float:
    return float(np.sqrt(np.nanmean(np.square(errors))))
