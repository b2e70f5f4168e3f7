"""What every searcher must do."""

import json
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pytest

from mobilenas.errors import InputError, TargetError
from mobilenas.history import Trial
from mobilenas.objectives import FeasibleSet
from mobilenas.searchers import Searcher
from mobilenas.spaces import Genotype, Genotypes
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.testing.trials import make_trial

TRIALS = 30
BUDGET = 24
SPACE = MnasNetSpace(resolution=32, num_classes=10)
Floats = npt.NDArray[np.float64]


class SearcherFactory(Protocol):
    """A searcher's class, or a function of the same arguments."""

    def __call__(self, feasible: FeasibleSet, *, seed: int, budget: int | None = None) -> Searcher: ...


class SearcherContract:
    """A suite for one searcher; override `factory`."""

    @pytest.fixture
    def factory(self) -> SearcherFactory:
        """The searcher's class."""
        pytest.fail("override the fixture 'factory' so that it returns the searcher's class")

    def test_proposals_are_feasible(self, factory: SearcherFactory) -> None:
        feasible = below(0.4)
        searcher = factory(feasible, seed=0, budget=BUDGET)
        assert all(feasible.contains(genotype) for genotype in proposals(searcher, TRIALS))

    def test_proposals_are_feasible_where_that_is_rare(self, factory: SearcherFactory) -> None:
        feasible = below(0.05)
        searcher = factory(feasible, seed=0, budget=BUDGET)
        found = proposals(searcher, TRIALS)
        assert all(feasible.contains(genotype) for genotype in found)
        assert len(set(found)) > TRIALS / 4

    def test_the_only_feasible_network_is_proposed(self, factory: SearcherFactory) -> None:
        searcher = factory(below(0.0), seed=0, budget=BUDGET)
        assert set(proposals(searcher, 8)) == {tuple(0 for _ in SPACE.sizes)}

    def test_nothing_feasible_is_an_error(self, factory: SearcherFactory) -> None:
        with pytest.raises(TargetError, match="nearest needs 0 units"):
            factory(below(-1.0), seed=0, budget=BUDGET).ask()

    def test_the_seed_decides(self, factory: SearcherFactory) -> None:
        one, same, other = (proposals(factory(below(0.4), seed=seed), TRIALS) for seed in (3, 3, 4))
        assert first_difference(one, same) is None
        assert first_difference(one, other) is not None

    @pytest.mark.parametrize("done", [0, 1, 7, 26])
    def test_it_goes_on_from_its_state(self, factory: SearcherFactory, done: int) -> None:
        undisturbed = proposals(factory(below(0.4), seed=0, budget=BUDGET), TRIALS)
        first = factory(below(0.4), seed=0, budget=BUDGET)
        before = proposals(first, done)
        second = factory(below(0.4), seed=0, budget=BUDGET)
        second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
        resumed = before + proposals(second, TRIALS - done, start=done)
        assert first_difference(resumed, undisturbed) is None

    def test_it_goes_on_from_its_trials(self, factory: SearcherFactory) -> None:
        first = factory(below(0.4), seed=0, budget=BUDGET)
        found = proposals(first, TRIALS)
        history = [trial_of(index, genotype, failed=fails(index)) for index, genotype in enumerate(found)]
        second = factory(below(0.4), seed=0, budget=BUDGET)
        for trial in history:
            assert second.ask() == trial.genotype
            second.tell(trial)
        assert first_difference(proposals(second, 5, start=TRIALS), proposals(first, 5, start=TRIALS)) is None

    def test_several_are_asked_for_before_one_is_told(self, factory: SearcherFactory) -> None:
        searcher = factory(below(0.4), seed=0, budget=BUDGET)
        for start in range(0, TRIALS, 6):
            asked = [searcher.ask() for _ in range(6)]
            for index, genotype in reversed(list(enumerate(asked, start))):
                assert below(0.4).contains(genotype)
                searcher.tell(trial_of(index, genotype))

    def test_workers_end_in_any_order(self, factory: SearcherFactory) -> None:
        """Four are under way; which ends next is chance, some fail, and another goes on from the state in between."""
        feasible, chance = below(0.4), np.random.default_rng(0)
        first = factory(feasible, seed=0, budget=BUDGET)
        under_way = [first.ask() for _ in range(4)]
        for index in range(TRIALS):
            if index == TRIALS // 2:
                second = factory(feasible, seed=0, budget=BUDGET)
                second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
            ended = under_way.pop(int(chance.integers(len(under_way))))
            trial = trial_of(index, ended, failed=fails(index))
            first.tell(trial)
            under_way.append(first.ask())
            assert feasible.contains(under_way[-1])
            if index >= TRIALS // 2:
                second.tell(trial)
                assert second.ask() == under_way[-1]

    def test_batches_are_feasible_and_go_on_from_a_state(self, factory: SearcherFactory) -> None:
        feasible = below(0.4)
        first, same = (factory(feasible, seed=0, budget=BUDGET) for _ in range(2))
        batch = first.ask_batch(6)
        assert first.batch >= 1
        assert len(batch) == 6
        assert all(feasible.contains(genotype) for genotype in batch)
        assert first_difference(same.ask_batch(6), batch) is None
        for index, genotype in enumerate(batch):
            first.tell(trial_of(index, genotype))
        second = factory(feasible, seed=0, budget=BUDGET)
        second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
        assert first_difference(second.ask_batch(3), first.ask_batch(3)) is None
        assert second.ask() == first.ask()

    def test_failed_trials_do_not_stop_it(self, factory: SearcherFactory) -> None:
        searcher = factory(below(0.4), seed=0, budget=BUDGET)
        found = proposals(searcher, TRIALS, failed=lambda index: True)
        assert len(set(found)) > TRIALS / 2
        json.dumps(searcher.state_dict(), allow_nan=False)

    def test_a_foreign_state_is_refused(self, factory: SearcherFactory) -> None:
        with pytest.raises(InputError, match="state"):
            factory(below(0.4), seed=0).load_state_dict({"something": 1})


def below(limit: float) -> FeasibleSet:
    """Genotypes up to a toy cost: the mean of all relative choices; the first choices cost 0, the last 1."""
    return FeasibleSet(SPACE, lambda genotypes: toy_cost(genotypes) <= limit, toy_cost, unit="units")


def toy_cost(genotypes: Genotypes) -> Floats:
    """The toy cost of genotypes, shape (N,)."""
    return np.asarray((genotypes / (np.array(SPACE.sizes) - 1)).mean(axis=1), float)


def trial_of(index: int, genotype: Genotype, *, failed: bool = False) -> Trial:
    """A trial whose accuracy follows from its genotype alone."""
    accuracy = (sum((i + 1) * choice for i, choice in enumerate(genotype)) % 97) / 97
    return make_trial(index, genotype=genotype, accuracy=None if failed else accuracy)


def fails(index: int) -> bool:
    """Whether the evaluation of trial `index` breaks down."""
    return index % 7 == 3


def proposals(
    searcher: Searcher, count: int, *, start: int = 0, failed: Callable[[int], bool] = fails
) -> list[Genotype]:
    """Asks and tells, and gives what was proposed; some trials fail."""
    found = []
    for index in range(start, start + count):
        found.append(searcher.ask())
        searcher.tell(trial_of(index, found[-1], failed=failed(index)))
    return found


def first_difference(found: Sequence[Genotype], wanted: Sequence[Genotype]) -> int | None:
    """Which proposal differs; where CI has pytest compare such lists number by number, it takes minutes."""
    pairs = zip_longest(found, wanted)
    return next((index for index, (one, other) in enumerate(pairs) if one != other), None)
