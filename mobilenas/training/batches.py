"""TrainingBatches: what every step of a training sees."""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mobilenas.errors import InputError
from mobilenas.training.data import Integers, Split

Batch = tuple[Tensor, Tensor]


def stream_seed(seed: int, purpose: str, number: int) -> int:
    """The seed of one random stream of a training, in [0, 2**63)."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{purpose}/{number}".encode()).digest()[:8], "little") >> 1


class TrainingBatches(Dataset[Batch | InputError]):
    """Shuffled and augmented batches, by the number of the step.

    A batch follows from seed and step alone: it is the same in whichever process, and after whichever other, it is
    made. Images that do not fill the last batch of an epoch sit that epoch out.

    Args:
        split: The images.
        augment: Changes each of (N, 3, H, W) uint8 images; may draw from torch's global stream.
        batch_size: Images a step, over all processes of the training together.
        seed: Order and augmentation derive from it.
        part, parts: Which share of every batch is wanted, and into how many it is cut.
    """

    def __init__(
        self,
        split: Split,
        augment: Callable[[Tensor], Tensor],
        *,
        batch_size: int,
        seed: int,
        part: int = 0,
        parts: int = 1,
    ) -> None:
        self._split, self._augment, self._batch_size, self._seed = split, augment, batch_size, seed
        self._part, self._parts = part, parts
        self._known_order: tuple[int, Integers] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; one, of all images, where they are fewer than `batch_size`."""
        return max(1, len(self._split) // self._batch_size)

    def __getitem__(self, step: int) -> Batch | InputError:
        """Images (N, 3, H, W), uint8, and labels (N,) of step `step`, counted from 0 over all epochs.

        An image that cannot be read is returned as the error: raised in a worker process, its text would become a
        traceback.
        """
        epoch, place = divmod(step, self.steps_per_epoch)
        whole = self._order(epoch)[place * self._batch_size : (place + 1) * self._batch_size]
        chosen = self._split.indices[whole[self._part :: self._parts]]
        try:
            pixels = self._split.images.fetch(chosen.tolist())
        except InputError as error:
            return error
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(stream_seed(self._seed, "augmentation", step))
            return self._augment(pixels), torch.from_numpy(self._split.images.labels[chosen])

    def stream(self, first: int, last: int) -> Iterator[Batch]:
        """The batches of steps `first` to before `last`; those of files are read ahead in processes of their own.

        Raises:
            InputError: If an image cannot be read.
        """
        loader = DataLoader(
            self,
            batch_size=None,
            sampler=range(first, last),
            num_workers=self._split.images.workers,
            generator=torch.Generator(),  # otherwise it draws from the global stream
        )
        for batch in loader:
            if isinstance(batch, InputError):
                raise batch
            yield batch

    def _order(self, epoch: int) -> Integers:
        if self._known_order is None or self._known_order[0] != epoch:
            rng = np.random.default_rng(stream_seed(self._seed, "order", epoch))
            self._known_order = (epoch, rng.permutation(len(self._split)))
        return self._known_order[1]
