"""Contract suites: what every block, space and searcher must do. Needs pytest.

Subclass a suite in a test file and override its `factory` fixture:

    from mobilenas.testing.space_contract import SpaceContract

    class TestMySpace(SpaceContract):
        @pytest.fixture
        def factory(self):
            return lambda: MySpace(resolution=64, num_classes=10)
"""

import pytest

for suite in ("block_contract", "searcher_contract", "space_contract"):
    pytest.register_assert_rewrite(f"mobilenas.testing.{suite}")
