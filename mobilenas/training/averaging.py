"""Averaged weights, and batch norm statistics that fit them."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from mobilenas.training.data import Split

STATISTICS_IMAGES = 4096
Tensors = tuple[Tensor, ...] | list[Tensor]


def decay_at(updates: int, decay: float) -> float:
    """Decay of the average after `updates` updates: it grows, so that a short training forgets its first steps.

    Source: `tf.train.ExponentialMovingAverage`, argument `num_updates`, as the MnasNet reference uses it.
    """
    return min(decay, (1 + updates) / (10 + updates))


def averaged_copy(module: nn.Module, decay: float) -> AveragedModel:
    """A copy of `module` for `update_parameters`: an exponential moving average of weights and buffers.

    Args:
        module: What is trained.
        decay: Share of the average that an update keeps, in [0, 1), once many updates were made.
    """

    def update(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        if averaged[0].is_floating_point():
            step = get_ema_multi_avg_fn(decay_at(int(updates), decay))  # type: ignore[no-untyped-call]  # torch annotates its callers, not it
            step(averaged, current, updates)
        else:
            for old, new in zip(averaged, current, strict=True):
                old.copy_(new)

    return AveragedModel(module, multi_avg_fn=update, use_buffers=True)


def gather_statistics(module: nn.Module, split: Split, *, batch_size: int, pause: Callable[[], None]) -> None:
    """Sets batch norm's running mean and variance to those of training images under the weights of now.

    Running averages belong to the weights of past steps, and after few steps hold their own initial values still.

    Args:
        module: Its batch norms are set; dropout takes no part.
        split: Up to 4,096 of its images are taken, in an order that is always the same, without augmentation.
        batch_size: Images a batch.
        pause: Called before every batch.

    Source: "precise" batch norm, Wu and Johnson, arXiv 2105.07576, section 3.
    """
    order = np.random.default_rng(0).permutation(len(split))[:STATISTICS_IMAGES]
    if len(order) > batch_size:
        order = order[: len(order) // batch_size * batch_size]  # a batch of one has no variance
    device = next(module.parameters()).device

    def batches() -> Iterator[Tensor]:
        for images, _ in split.subset(order).batches(batch_size):
            pause()
            yield images.to(device)

    with torch.random.fork_rng():
        update_bn(batches(), module)
