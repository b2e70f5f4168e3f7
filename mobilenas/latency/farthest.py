"""farthest_points: a few points that stand for many."""

import numpy as np
import numpy.typing as npt


def farthest_points(points: npt.NDArray[np.float64], count: int) -> list[int]:
    """Indices of points that are far from each other: the farthest from all chosen ones is chosen next.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance", 1985.
    """
    chosen = [int(np.argmin((points**2).sum(1)))]
    distance = ((points - points[chosen[0]]) ** 2).sum(1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, ((points - points[chosen[-1]]) ** 2).sum(1))
    return chosen
