import pytest
from hypothesis import settings

settings.register_profile("default", deadline=None, print_blob=True)
settings.load_profile("default")


@pytest.fixture(scope="session", autouse=True)
def temporary_home(tmp_path_factory):
    """Nothing that a test does reaches the user's own tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOBILENAS_HOME", str(tmp_path_factory.mktemp("home")))
        yield
