"""GaussianProcess: what is known of a function from some of its values."""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LEAST_NOISE = 1e-4
SHARED_DEVIATION, OWN_DEVIATION = 2.0, 1.0
"""Of the logarithms of the groups' relevances: of what they have in common, and of each around that."""
NOISE_PRIOR = (math.log(0.02), 1.5)
SIGNAL_PRIOR = (0.0, 1.0)
STEP, LEAST_STEP, MOST_STEP = 0.2, 1e-3, 1.0


@dataclass(frozen=True)
class Hyperparameters:
    """What a Gaussian process assumes.

    Attributes:
        logs: Logarithms of each group's relevance, of the signal's variance and of the noise's, shape (groups + 2,).
    """

    logs: Floats

    @classmethod
    def expected(cls, groups: int) -> "Hyperparameters":
        """The centre of the prior."""
        return cls(np.array([*[-math.log(groups)] * groups, SIGNAL_PRIOR[0], NOISE_PRIOR[0]]))

    @property
    def relevances(self) -> Floats:
        """Of each group."""
        return np.exp(self.logs[:-2])

    @property
    def signal(self) -> float:
        """Variance of the function."""
        return float(np.exp(self.logs[-2]))

    @property
    def noise(self) -> float:
        """Variance of a value around the function."""
        return float(np.exp(self.logs[-1])) + LEAST_NOISE


class GaussianProcess:
    """A zero-mean Gaussian process with a Matern 5/2 kernel and a relevance for each group of columns.

    Args:
        points: Shape (N, columns).
        values: Shape (N,), about standardised.
        groups: Which group each column belongs to, from 0, shape (columns,).
        hyperparameters: What is assumed.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, algorithm 2.1 and section 5.4.1.
    Differs from the source: relevances are shrunk toward each other, so that few values do not overrule the prior.
    """

    def __init__(self, points: Floats, values: Floats, groups: npt.NDArray[np.intp], hyperparameters: Hyperparameters):
        self.points, self.values, self.groups = points, values, groups
        self.hyperparameters = hyperparameters
        self._scale = np.sqrt(hyperparameters.relevances)[groups]
        self._scaled = points * self._scale
        self._distances = _squared_distances(self._scaled, self._scaled)
        kernel = hyperparameters.signal * _matern(self._distances)
        self._kernel = kernel
        self._factor = np.linalg.cholesky(kernel + hyperparameters.noise * np.eye(len(values)))
        self._inverse_factor = np.linalg.solve(self._factor, np.eye(len(values)))
        self._weights = self._inverse_factor.T @ (self._inverse_factor @ values)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation of the function at points, (M, columns); shape (M,) each."""
        kernel = self.hyperparameters.signal * _matern(_squared_distances(points * self._scale, self._scaled))
        explained = kernel @ self._inverse_factor.T
        variance = self.hyperparameters.signal - np.einsum("ij,ij->i", explained, explained)
        return kernel @ self._weights, np.sqrt(np.maximum(variance, 1e-10))

    def log_posterior(self) -> float:
        """Logarithm of the hyperparameters' posterior density, up to a constant."""
        likelihood = -0.5 * self.values @ self._weights - np.log(np.diag(self._factor)).sum()
        return float(likelihood) + _log_prior(self.hyperparameters.logs)

    def gradient(self) -> Floats:
        """Derivatives of `log_posterior` by the hyperparameters' logarithms, shape (groups + 2,)."""
        assumed = self.hyperparameters
        inner = 0.5 * (np.outer(self._weights, self._weights) - self._inverse_factor.T @ self._inverse_factor)
        by_distance = inner * assumed.signal * _matern_slope(self._distances)
        by_column = 2 * (
            by_distance.sum(axis=1) @ self._scaled**2 - (self._scaled * (by_distance @ self._scaled)).sum(0)
        )
        by_group = np.bincount(self.groups, by_column, minlength=len(assumed.logs) - 2)
        by_signal = (inner * self._kernel).sum()
        by_noise = np.trace(inner) * (assumed.noise - LEAST_NOISE)
        return np.array([*by_group, by_signal, by_noise]) + _log_prior_gradient(assumed.logs)

    def fitted(self, steps: int) -> "GaussianProcess":
        """The process under better hyperparameters: the best of `steps` steps of Rprop from its own.

        Source: Riedmiller and Braun, A direct adaptive method for faster backpropagation learning, 1993.
        """
        best = current = self
        score = best.log_posterior()
        step = np.full(len(self.hyperparameters.logs), STEP)
        before = np.zeros_like(step)
        for _ in range(steps):
            gradient = current.gradient()
            agreement = np.sign(gradient * before)
            step = np.clip(
                step * np.where(agreement > 0, 1.2, np.where(agreement < 0, 0.5, 1.0)), LEAST_STEP, MOST_STEP
            )
            before = np.where(agreement < 0, 0.0, gradient)
            logs = current.hyperparameters.logs + step * np.sign(before)
            current = current.under(replace(self.hyperparameters, logs=np.clip(logs, -12.0, 6.0)))
            reached = current.log_posterior()
            if reached > score:
                best, score = current, reached
        return best

    def under(self, hyperparameters: Hyperparameters) -> "GaussianProcess":
        """The process of the same values under other hyperparameters."""
        return GaussianProcess(self.points, self.values, self.groups, hyperparameters)


def _squared_distances(a: Floats, b: Floats) -> Floats:
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.asarray(np.maximum(squared, 0.0))


def _matern(squared: Floats) -> Floats:
    root = np.sqrt(5 * squared)
    return np.asarray((1 + root + root**2 / 3) * np.exp(-root))


def _matern_slope(squared: Floats) -> Floats:
    """Derivative of `_matern` by the squared distance."""
    root = np.sqrt(5 * squared)
    return np.asarray(-5 / 6 * (1 + root) * np.exp(-root))


def _log_prior(logs: Floats) -> float:
    own, shared = _split(logs)
    noise, signal = _standardized(logs)
    return float(-0.5 * ((own**2).sum() + shared**2 + noise**2 + signal**2))


def _log_prior_gradient(logs: Floats) -> Floats:
    own, shared = _split(logs)
    noise, signal = _standardized(logs)
    # the own parts sum to 0, so that shifting all of them is left to the shared part
    by_group = -own / OWN_DEVIATION - shared / (SHARED_DEVIATION * len(own))
    return np.array([*by_group, -signal / SIGNAL_PRIOR[1], -noise / NOISE_PRIOR[1]])


def _split(logs: Floats) -> tuple[Floats, float]:
    """Standardised: each group's relevance around their mean, and the mean around its prior."""
    relevances = logs[:-2]
    mean = relevances.mean()
    return (relevances - mean) / OWN_DEVIATION, float(mean + math.log(len(relevances))) / SHARED_DEVIATION


def _standardized(logs: Floats) -> tuple[float, float]:
    """Noise and signal, standardised."""
    noise = float(logs[-1] - NOISE_PRIOR[0]) / NOISE_PRIOR[1]
    return noise, float(logs[-2] - SIGNAL_PRIOR[0]) / SIGNAL_PRIOR[1]
