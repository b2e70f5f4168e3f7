"""Splits: stratified, disjoint, and the same for the same seed; images as an exported file takes them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mobilenas.errors import FieldError, InputError
from mobilenas.training import load_data
from mobilenas.training.arrays import ArrayImages, pixel_statistics
from mobilenas.training.data import cut


def test_digits_are_split_by_class(digits):
    assert digits.class_names == tuple("0123456789")
    assert digits.num_classes == 10
    assert (digits.resolution, digits.native_resolution) == (32, (8, 8))
    assert (len(digits.train), len(digits.validation), len(digits.test)) == (1222, 216, 359)
    assert not set(digits.train.indices) & set(digits.validation.indices)
    everyone = np.concatenate([digits.train.labels, digits.validation.labels, digits.test.labels])
    for split, share in ((digits.train, 0.68), (digits.validation, 0.12), (digits.test, 0.2)):
        shares = np.bincount(split.labels) / np.bincount(everyone)
        assert shares == pytest.approx(share, abs=0.005)


def test_no_test_image_is_a_training_image(digits):
    """Both come from one set of 1,797 images, all of which must be used, each once."""
    from sklearn.datasets import load_digits

    everything = {bytes(image) for image in np.round(load_digits().images * (255 / 16)).astype(np.uint8)}
    halves = [{bytes(image[0].numpy()) for image in split.images.pixels} for split in (digits.train, digits.test)]
    assert halves[0] | halves[1] == everything
    assert not halves[0] & halves[1]


def test_the_seed_chooses_validation_images_and_nothing_else(digits):
    same, other = load_data("digits"), load_data("digits", seed=1)
    assert same.fingerprint == digits.fingerprint
    assert np.array_equal(same.validation.indices, digits.validation.indices)
    assert other.fingerprint != digits.fingerprint
    assert not np.array_equal(other.validation.indices, digits.validation.indices)
    assert np.array_equal(other.test.indices, digits.test.indices)


def test_another_share_of_validation_images():
    data = load_data("digits", validation_share=0.5)
    assert abs(len(data.validation) - len(data.train)) <= 10


def test_images_are_normalised_to_mean_0_and_deviation_1(digits):
    native = load_data("digits", resolution=8)
    images, labels = native.train.arrays()
    assert images.shape == (1222, 8, 8, 3)
    assert images.dtype == np.float32
    assert np.array_equal(labels, native.train.labels)
    assert images.mean((0, 1, 2), dtype=np.float64) == pytest.approx(0, abs=1e-5)
    assert images.std((0, 1, 2), dtype=np.float64) == pytest.approx(1, abs=1e-5)
    raw = native.train.images.fetch([int(native.train.indices[0])])[0].permute(1, 2, 0).numpy()
    assert images[0] == pytest.approx((raw / 255 - native.mean[0]) / native.std[0], abs=1e-5)


def test_batches_and_arrays_hold_the_same_images_in_the_same_order(digits):
    images, labels = digits.test.arrays()
    batches = list(digits.test.batches(100))
    assert [len(part) for part, _ in batches] == [100, 100, 100, 59]
    assert torch.equal(torch.cat([part for part, _ in batches]).permute(0, 2, 3, 1), torch.from_numpy(images))
    assert torch.equal(torch.cat([part for _, part in batches]), torch.from_numpy(labels))
    again = list(digits.test.batches(100))
    assert all(torch.equal(one, other) for (one, _), (other, _) in zip(batches, again, strict=True))


def test_grey_becomes_rgb_and_sizes_are_adapted():
    pixels = torch.arange(16, dtype=torch.uint8).reshape(1, 1, 4, 4) * 10
    enlarged = ArrayImages(pixels, np.zeros(1, np.int64), 8).fetch([0])
    assert enlarged.shape == (1, 3, 8, 8)
    assert torch.equal(enlarged[:, 0], enlarged[:, 2])
    assert enlarged[0, 0, 0, 0] == 0
    assert enlarged[0, 0, -1, -1] == 150
    assert torch.equal(ArrayImages(pixels, np.zeros(1, np.int64), 4).fetch([0])[:, :1], pixels)


def test_statistics_by_hand():
    pixels = torch.tensor([0, 255, 51, 51], dtype=torch.uint8).reshape(2, 1, 1, 2)
    mean, std = pixel_statistics(pixels, np.array([0, 1]))
    assert mean == pytest.approx((0.35,) * 3)
    assert std == pytest.approx((np.std([0, 1, 0.2, 0.2]),) * 3)
    assert pixel_statistics(pixels, np.array([1])) == (pytest.approx((0.2,) * 3), (1 / 255,) * 3)


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.floats(0.01, 0.99), st.randoms(use_true_random=False))
def test_a_cut_takes_the_same_share_of_every_class(sizes, share, random):
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    random.shuffle(labels)
    images = ArrayImages(torch.zeros(0), np.array(labels, np.int64), 8)
    rank = np.random.default_rng(0).permutation(len(labels))
    rest, taken = cut("set", [str(i) for i in range(len(sizes))], images, rank, share)
    assert sorted([*rest, *taken]) == list(range(len(labels)))
    for label, size in enumerate(sizes):
        count = int((images.labels[taken] == label).sum())
        assert 1 <= count <= size - 1
        assert abs(count - share * size) <= 1


def test_a_class_of_one_image_is_named():
    images = ArrayImages(torch.zeros(0), np.array([0, 0, 1], np.int64), 8)
    with pytest.raises(InputError, match="set: class 'dog' has 1 images"):
        cut("set", ["cat", "dog"], images, np.arange(3), 0.5)


@pytest.mark.parametrize(("field", "value"), [("resolution", 7), ("resolution", 5000), ("validation_share", 0.0)])
def test_bounds_name_the_argument(field, value):
    with pytest.raises(FieldError, match=field):
        load_data("digits", **{field: value})
