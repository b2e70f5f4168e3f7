import math

import numpy as np
import pytest

from mobilenas.objectives import FeasibleSet
from mobilenas.searchers._embedding import Embedding
from mobilenas.searchers._gaussian_process import GaussianProcess, Hyperparameters
from mobilenas.searchers._improvement import ExpectedImprovement, log_improvement
from mobilenas.searchers._warp import Warp
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace


@pytest.mark.parametrize("z", [-30.0, -8.0, -5.001, -4.999, -1.0, 0.0, 2.0, 10.0])
def test_improvement_is_the_integral(z: float) -> None:
    # E[max(0, z + N)] = integral of (z + x) pdf(x) from -z on, substituted by x = t - z and scaled by pdf(z)
    t = np.linspace(0, max(40.0, 2 * z + 40), 2_000_001)
    values = t * np.exp(z * t - 0.5 * t**2)
    integral = float(((values[1:] + values[:-1]) / 2).sum() * (t[1] - t[0]))
    expected = math.log(integral) - 0.5 * z**2 - 0.5 * math.log(2 * math.pi)
    assert log_improvement(np.array([z]))[0] == pytest.approx(expected, abs=0.01)


def test_warp_keeps_the_better_half_and_draws_the_worse_one_in() -> None:
    accuracies = np.array([0.1, 0.88, 0.90, 0.91, 0.93])
    warp = Warp(accuracies)
    values = warp(accuracies)
    assert np.all(np.diff(values) > 0)
    # median 0.90; the better half is 0, 0.01, 0.03 above it: root mean square 0.018257
    spread = math.sqrt((0.01**2 + 0.03**2) / 3)
    assert values[2:] == pytest.approx([0, 0.01 / spread, 0.03 / spread])
    # the worst is the 10 % quantile of five: -1.2816, not 0.8 / 0.018 below; the next one -0.5244
    assert values[0] == pytest.approx(-1.2816, abs=1e-3)
    assert values[1] == pytest.approx(-0.5244, abs=1e-3)
    assert warp(np.array([0.95]))[0] == pytest.approx(0.05 / spread)


def test_warp_of_equal_accuracies() -> None:
    assert Warp(np.full(4, 0.5))(np.array([0.5])).tolist() == [0.0]


def test_near_networks_are_near() -> None:
    embedding = Embedding(NasBenchMacroSpace())
    points = embedding(np.array([(1,) * 8, (1,) * 7 + (2,), (2,) * 8], np.uint8))
    near, far = (float(((points[0] - point) ** 2).sum()) for point in points[1:])
    assert near < far
    own = embedding.groups == 7  # the last layer: another choice has distance 1
    assert ((points[0] - points[1])[own] ** 2).sum() == pytest.approx(1.0)


def test_numbers_have_an_order_beside_their_names() -> None:
    space = MnasNetSpace(resolution=32, num_classes=10)
    embedding = Embedding(space)
    groups = dict.fromkeys(embedding.groups.tolist())
    numbers = sum(len(choices) > 2 and not isinstance(choices[0], str) for choices in space.decisions.values())
    assert len(groups) == len(space.decisions) + numbers + 4  # and the costs


def test_known_latency_decides_between_equal_accuracies() -> None:
    space = NasBenchMacroSpace()

    def slow(genotypes):
        return 1.0 + genotypes[:, 0]

    feasible = FeasibleSet(
        space,
        lambda genotypes: np.ones(len(genotypes), bool),
        slow,
        reward=lambda genotypes, accuracies: accuracies * slow(genotypes) ** -0.07,
    )
    embedding = Embedding(space)
    known = np.array([(1,) * 8, (2,) * 8], np.uint8)
    warp = Warp(np.array([0.9, 0.9]))
    model = GaussianProcess(embedding(known), np.zeros(2), embedding.groups, Hyperparameters.expected(12))
    improvement = ExpectedImprovement(feasible, lambda genotypes: np.zeros((len(genotypes), 28)), model, warp, 0.9)
    found = improvement(np.array([(0, 1, 1, 1, 1, 1, 1, 1), (2, 1, 1, 1, 1, 1, 1, 1)], np.uint8))
    assert found[0] > found[1]
