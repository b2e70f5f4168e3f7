from collections import Counter
from math import comb

import numpy as np
import numpy.typing as npt
import pytest

from mobilenas.errors import InputError, TargetError
from mobilenas.objectives import FeasibleSet
from mobilenas.spaces import Genotype, Genotypes
from mobilenas.spaces.mnasnet import MnasNetSpace

SPACE = MnasNetSpace(resolution=32, num_classes=10)
Floats = npt.NDArray[np.float64]


def below(limit: float) -> FeasibleSet:
    return FeasibleSet(SPACE, lambda genotypes: cost(genotypes) <= limit, cost, unit="ms")


def cost(genotypes: Genotypes) -> Floats:
    """Number of decisions that are not at their first choice."""
    return np.asarray((genotypes > 0).sum(axis=1), float)


def at_most(limit: int) -> int:
    """How many genotypes cost at most `limit`, counted by the polynomial of the number of choices."""
    counts = [1]
    for size in SPACE.sizes:
        counts = [
            (counts[k] if k < len(counts) else 0) + (counts[k - 1] * (size - 1) if k else 0)
            for k in range(len(counts) + 1)
        ]
    return sum(counts[: limit + 1])


def all_pairwise_rugged() -> tuple[FeasibleSet, Genotype]:
    """A cost with local minima: neighbours must change together; the global minimum is hidden."""
    rng = np.random.default_rng(5)
    hidden = SPACE.sample(rng)
    weights = rng.uniform(0.5, 1.5, len(hidden))

    def rugged(genotypes: Genotypes) -> Floats:
        wrong = genotypes != np.array(hidden, np.uint8)
        return np.asarray(wrong @ weights - 0.4 * (wrong[:, 1:] & wrong[:, :-1]).sum(axis=1), float)

    return FeasibleSet(SPACE, lambda genotypes: rugged(genotypes) <= 1e-9, rugged), hidden


@pytest.mark.parametrize("limit", [28, 12, 9])
def test_samples_are_feasible_and_diverse(limit: int) -> None:
    feasible = below(limit)
    rng = np.random.default_rng(0)
    samples = [feasible.sample(rng) for _ in range(40)]
    assert all(cost(np.array([sample], np.uint8))[0] <= limit for sample in samples)
    assert len(set(samples)) == 40
    open_choices = np.array(samples).max(axis=0)
    assert (open_choices > 0).mean() > 0.9


def test_a_share_of_a_millionth_is_sampled() -> None:
    limit = next(k for k in range(43) if at_most(k + 1) / SPACE.size > 1e-6)
    assert 1e-9 < at_most(limit) / SPACE.size <= 1e-6
    feasible = below(limit)
    rng = np.random.default_rng(1)
    samples = [feasible.sample(rng) for _ in range(30)]
    assert all(feasible.contains(sample) for sample in samples)
    assert len(set(samples)) == 30
    differences = [sum(a != b for a, b in zip(samples[i], samples[i - 1], strict=True)) for i in range(30)]
    assert min(differences) > 5


def test_random_draws_are_uniform_over_the_feasible() -> None:
    def small(genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        return genotypes[:, 0] * 2 + genotypes[:, 1] <= 3

    feasible = FeasibleSet(SPACE, small, cost)
    rng = np.random.default_rng(0)
    counts = Counter(feasible.sample(rng)[:2] for _ in range(2000))
    assert counts.keys() == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert all(abs(count - 500) < 100 for count in counts.values())


def test_a_single_feasible_network_is_found_behind_local_minima() -> None:
    feasible, hidden = all_pairwise_rugged()
    assert feasible.nearest() == hidden
    assert feasible.sample(np.random.default_rng(0)) == hidden
    assert feasible.mutate(hidden, np.random.default_rng(0)) == hidden


def test_samples_depend_on_the_generator_alone() -> None:
    feasible = below(5)
    first = feasible.sample(np.random.default_rng(3))
    feasible.sample(np.random.default_rng(4))
    assert feasible.sample(np.random.default_rng(3)) == first


def test_the_constraint_may_be_tightened() -> None:
    limit = 30
    feasible = FeasibleSet(SPACE, lambda genotypes: cost(genotypes) <= limit, cost)
    assert feasible.contains(old := feasible.sample(np.random.default_rng(0)))
    limit = 4
    assert not feasible.contains(old)
    assert feasible.contains(feasible.sample(np.random.default_rng(0)))
    assert feasible.contains(feasible.mutate(old, np.random.default_rng(0)))


def test_mutation_changes_one_decision_where_it_can() -> None:
    feasible = below(20)
    rng = np.random.default_rng(0)
    start = feasible.sample(rng)
    for _ in range(50):
        mutant = feasible.mutate(start, rng)
        assert feasible.contains(mutant)
        assert sum(a != b for a, b in zip(start, mutant, strict=True)) == 1


def test_mutation_grows_where_no_neighbour_is_feasible() -> None:
    def even(genotypes: Genotypes) -> npt.NDArray[np.bool_]:
        return np.asarray(cost(genotypes) % 2 == 0)

    feasible = FeasibleSet(SPACE, even, cost)
    start = tuple(0 for _ in SPACE.sizes)
    rng = np.random.default_rng(0)
    for _ in range(20):
        mutant = feasible.mutate(start, rng)
        assert mutant != start
        assert sum(choice > 0 for choice in mutant) == 2


def test_nearest_is_the_cheapest_network_by_macs() -> None:
    """Against the exact minimum: costs add up along the chain of blocks, so dynamic programming finds it."""
    factors = SPACE.factors()
    tables = [
        np.array(
            [
                sum(spec.macs * count for spec, count in factor.ops(choices).items())
                for choices in np.ndindex(*(SPACE.sizes[d] for d in factor.decisions))
            ],
            float,
        ).reshape([SPACE.sizes[d] for d in factor.decisions])
        for factor in factors
    ]

    def macs(genotypes: Genotypes) -> Floats:
        total = np.zeros(len(genotypes))
        for factor, table in zip(factors, tables, strict=True):
            total += table[tuple(genotypes[:, d] for d in factor.decisions)]
        return total

    by_filters = tables[1].min(axis=(0, 1, 2, 3, 5))  # of block 1, after the stem
    for table in tables[2:-1]:
        by_filters = (by_filters[:, None] + table.min(axis=(1, 2, 3, 4, 6))).min(axis=0)
    exact = float(tables[0] + (by_filters + tables[-1]).min())
    feasible = FeasibleSet(SPACE, lambda genotypes: macs(genotypes) <= exact, macs, unit="MACs")
    nearest = feasible.nearest()
    assert SPACE.decode(nearest).graph().macs == exact
    assert feasible.contains(feasible.sample(np.random.default_rng(0)))
    assert feasible.nearest() == nearest


def test_nothing_feasible_names_the_nearest() -> None:
    with pytest.raises(
        TargetError, match="no network of mnasnet meets the target: the nearest needs 0 ms; give a higher"
    ):
        below(-1).sample(np.random.default_rng(0))
    with pytest.raises(TargetError, match="nearest needs 0 ms"):
        below(-1).mutate(tuple(0 for _ in SPACE.sizes), np.random.default_rng(0))


def test_the_whole_space_has_no_constraint() -> None:
    feasible = FeasibleSet.all(SPACE)
    rng = np.random.default_rng(0)
    samples = [feasible.sample(rng) for _ in range(200)]
    assert set(np.array(samples).max(axis=0) + 1) == set(SPACE.sizes)
    assert all(feasible.contains(sample) for sample in samples)


def test_genotypes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="a genotype of 2"):
        below(3).contains((0, 0))
    with pytest.raises(InputError, match="choice 9"):
        below(3).mutate((9,) * len(SPACE.sizes), np.random.default_rng(0))


def test_the_counting_of_the_test_is_right() -> None:
    assert at_most(0) == 1
    assert at_most(len(SPACE.sizes)) == SPACE.size
    assert at_most(1) == 1 + sum(SPACE.sizes) - comb(len(SPACE.sizes), 1)


def test_masks_are_those_of_one_genotype_each() -> None:
    genotypes = SPACE.sample_batch(50, np.random.default_rng(0))
    feasible = below(float(np.median(cost(genotypes))))
    assert feasible.mask(genotypes).tolist() == [feasible.contains(row) for row in genotypes.tolist()]
    assert 0 < feasible.mask(genotypes).sum() < 50


def test_neighbours_are_all_feasible_ones_a_decision_away() -> None:
    start = (1,) * 3 + (0,) * (len(SPACE.sizes) - 3)
    around = below(3).neighbours(start)
    assert len({tuple(row) for row in around.tolist()}) == len(around)
    assert ((around != np.array(start)).sum(axis=1) == 1).all()
    # three decisions may take any other choice; none of the others may leave its first
    assert len(around) == sum(size - 1 for size in SPACE.sizes[:3])
    assert len(FeasibleSet.all(SPACE).neighbours(start)) == sum(size - 1 for size in SPACE.sizes)


def test_the_reward_is_the_accuracy_unless_it_is_given() -> None:
    genotypes, accuracies = SPACE.sample_batch(3, np.random.default_rng(0)), np.array([0.1, 0.5, 0.9])
    assert FeasibleSet.all(SPACE).reward(genotypes, accuracies).tolist() == [0.1, 0.5, 0.9]
    halved = FeasibleSet(SPACE, lambda rows: np.ones(len(rows), bool), cost, reward=lambda rows, shares: shares / 2)
    assert halved.reward(genotypes, accuracies).tolist() == [0.05, 0.25, 0.45]


def test_what_is_known_is_drawn_again_as_long_as_there_is_something_new() -> None:
    few = FeasibleSet(SPACE, lambda rows: (rows[:, 2:] == 0).all(axis=1), lambda rows: rows[:, 2:].sum(axis=1) * 1.0)
    known: set[Genotype] = set()
    rng = np.random.default_rng(0)
    for _ in range(8):  # of the two free decisions' combinations
        found = few.sample_new(rng, lambda genotype: genotype in known)
        assert found not in known
        known.add(found)
    assert few.sample_new(rng, lambda genotype: True) is not None


def test_where_random_draws_hit_nothing_a_walk_finds_every_network() -> None:
    """Of 10^17 networks 1 + the sum of other choices are at most one decision from the first."""
    feasible, rng, known = below(1), np.random.default_rng(0), set[Genotype]()
    for _ in range(at_most(1)):
        found = feasible.sample_new(rng, known.__contains__)
        assert found not in known
        assert feasible.contains(found)
        known.add(found)
    assert feasible.sample_new(rng, known.__contains__) in known
    around = feasible.unknown_around(np.array([found], np.uint8), known.__contains__, most=1000)
    assert around is not None
    assert around.shape == (0, len(SPACE.sizes))


def test_what_is_not_known_is_found_past_known_networks_or_given_up() -> None:
    start = np.zeros((1, len(SPACE.sizes)), np.uint8)
    near = {tuple(row) for row in below(1).neighbours(start[0].tolist()).tolist()} | {tuple(start[0].tolist())}
    around = below(2).unknown_around(start, near.__contains__, most=1000)
    assert around is not None
    assert len(around) == at_most(2) - at_most(1)
    assert (cost(around) == 2).all()
    assert below(2).unknown_around(start, lambda genotype: True, most=50) is None
    assert below(0).unknown_around(start + 1, lambda genotype: True, most=50) is not None  # the start is not feasible
