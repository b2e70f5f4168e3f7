"""A batch follows from seed and step alone."""

import numpy as np
import torch

from mobilenas.training.augment import augmentation
from mobilenas.training.batches import TrainingBatches


def batches_of(digits, **changes):
    settings = {"batch_size": 100, "seed": 5} | changes
    return TrainingBatches(digits.train, augmentation("light", 32, flips=False), **settings)


def labels_of(batches, steps):
    return torch.cat([batches[step][1] for step in steps])


def test_a_step_is_the_same_whichever_was_asked_for_before(digits):
    first, second = batches_of(digits), batches_of(digits)
    for step in (25, 3, 0, 13):
        first[step]
    torch.manual_seed(123)
    images, labels = first[7]
    torch.rand(3)
    again, again_labels = second[7]
    assert torch.equal(images, again)
    assert torch.equal(labels, again_labels)
    assert images.shape == (100, 3, 32, 32)
    assert images.dtype == torch.uint8


def test_an_epoch_takes_every_image_at_most_once(digits):
    batches = batches_of(digits)
    assert batches.steps_per_epoch == 12
    plain = TrainingBatches(digits.train, lambda images: images, batch_size=100, seed=5)
    pixels = torch.cat([plain[step][0] for step in range(12)]).flatten(1)
    everything = digits.train.images.fetch(digits.train.indices.tolist()).flatten(1)
    rows = {bytes(row.numpy()) for row in everything}
    taken = [bytes(row.numpy()) for row in pixels]
    assert set(taken) <= rows
    assert len(set(taken)) >= 1200 - (1222 - len(rows))


def test_epochs_and_seeds_have_orders_of_their_own(digits):
    batches = batches_of(digits)
    first, second = labels_of(batches, range(12)), labels_of(batches, range(12, 24))
    other = labels_of(batches_of(digits, seed=6), range(12))
    assert not torch.equal(first, second)
    assert not torch.equal(first, other)


def test_augmentation_differs_between_epochs(digits):
    one = digits.train.subset(np.arange(2))
    batches = TrainingBatches(one, augmentation("light", 32, flips=False), batch_size=2, seed=0)
    seen = {bytes(image.numpy()) for step in range(8) for image in batches[step][0]}
    assert len(seen) > 8


def test_parts_make_up_the_batch(digits):
    whole = batches_of(digits)[4][1]
    parts = [batches_of(digits, part=part, parts=3)[4][1] for part in range(3)]
    assert sorted(torch.cat(parts).tolist()) == sorted(whole.tolist())
    assert [len(part) for part in parts] == [34, 33, 33]


def test_a_batch_larger_than_the_data_is_all_of_it(digits):
    few = digits.train.subset(np.arange(30))
    batches = TrainingBatches(few, lambda images: images, batch_size=64, seed=0)
    assert batches.steps_per_epoch == 1
    assert len(batches[5][1]) == 30


def test_the_stream_leaves_the_random_stream_alone(digits):
    batches = batches_of(digits)
    before = torch.get_rng_state()
    steps = list(batches.stream(10, 14))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(images, batches[step][0]) for step, (images, _) in enumerate(steps, 10))
