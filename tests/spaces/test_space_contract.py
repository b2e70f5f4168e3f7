"""Every space in the registry keeps the contract."""

from collections.abc import Callable

import pytest

from mobilenas.spaces import SPACES, SearchSpace, open_space
from mobilenas.testing.space_contract import SpaceContract


class TestRegisteredSpaces(SpaceContract):
    @pytest.fixture(params=sorted(SPACES))
    def factory(self, request: pytest.FixtureRequest) -> Callable[[], SearchSpace]:
        name: str = request.param
        return lambda: open_space(name, resolution=64, num_classes=10)

    def test_it_is_called_as_its_file(self, space: SearchSpace) -> None:
        assert space.name in SPACES
        assert type(space) is SPACES[space.name]
