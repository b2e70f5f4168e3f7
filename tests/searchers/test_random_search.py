import numpy as np
import pytest

from mobilenas.errors import FieldError
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.spaces import Genotypes
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.testing.searcher_contract import proposals

SPACE = MnasNetSpace(resolution=32, num_classes=10)


def first_two(limit: int) -> FeasibleSet:
    """Genotypes whose choices are the first but for the first two decisions, of which there are `limit`."""

    def excess(genotypes: Genotypes) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
        number = genotypes[:, 0] * 2.0 + genotypes[:, 1]
        return np.asarray(genotypes[:, 2:].sum(axis=1) + np.maximum(number - (limit - 1), 0), float)

    return FeasibleSet(SPACE, lambda genotypes: excess(genotypes) <= 0, excess)


def test_nothing_is_proposed_twice_until_all_were() -> None:
    found = proposals(RandomSearch(first_two(6), seed=0), 6)
    assert len(set(found)) == 6


def test_it_goes_on_when_all_were_proposed() -> None:
    found = proposals(RandomSearch(first_two(3), seed=0), 10)
    assert len(set(found[:3])) == 3
    assert set(found[3:]) <= set(found[:3])


def test_the_first_proposal_is_the_seeds_sample() -> None:
    feasible = FeasibleSet.all(SPACE)
    assert RandomSearch(feasible, seed=7).ask() == feasible.sample(np.random.default_rng([7, 0]))


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="seed: -1 is not accepted"):
        RandomSearch(FeasibleSet.all(SPACE), seed=-1)
    with pytest.raises(FieldError, match="budget: 0 is not accepted"):
        RandomSearch(FeasibleSet.all(SPACE), seed=0, budget=0)


def test_a_batch_proposes_nothing_twice_while_there_is_something_new() -> None:
    searcher = RandomSearch(FeasibleSet.all(SPACE), seed=0)
    found = searcher.ask_batch(500) + searcher.ask_batch(500)
    assert len(set(found)) == 1000
    assert len(set(RandomSearch(first_two(6), seed=0).ask_batch(6))) == 6
