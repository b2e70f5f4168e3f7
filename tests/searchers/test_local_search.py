import pytest

from mobilenas.errors import FieldError
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.local_search import LocalSearch
from mobilenas.spaces import Genotype
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace
from mobilenas.testing.trials import make_trial

FEASIBLE = FeasibleSet.all(NasBenchMacroSpace())


def distance(a: Genotype, b: Genotype) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def test_it_climbs_to_the_summit_and_starts_anew() -> None:
    """The reward is the mean choice: the only summit has all choices 2."""
    searcher = LocalSearch(FEASIBLE, seed=0, initial=3)
    current, height, proposals = None, -1.0, []
    for index in range(80):
        genotype = searcher.ask()
        proposals.append(genotype)
        if index >= 3 and height < 2:
            assert current is not None
            assert distance(genotype, current) == 1
        reward = sum(genotype) / 8
        if reward > height:
            current, height = genotype, reward
        searcher.tell(make_trial(index, genotype=genotype, accuracy=0.5, reward=reward))
    assert (2,) * 8 in proposals
    assert len(set(proposals)) == 80
    assert any(distance(genotype, (2,) * 8) > 1 for genotype in proposals[proposals.index((2,) * 8) + 1 :])


def test_failed_networks_are_left_alone() -> None:
    searcher = LocalSearch(FEASIBLE, seed=0, initial=2)
    first, second = searcher.ask(), searcher.ask()
    searcher.tell(make_trial(0, genotype=first, accuracy=None))
    searcher.tell(make_trial(1, genotype=second, accuracy=0.1))
    assert distance(searcher.ask(), second) == 1


@pytest.mark.parametrize(("budget", "initial"), [(None, 10), (200, 10), (24, 4), (3, 1)])
def test_a_small_budget_has_few_first_networks(budget: int | None, initial: int) -> None:
    assert LocalSearch(FEASIBLE, seed=0, budget=budget).initial == initial


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="initial: 0 is not accepted"):
        LocalSearch(FEASIBLE, seed=0, initial=0)
