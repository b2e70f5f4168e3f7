"""What the tests of every text reader have in common: damage that is refused with the file's name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mobilenas.errors import InputError


def assert_damage_is_named(read: Callable[[Path], object], path: Path, old: str, new: str, message: str) -> None:
    """A good file with one `old` replaced by `new` is refused: the text has the path, and matches `message`."""
    good = path.read_text()
    assert old in good
    path.write_text(good.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)
