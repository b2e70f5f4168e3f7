"""Each image changes in its own way, and only as its kind says."""

import pytest
import torch

from mobilenas.training.augment import augmentation


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (64, 3, 32, 32), dtype=torch.uint8, generator=generator)


def shifts(before, after):
    """How far a crop moved each image, and whether it was mirrored; None where it is neither."""
    padded = torch.nn.functional.pad(before, (4, 4, 4, 4))
    found = []
    for one, changed in zip(padded, after, strict=True):
        fits = [
            (top, left, flipped)
            for top in range(9)
            for left in range(9)
            for flipped in (False, True)
            if torch.equal(
                one[:, top : top + 32, left : left + 32].flip(2)
                if flipped
                else one[:, top : top + 32, left : left + 32],
                changed,
            )
        ]
        found.append(fits[0] if fits else None)
    return found


def test_none_changes_nothing(images):
    assert torch.equal(augmentation("none", 32, flips=True)(images), images)


@pytest.mark.parametrize("flips", [False, True])
def test_light_shifts_by_up_to_an_eighth_and_mirrors_only_where_allowed(images, flips):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found = shifts(images, augmentation("light", 32, flips=flips)(images))
    assert None not in found
    assert len({(top, left) for top, left, _ in found}) > 20
    assert any(flipped for _, _, flipped in found) is flips


def test_standard_changes_more_than_light(images):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        changed = augmentation("standard", 32, flips=False)(images)
    assert changed.shape == images.shape
    assert changed.dtype == torch.uint8
    assert shifts(images, changed).count(None) > 32
