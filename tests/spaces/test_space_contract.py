"""Every space in the registry keeps the contract."""

from collections.abc import Callable

import pytest
from plans import every_field

from mobilenas.spaces import SPACES, SearchSpace, StagedSpace, open_space
from mobilenas.testing.space_contract import SpaceContract


class TestRegisteredSpaces(SpaceContract):
    @pytest.fixture(params=sorted(SPACES))
    def factory(self, request: pytest.FixtureRequest) -> Callable[[], SearchSpace]:
        name: str = request.param
        return lambda: open_space(name, resolution=64, num_classes=10)

    def test_it_is_called_as_its_file(self, space: SearchSpace) -> None:
        assert space.name in SPACES
        assert type(space) is SPACES[space.name]


class TestSpacesWithTheirOwnResolutions(SpaceContract):
    @pytest.fixture(params=sorted(SPACES))
    def factory(self, request: pytest.FixtureRequest) -> Callable[[], SearchSpace]:
        name: str = request.param
        return lambda: open_space(name)


class TestSpaceOfAFile(SpaceContract):
    @pytest.fixture
    def factory(self) -> Callable[[], SearchSpace]:
        return lambda: StagedSpace(every_field(), num_classes=10)
