"""fit_rates: prices of work from latencies of networks or blocks."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.latency.rates import LEAST_ERA, MOST_ERA, PRIOR, Rates
from mobilenas.latency.work import total_work

Floats = npt.NDArray[np.float64]
SHRINKAGE = 3e-4
"""How strongly rates are held to the prior; errors of left-out networks change little from 1e-4 to 1e-3."""
MOST_ROUNDS, TIGHT = 1000, 1e-6


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that was measured whole.

    Attributes:
        ops: How often each op occurs.
        latency_us: What it took.
        era: Of the runtime; samples of one era share a factor.
    """

    ops: Mapping[OpSpec, int]
    latency_us: float
    era: str = ""


def fit_rates(
    samples: Sequence[Sample], *, prior: Rates = PRIOR, dtype: str = "float32", shrinkage: float = SHRINKAGE
) -> Rates:
    """Rates that sum to the samples' latencies.

    Minimises the mean squared relative error plus shrinkage * sum((rate / (scale * prior) - 1)^2) over rates from 0 on,
    a common scale, and a factor for each era but that of most samples. A rate of 0 in the prior stays 0.

    Args:
        samples: At least one.
        prior: What rates are held to, up to a common scale.
        dtype: Element type of what was measured.
        shrinkage: Weight of the prior.

    Raises:
        InputError: If there is no sample, or one takes no time.

    Source: this project's study of published Pixel 1 latencies; ridge regression toward a prior, non-negative least
    squares by Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23.
    """
    if not samples or min(sample.latency_us for sample in samples) <= 0:
        raise InputError(f"{len(samples)} latencies are not accepted; give at least one, each above 0")
    names = sorted({sample.era for sample in samples}, key=lambda era: (-sum(s.era == era for s in samples), era))
    era = np.array([names.index(sample.era) for sample in samples])
    amounts = np.array([total_work(sample.ops, dtype) for sample in samples])
    latencies_us = np.array([sample.latency_us for sample in samples])
    shares, factors = _solve(amounts * prior.us_per_unit / latencies_us[:, None], era, shrinkage)
    rates = tuple((shares * prior.us_per_unit).tolist())
    return Rates(rates, dict(zip(names, factors.tolist(), strict=True)) if names != [""] else {})


def predicted_us(rates: Rates, samples: Sequence[Sample], dtype: str = "float32") -> Floats:
    """What samples take in their eras, shape (samples,)."""
    amounts = np.array([total_work(sample.ops, dtype) for sample in samples])
    factors = np.array([rates.eras.get(sample.era, 1.0) for sample in samples])
    predicted: Floats = factors * (amounts @ np.array(rates.us_per_unit))
    return predicted


def left_out_errors(
    samples: Sequence[Sample], groups: Sequence[Hashable], fit: Callable[[Sequence[Sample]], Rates], dtype: str
) -> Floats:
    """Relative errors on samples whose group was left out of the fit, shape (samples,).

    NaN for a sample whose era nobody else tells of: its factor cannot be known.

    Args:
        samples: All of them.
        groups: The group of each.
        fit: Makes rates from the others.
        dtype: Element type.
    """
    errors = np.full(len(samples), np.nan)
    for group in dict.fromkeys(groups):
        rest = [sample for sample, own in zip(samples, groups, strict=True) if own != group]
        eras = {sample.era for sample in rest}
        out = [i for i, own in enumerate(groups) if own == group and samples[i].era in eras]
        if out:
            left_out = [samples[i] for i in out]
            errors[out] = predicted_us(fit(rest), left_out, dtype) / [sample.latency_us for sample in left_out] - 1
    return errors


def _solve(rows: Floats, era: npt.NDArray[np.intp], shrinkage: float) -> tuple[Floats, Floats]:
    """Multiples of the prior's rates, and the eras' factors.

    Args:
        rows: Relative latencies by sample and kind of work at the prior's rates, shape (samples, kinds of work).
        era: Index of each sample's era.
        shrinkage: Weight of the prior.
    """
    count = rows.shape[1]
    factors = np.ones(int(era.max()) + 1)
    scale = float(np.median(1 / rows.sum(1)))
    held = np.sqrt(shrinkage * len(rows))
    shares = np.full(count, scale)
    for _ in range(MOST_ROUNDS):
        design = np.vstack([rows * factors[era][:, None], held / scale * np.eye(count)])
        shares = nonnegative_least_squares(design, np.concatenate([np.ones(len(rows)), np.full(count, held)]))
        before = np.append(factors, scale)
        scale = float(shares @ shares / shares.sum())
        sums = rows @ shares
        for index in range(1, len(factors)):
            own = sums[era == index]
            factors[index] = np.clip(own.sum() / (own @ own), LEAST_ERA, MOST_ERA)
        if np.abs(np.append(factors, scale) / before - 1).max() < TIGHT:
            break
    return shares, factors


def nonnegative_least_squares(design: Floats, wanted: Floats) -> Floats:
    """The x >= 0 that minimises |design x - wanted|.

    Source: Lawson and Hanson, "Solving Least Squares Problems", 1974, algorithm NNLS (23.10).
    """
    count = design.shape[1]
    x, free = np.zeros(count), np.zeros(count, bool)
    for _ in range(3 * count):
        pull = design.T @ (wanted - design @ x)
        if free.all() or pull[~free].max() <= 1e-12:
            return x
        free[np.flatnonzero(~free)[np.argmax(pull[~free])]] = True
        while True:
            target = np.zeros(count)
            target[free] = np.linalg.lstsq(design[:, free], wanted, rcond=None)[0]
            low = free & (target <= 0)
            if not low.any():
                break
            x = x + float(np.min(x[low] / (x[low] - target[low]))) * (target - x)
            free &= x > 1e-12
            x[~free] = 0
        x = target
    return x


def with_error(rates: Rates, error: float) -> Rates:
    """The same rates, with the relative standard error of one op."""
    return replace(rates, error=error)
