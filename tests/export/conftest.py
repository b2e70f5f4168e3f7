import pytest

from mobilenas.runners import LiteRTProcess


@pytest.fixture(scope="module")
def process():
    with LiteRTProcess() as running:
        yield running
