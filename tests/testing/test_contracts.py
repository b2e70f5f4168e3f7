"""The suites find what is wrong: a contract that nothing can break is none."""

import pytest

pytest_plugins = ("pytester",)

BROKEN_SEARCHER = """
import numpy as np
import pytest
from mobilenas.searchers.random_search import RandomSearch
from mobilenas.testing.searcher_contract import SearcherContract

class Forgetful(RandomSearch):
    def _propose(self, rng):
        return self._feasible.sample(np.random.default_rng())

class TestForgetful(SearcherContract):
    @pytest.fixture
    def factory(self):
        return Forgetful
"""
BROKEN_SPACE = """
import pytest
from mobilenas.spaces.mnasnet import MnasNetSpace
from mobilenas.testing.space_contract import SpaceContract

class Headless(MnasNetSpace):
    def factors(self):
        return super().factors()[:-1]

class TestHeadless(SpaceContract):
    @pytest.fixture
    def factory(self):
        return lambda: Headless(resolution=32, num_classes=10)
"""
BROKEN_BLOCK = """
from dataclasses import dataclass
import pytest
from mobilenas.blocks import BLOCKS, Block
from mobilenas.testing.block_contract import BlockContract

@dataclass(frozen=True, kw_only=True)
class Wasteful(Block):
    out_channels: int = 8
    def emit(self, graph, *xs):
        graph.mean(xs[0], name="unused")
        return graph.conv2d(xs[0], self.out_channels, name="conv")

Wasteful.type = "wasteful"
BLOCKS.add("wasteful", Wasteful)

class TestWasteful(BlockContract):
    @pytest.fixture
    def factory(self):
        return Wasteful
"""
NO_FACTORY = """
from mobilenas.testing.space_contract import SpaceContract

class TestNothing(SpaceContract):
    pass
"""


@pytest.mark.parametrize(
    ("source", "broken"),
    [
        (
            BROKEN_SEARCHER,
            {
                "test_the_seed_decides",
                "test_it_goes_on_from_its_state",
                "test_it_goes_on_from_its_trials",
                "test_batches_are_feasible_and_go_on_from_a_state",
                "test_workers_end_in_any_order",
            },
        ),
        (
            BROKEN_SPACE,
            {
                "test_factors_add_up_to_the_graph",
                "test_compiled_costs_are_those_of_the_graphs",
                "test_distinct_ops_hold_those_of_every_network",
            },
        ),
        (BROKEN_BLOCK, {"test_every_value_is_read"}),
    ],
    ids=["searcher", "space", "block"],
)
def test_a_broken_one_fails(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, source: str, broken: set[str]
) -> None:
    monkeypatch.delenv("CI", raising=False)  # there pytest compares what differs at length
    pytester.makepyfile(source)
    result = pytester.inline_run("-q")
    failed = {report.nodeid.rpartition("::")[2].partition("[")[0] for report in result.getfailures()}
    assert failed == broken


def test_a_suite_without_factory_says_what_to_do(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(NO_FACTORY)
    result = pytester.runpytest_subprocess("-q")
    result.stdout.fnmatch_lines(["*Failed: override the fixture 'factory'*"])
    assert result.ret == pytest.ExitCode.TESTS_FAILED
