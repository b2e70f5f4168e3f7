"""Every searcher in the registry keeps the contract."""

import pytest

from mobilenas.searchers import SEARCHERS
from mobilenas.testing.searcher_contract import SearcherContract, SearcherFactory


class TestRegisteredSearchers(SearcherContract):
    @pytest.fixture(params=sorted(SEARCHERS))
    def factory(self, request: pytest.FixtureRequest) -> SearcherFactory:
        return SEARCHERS[request.param]


def test_the_registered_are_these() -> None:
    assert {"random_search", "regularized_evolution"} <= set(SEARCHERS)
