"""ExpectedImprovement: how much better than the best so far a network is expected to be."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._gaussian_process import GaussianProcess
from mobilenas.searchers._warp import Warp
from mobilenas.spaces import Genotypes

Floats = npt.NDArray[np.float64]
FAR = -5.0
"""So many deviations below what is needed, the improvement is computed from its asymptotic series."""


class ExpectedImprovement:
    """Logarithm of the expected improvement of the reward.

    The reward of a network is linear in its accuracy, with known coefficients; so what accuracy it needs to match the
    best so far is known, and the model says how likely it is to have more.

    Args:
        feasible: Gives rewards.
        embed: Gives the model's points of genotypes.
        model: Of warped accuracies.
        warp: The warp.
        best: The best reward so far.

    Source: Jones et al. 1998, equation 15; its logarithm as Ament et al., arXiv 2310.20708, section 4.1.
    Differs from the paper: the improvement is that of the warped accuracy, times what accuracy earns.
    """

    def __init__(
        self,
        feasible: FeasibleSet,
        embed: Callable[[Genotypes], Floats],
        model: GaussianProcess,
        warp: Warp,
        best: float,
    ) -> None:
        self._feasible, self._embed, self._model, self._warp, self._best = feasible, embed, model, warp, best

    def __call__(self, genotypes: Genotypes) -> Floats:
        """Of genotypes, (N, decisions); shape (N,)."""
        least, most = (self._feasible.reward(genotypes, np.full(len(genotypes), share)) for share in (0.0, 1.0))
        needed = self._warp((self._best - least) / (most - least))
        mean, deviation = self._model.predict(self._embed(genotypes))
        return np.log(deviation) + log_improvement((mean - needed) / deviation) + np.log(most - least)


def log_improvement(z: Floats) -> Floats:
    """log(pdf(z) + z * cdf(z)) of the standard normal distribution, shape (N,)."""
    low, high = np.minimum(z, FAR), np.maximum(z, FAR)
    tail = -0.5 * low**2 - 0.5 * math.log(2 * math.pi) - 2 * np.log(-low) + np.log1p(-3 / low**2 + 15 / low**4)
    density = np.exp(-0.5 * high**2) / math.sqrt(2 * math.pi)
    below = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in high.tolist()])
    return np.asarray(np.where(z < FAR, tail, np.log(density + high * below)))
