"""GaussianProcess: the logarithm of what ops of one kind take, from ops of this kind and of others."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from mobilenas.latency.farthest import farthest_points
from mobilenas.latency.op_features import LEAST_SPREAD, LOGARITHMS, Floats

MAX_ROWS, MAX_OTHERS, MAX_TUNED = 600, 150, 200
"""Most rows of the kind, of other kinds, and of both to choose the kernel by: the fit is cubic in them."""
ENOUGH_ROWS = 100
"""Of a kind with so many rows, those of others say nothing new."""
LENGTH_SCALES, SIGNALS, NOISES = (1.0, 2.0, 4.0, 8.0), (0.003, 0.01, 0.03, 0.1, 0.3), (0.003, 0.02, 0.1)
"""Of the part that is no line: its length in units of the features, its variance, and of that the share of noise."""
USUAL_SIGNAL = 0.03
"""The variance that is taken for likely, within a factor of e, before any row is seen: a few rows may lie on a line."""
SLOPE = np.array([0.6] * LOGARITHMS + [0.3] * (len(LEAST_SPREAD) - LOGARITHMS))
"""Standard deviation of the line's slopes, in units of the features; the offset's is 3."""
OWN_SLOPE, OFFSET = 0.5, 1.0
"""By how much the slopes and the offset of a kind differ from those of all kinds, the former as a share."""
PRIOR_ROWS = 10
"""So many left-out rows of the stated spread are taken for seen before errors are scaled."""
GROWTH = 0.4
"""By how much an error grows with every doubling beyond the rows of its kind, relative to what it would be."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Measured ops.

    Attributes:
        points: Their features, shape (rows, features).
        kinds: A number for the kind of each.
        target: Logarithm of what each takes.
    """

    points: Floats
    kinds: npt.NDArray[np.int_]
    target: Floats

    def __getitem__(self, index: npt.NDArray[np.int_]) -> "Rows":
        return Rows(self.points[index], self.kinds[index], self.target[index])

    def sorted(self) -> "Rows":
        """In an order of their own, whatever order they came in."""
        return self[np.lexsort((self.target, *self.points.T, self.kinds))]


class GaussianProcess:
    """A line that the kind shares with all others in part, and what neighbours of the kind say beyond it.

    The variance of the line's slopes is part of the answer's: far from all rows, or with few of them, an estimate says
    that it knows little. What line and neighbours together cannot know, that ops beyond the rows may be bound by
    something else, widens the error with every doubling beyond. Errors are scaled so that nine of ten left-out rows lie
    inside a 90 % interval.

    Args:
        rows: Measured ops of all kinds, at least one.
        kind: The number of the kind to estimate; there may be no row of it.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, sections 2.2, 2.7 and 5.4.
    """

    def __init__(self, rows: Rows, kind: int) -> None:
        rows = rows.sorted()
        own = rows.kinds == kind
        middle = rows.points[own] if own.any() else rows.points
        self._kind = kind
        self._center, self._spread = middle.mean(0), np.maximum(middle.std(0), LEAST_SPREAD)
        self._least, self._most = middle[:, :LOGARITHMS].min(0), middle[:, :LOGARITHMS].max(0)
        scaled = self._scaled(rows.points)
        kept = _thinned(scaled, np.flatnonzero(own), MAX_ROWS)
        others = np.flatnonzero(~own) if len(kept) < ENOUGH_ROWS else np.empty(0, int)
        index = np.concatenate([kept, _thinned(scaled, others, MAX_OTHERS)])
        self._known = Rows(scaled, rows.kinds, rows.target)[index]
        self._middle = float(np.median(self._known.target))
        tuned = np.concatenate([np.arange(len(kept))[:MAX_TUNED], np.arange(len(kept), len(index))])
        self._length, self._signal, self._noise = self._kernel_of_most_evidence(self._known[tuned])
        covariance = self._covariance(self._known, self._known) + self._signal * self._noise * np.eye(len(index))
        self._inverse: Floats = np.linalg.inv(covariance).astype(np.float64)
        self._weights = self._inverse @ (self._known.target - self._middle)
        self._scale = self._scale_of_errors(len(kept))

    def estimate(self, features: Floats) -> tuple[float, float, float]:
        """Logarithm of the latency of an op, its standard error, and how many doublings it lies beyond all rows."""
        point = self._rows(features[None])
        cross = self._covariance(point, self._known)[0]
        noise = self._signal * self._noise
        variance = float(self._covariance(point, point)[0, 0] - cross @ self._inverse @ cross) + noise
        sizes = features[:LOGARITHMS]
        beyond = float(np.maximum(np.maximum(self._least - sizes, sizes - self._most), 0.0).max())
        error = self._scale * np.sqrt(max(variance, noise)) * (1 + GROWTH * beyond)
        return self._middle + float(cross @ self._weights), float(error), beyond

    def covariance(self, features: Floats) -> Floats:
        """How errors of estimates go together, shape (N, N), for features of the shape (N, features)."""
        points = self._rows(features)
        cross = self._covariance(points, self._known)
        own = self._covariance(points, points) + self._signal * self._noise * np.eye(len(features))
        left: Floats = self._scale**2 * (own - cross @ self._inverse @ cross.T)
        return left

    def _scaled(self, points: Floats) -> Floats:
        found: Floats = (points - self._center) / self._spread
        return found

    def _rows(self, features: Floats) -> Rows:
        return Rows(self._scaled(features), np.full(len(features), self._kind), np.zeros(len(features)))

    def _covariance(self, rows: Rows, others: Rows) -> Floats:
        line, near, same = _parts(rows, others, self._length)
        found: Floats = line + self._signal * near * same
        return found

    def _kernel_of_most_evidence(self, rows: Rows) -> tuple[float, float, float]:
        target = rows.target - self._middle
        best, chosen = -np.inf, (LENGTH_SCALES[0], SIGNALS[0], NOISES[0])
        for length in LENGTH_SCALES:
            line, near, same = _parts(rows, rows, length)
            for signal, noise in product(SIGNALS, NOISES):
                root = np.linalg.cholesky(line + signal * (near * same + noise * np.eye(len(target))))
                deviations = np.linalg.solve(root, target)
                evidence = -0.5 * float(deviations @ deviations) - float(np.log(np.diag(root)).sum())
                evidence -= 0.5 * float(np.log(signal / USUAL_SIGNAL)) ** 2
                if evidence > best:
                    best, chosen = evidence, (length, signal, noise)
        return chosen

    def _scale_of_errors(self, own: int) -> float:
        """From the left-out rows of the kind; of all, where it has fewer than eight."""
        deviations = np.abs(self._weights) / np.sqrt(np.diag(self._inverse))
        if own >= 8:
            deviations = deviations[:own]
        found = float(np.quantile(deviations, 0.9)) / 1.645
        return float(np.sqrt((len(deviations) * found**2 + PRIOR_ROWS) / (len(deviations) + PRIOR_ROWS)))


def _parts(rows: Rows, others: Rows, length: float) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Covariance of the line, nearness from 0 to 1, and whether the kinds are the same; shape (rows, others)."""
    same = rows.kinds[:, None] == others.kinds
    slopes = (rows.points * SLOPE**2) @ others.points.T
    line: Floats = (3.0**2 + slopes) + same * (OFFSET**2 + OWN_SLOPE**2 * slopes)
    squares = (rows.points**2).sum(1)[:, None] + (others.points**2).sum(1) - 2 * rows.points @ others.points.T
    near: Floats = np.exp(-0.5 * np.maximum(squares, 0) / length**2)
    return line, near, same


def _thinned(points: Floats, index: npt.NDArray[np.int_], count: int) -> npt.NDArray[np.int_]:
    """So many of the indices at most, whose points are far from each other."""
    if len(index) <= count:
        return index
    return index[farthest_points(points[index], count)]
