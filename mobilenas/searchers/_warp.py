"""Warp: accuracies as a model wants them."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST_SPREAD = 1e-6


class Warp:
    """A rising, piecewise linear map of accuracies: the better half keeps its distances, the worse half is drawn in.

    Where a search looks for the best, it matters by how much good networks differ, and little how bad the bad ones are;
    a few that hardly learn would otherwise decide what the model calls large. Values below the median lie as far below
    it as normal quantiles of their rank do.

    Args:
        accuracies: Those that were observed, shape (N,), one at least.

    Source: the half-rank warping of Song et al., The Vizier Gaussian Process Bandit Algorithm, arXiv 2408.11527,
        section 3.3.
    Differs from the paper: the better half is not touched by its further, logarithmic warping.
    """

    def __init__(self, accuracies: Floats) -> None:
        known, counts = np.unique(accuracies, return_counts=True)
        median = float(np.median(accuracies))
        above = accuracies[accuracies >= median] - median
        spread = max(float(np.sqrt(np.mean(above**2))), LEAST_SPREAD)
        values = (known - median) / spread
        shares = (np.cumsum(counts) - 0.5 * counts) / counts.sum()
        below = known < median
        values[below] = np.maximum(_normal_quantiles(shares[below]), values[below])
        self._known, self._values, self._slope = known, values, 1 / spread

    def __call__(self, accuracies: Floats) -> Floats:
        """What accuracies are for the model; beyond those observed the map goes on as in the better half."""
        over, under = accuracies - self._known[-1], accuracies - self._known[0]
        inside = np.interp(accuracies, self._known, self._values)
        return np.asarray(inside + self._slope * (np.maximum(over, 0) + np.minimum(under, 0)))


def _normal_quantiles(shares: Floats) -> Floats:
    """Quantiles of the normal distribution for shares in (0, 1/2), within 0.0005.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, formula 26.2.23.
    """
    t = np.sqrt(-2 * np.log(shares))
    above = 2.515517 + 0.802853 * t + 0.010328 * t**2
    below = 1 + 1.432788 * t + 0.189269 * t**2 + 0.001308 * t**3
    return np.asarray(above / below - t)
