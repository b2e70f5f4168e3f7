"""Averaged weights by hand; batch norm statistics of the weights of now."""

import numpy as np
import pytest
import torch
from torch import nn

from mobilenas.training.averaging import averaged_copy, decay_at, gather_statistics


def test_decay_grows_to_its_bound():
    assert decay_at(1, 0.99) == pytest.approx(2 / 11)
    assert decay_at(8, 0.99) == pytest.approx(0.5)
    assert decay_at(10**6, 0.99) == 0.99
    assert decay_at(5, 0.0) == 0.0


def test_average_of_three_updates_by_hand():
    module = nn.BatchNorm1d(1)
    averaged = averaged_copy(module, 0.25)
    for step, value in enumerate((8.0, 5.0, 1.0), 1):
        with torch.no_grad():
            module.weight.fill_(value)
            module.running_var.fill_(10 * value)
            module.num_batches_tracked.fill_(step)
        averaged.update_parameters(module)
    # the first update copies; then 2/11 of the average stays, then 1/4, which is less than 3/12
    second = 2 / 11 * 8 + 9 / 11 * 5
    third = 0.25 * second + 0.75 * 1
    assert averaged.module.weight.item() == pytest.approx(third, rel=1e-6)
    assert averaged.module.running_var.item() == pytest.approx(10 * third, rel=1e-6)
    assert averaged.module.num_batches_tracked.item() == 3
    assert module.weight.item() == 1.0


def test_statistics_are_those_of_the_training_images(digits):
    """1,222 images are 13 batches of 94: the mean over all, and the mean of the batches' variances."""
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    gather_statistics(module, digits.train, batch_size=94, pause=lambda: None)
    images = digits.train.arrays()[0].astype(np.float64)
    batches = images[np.random.default_rng(0).permutation(1222)].reshape(13, -1, 3)
    assert module[0].running_mean.numpy() == pytest.approx(images.mean((0, 1, 2)), abs=1e-4)
    assert module[0].running_var.numpy() == pytest.approx(batches.var(1, ddof=1).mean(0), rel=1e-4)


def test_no_batch_of_one_image_is_left_over(digits):
    """Batch norm at 1 x 1 pixel cannot take one, and its variance would be of no use."""
    seen = []
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    module.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    gather_statistics(module, digits.train.subset(np.arange(65)), batch_size=64, pause=lambda: None)
    assert seen == [64]


def test_images_are_drawn_from_the_whole_split(digits, monkeypatch):
    """A folder's images come class by class, and only some of a large one are read."""
    monkeypatch.setattr("mobilenas.training.averaging.STATISTICS_IMAGES", 200)
    brightness = digits.train.arrays()[0].mean((1, 2, 3))
    sorted_images = digits.train.subset(np.argsort(brightness))
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
    gather_statistics(module, sorted_images, batch_size=50, pause=lambda: None)
    assert float(module[0].running_mean[0]) == pytest.approx(brightness.mean(), abs=0.03)
    assert np.sort(brightness)[:200].mean() < brightness.mean() - 0.1


def test_statistics_leave_the_random_stream_alone(digits):
    module = nn.Sequential(nn.BatchNorm2d(3), nn.Dropout(), nn.Conv2d(3, 1, 1))
    before = torch.get_rng_state()
    gather_statistics(module, digits.train, batch_size=64, pause=lambda: None)
    assert torch.equal(torch.get_rng_state(), before)
