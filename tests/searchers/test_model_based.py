from itertools import pairwise

import numpy as np
import pytest

from mobilenas.errors import FieldError
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers.model_based import ModelBased, _exchanges
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.searchers.searcher import Searcher
from mobilenas.spaces import SPACES, CompiledCosts, Genotype, Genotypes
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace
from mobilenas.testing.trials import make_trial

Floats = "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"
MACRO = NasBenchMacroSpace()


class Landscape:
    """Accuracies from every decision on its own and from pairs of neighbours, by a seed."""

    def __init__(self, sizes: "tuple[int, ...]", seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._own = [rng.normal(size=size) for size in sizes]
        self._pairs = [0.5 * rng.normal(size=(a, b)) for a, b in pairwise(sizes)]

    def __call__(self, genotype: Genotype) -> float:
        total = sum(own[choice] for own, choice in zip(self._own, genotype, strict=True))
        total += sum(pair[a, b] for pair, a, b in zip(self._pairs, genotype, genotype[1:], strict=False))
        return float(1 / (1 + np.exp(-0.1 * total)))


def best_of(searcher: Searcher, landscape: Landscape, evaluations: int) -> float:
    found = []
    for index in range(evaluations):
        genotype = searcher.ask()
        found.append(landscape(genotype))
        searcher.tell(make_trial(index, genotype=genotype, accuracy=found[-1]))
    return max(found)


@pytest.mark.parametrize("space", [MACRO, MnasNetSpace(resolution=32, num_classes=10)])
def test_sixty_evaluations_beat_a_thousand_random_ones(space: "NasBenchMacroSpace | MnasNetSpace") -> None:
    for seed in range(2):
        landscape = Landscape(space.sizes, seed)
        feasible = FeasibleSet.all(space)
        modelled = best_of(ModelBased(feasible, seed=seed), landscape, 60)
        assert modelled >= best_of(RandomSearch(feasible, seed=seed), landscape, 1000)


def test_known_latency_is_weighed_without_being_learnt() -> None:
    """All accuracies are equal, so only the known factor of the reward tells networks apart; its best is found."""

    def cost(genotypes: Genotypes) -> Floats:
        return np.asarray(1 + genotypes.sum(axis=1), float)

    feasible = FeasibleSet(
        MACRO,
        lambda genotypes: genotypes[:, 0] == 1,
        cost,
        reward=lambda genotypes, accuracies: accuracies * cost(genotypes) ** -0.07,
    )
    searcher = ModelBased(feasible, seed=0)
    found = []
    for index in range(16):
        found.append(searcher.ask())
        searcher.tell(make_trial(index, genotype=found[-1], accuracy=0.8))
    assert (1, 0, 0, 0, 0, 0, 0, 0) in found[10:]
    assert all(genotype[0] == 1 for genotype in found)


def test_nothing_is_proposed_twice_until_all_were() -> None:
    feasible = FeasibleSet(
        MACRO, lambda genotypes: genotypes[:, 4:].sum(axis=1) == 0, lambda genotypes: genotypes[:, 4:].sum(axis=1) * 1.0
    )
    searcher = ModelBased(feasible, seed=0)
    found = []
    for index in range(84):
        found.append(searcher.ask())
        searcher.tell(make_trial(index, genotype=found[-1], accuracy=sum(found[-1]) / 16))
    assert len(set(found[:70])) == 70
    assert len(set(found)) <= 81


def test_proposals_that_are_pending_are_not_proposed_again() -> None:
    searcher = ModelBased(FeasibleSet.all(MACRO), seed=0)
    for index in range(12):
        genotype = searcher.ask()
        searcher.tell(make_trial(index, genotype=genotype, accuracy=sum(genotype) / 16))
    assert len({searcher.ask() for _ in range(8)}) == 8


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(FieldError, match="initial: 0 is not accepted"):
        ModelBased(FeasibleSet.all(MACRO), seed=0, initial=0)


@pytest.mark.parametrize(("with_costs", "better"), [(True, 0), (False, 1)])
def test_costs_are_modelled_where_they_tell_something(with_costs: bool, better: int) -> None:
    """An accuracy that rises with the multiply-adds, and one of decisions drawn at random."""
    macs, landscape = CompiledCosts(MACRO).macs, Landscape(MACRO.sizes, 3)
    searcher = ModelBased(FeasibleSet.all(MACRO), seed=0)
    for index in range(40):
        genotype = searcher.ask()
        cost = float(np.log(macs(np.array([genotype], np.uint8))[0]))
        accuracy = 0.03 * cost if with_costs else landscape(genotype)
        searcher.tell(make_trial(index, genotype=genotype, accuracy=accuracy))
    assert searcher.state_dict()["better"] == better


def test_exchanges_change_two_decisions_at_most() -> None:
    space = SPACES["mnasnet_proxy"]()
    start = space.sample_batch(1, np.random.default_rng(0))
    found = _exchanges(start, space.sizes, np.random.default_rng(1))
    changed = (found != start).sum(axis=1)
    assert changed.max() == 2
    assert (changed == 2).mean() > 0.8
    assert (found < np.array(space.sizes)).all()
    assert not len(_exchanges(np.zeros((1, 3), np.uint8), (1, 1, 1), np.random.default_rng(1)))
