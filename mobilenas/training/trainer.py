"""train: a network from scratch, or from given weights, on labelled images."""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mobilenas.training.augment import augmentation
from mobilenas.training.averaging import averaged_copy, gather_statistics
from mobilenas.training.batches import Batch, TrainingBatches, stream_seed
from mobilenas.training.checkpoint import read_checkpoint, write_checkpoint
from mobilenas.training.data import ImageData, Split
from mobilenas.training.recipe import Recipe
from mobilenas.training.reproducible import reproducible

EVALUATION_BATCH = 256
STATISTICS_BATCH = 64
"""Small: torch sums whole batches in float32, which over millions of pixels costs the variance digits."""
Pause = Callable[[], None]


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images.

    Attributes:
        loss: Mean over the steps, label smoothing included.
        validation_accuracy: Of the averaged weights, [0, 1]; None where it was not judged.
    """

    loss: float
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class TrainingResult:
    """How a training went.

    Attributes:
        status: "ok", or "failed" when loss or weights were no longer finite; the module's weights are of no use then.
        validation_accuracy: Of the weights that the module has now, [0, 1]; 0 where it failed.
        history: One entry an epoch.
        seconds: Wall time, pauses included.
    """

    status: Literal["ok", "failed"]
    validation_accuracy: float
    history: tuple[Epoch, ...]
    seconds: float


def train(
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    pause: Pause = lambda: None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
    judge_epochs: bool = True,
) -> TrainingResult:
    """Trains `module` and leaves the averaged weights in it, with batch norm statistics that were gathered with them.

    The outcome is the same, bit for bit, for the same seed, machine and number of threads, whatever ran before, and
    whether or not the training was interrupted and resumed. Where it runs (CPU, CUDA, several GPUs) is accelerate's to
    say; the module stays there.

    Args:
        module: Takes (N, 3, H, W), gives (N, classes).
        data: The images; the test split is not touched.
        recipe: How.
        seed: Order of the images, augmentation and dropout derive from it.
        checkpoint: After every epoch the whole state goes there, and the same training (network, initial weights, data,
            recipe, seed) goes on from it.
        pause: Called before every step; it returns when the step may run.
        on_epoch: Told of every epoch, counted from 0.
        judge_epochs: Whether to judge after every epoch, or only at the end.

    Raises:
        InputError: If an image cannot be read, or the checkpoint cannot be written or is another training's.
    """
    start = time.monotonic()
    with reproducible(stream_seed(seed, "training", 0)):
        trainer = _Trainer(module, data, recipe, seed, pause)
        history = trainer.resume(checkpoint) if checkpoint else []
        for loss in trainer.epochs(len(history)):
            if not math.isfinite(loss):
                return TrainingResult("failed", 0.0, tuple(history), time.monotonic() - start)
            number = len(history)
            judged = judge_epochs and number + 1 < recipe.epochs
            history.append(Epoch(loss, accuracy(trainer.averaged, data.validation, pause=pause) if judged else None))
            if checkpoint:
                trainer.write(checkpoint, history)
            on_epoch(number, history[-1])
        if not trainer.finish(module):
            return TrainingResult("failed", 0.0, tuple(history), time.monotonic() - start)
        final = accuracy(module, data.validation, pause=pause)
    history[-1] = replace(history[-1], validation_accuracy=final)
    return TrainingResult("ok", final, tuple(history), time.monotonic() - start)


def accuracy(module: nn.Module, split: Split, *, pause: Pause = lambda: None) -> float:
    """Share of the images of a split whose class the module names, [0, 1]; without augmentation.

    Args:
        module: Takes (N, 3, H, W), gives (N, classes); it is as before afterwards.
        split: The images.
        pause: Called before every batch.

    Raises:
        InputError: If an image cannot be read.
    """
    was_training = module.training
    module.eval()
    device = next(module.parameters()).device
    correct = 0
    with torch.inference_mode():
        for images, labels in split.batches(EVALUATION_BATCH):
            pause()
            correct += int((module(images.to(device)).argmax(1).cpu() == labels).sum())
    module.train(was_training)
    return correct / len(split)


class _Trainer:
    """A training in progress."""

    def __init__(self, module: nn.Module, data: ImageData, recipe: Recipe, seed: int, pause: Pause) -> None:
        self._split, self._recipe, self._seed, self._pause = data.train, recipe, seed, pause
        self._what = {
            "recipe": asdict(recipe),
            "seed": seed,
            "data": data.fingerprint,
            "network": _digest(module),
        }
        self._accelerator = Accelerator()
        module.to(memory_format=torch.channels_last)
        self._module, self._optimizer = self._accelerator.prepare(module, optimizer_for(module, recipe))
        self._plain_module = module
        self.averaged = averaged_copy(module, recipe.ema_decay)
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._batches = TrainingBatches(
            data.train,
            augmentation(recipe.augmentation, data.resolution, data.flips),
            batch_size=recipe.batch_size,
            seed=seed,
            part=self._accelerator.process_index,
            parts=self._accelerator.num_processes,
        )

    def epochs(self, done: int) -> Iterator[float]:
        """Runs the epochs after the first `done`; gives the mean loss of each, NaN where it was no longer finite."""
        steps = self._batches.steps_per_epoch
        batches = self._batches.stream(done * steps, self._recipe.epochs * steps)
        for number in range(done, self._recipe.epochs):
            torch.manual_seed(stream_seed(self._seed, "dropout", number))
            self._module.train()
            total = 0.0
            for step in range(number * steps, (number + 1) * steps):
                self._pause()
                total += self._step(step, next(batches))
                if not math.isfinite(total):
                    yield math.nan
            yield total / steps

    def _step(self, step: int, batch: Batch) -> float:
        device = self._accelerator.device
        images, labels = self._split.normalised(batch[0].to(device)), batch[1].to(device)
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate_at(step, self._batches.steps_per_epoch)
        self._optimizer.zero_grad(set_to_none=True)
        loss: Tensor = self._loss(self._module(images), labels)
        self._accelerator.backward(loss)
        if self._recipe.clip_norm:
            self._accelerator.clip_grad_norm_(self._module.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self.averaged.update_parameters(self._plain_module)
        return float(loss.detach())

    def finish(self, module: nn.Module) -> bool:
        """Puts the averaged weights into `module`; False where they are not finite."""
        module.load_state_dict(self.averaged.module.state_dict())
        if not all(bool(torch.isfinite(parameter).all()) for parameter in module.parameters()):
            return False
        gather_statistics(module, self._split, batch_size=STATISTICS_BATCH, pause=self._pause)
        module.eval()
        return True

    def write(self, path: Path, history: list[Epoch]) -> None:
        """Writes the checkpoint."""
        if self._accelerator.is_main_process:
            progress = {"what": self._what, "history": [asdict(epoch) for epoch in history]}
            write_checkpoint(path, self._modules(), self._optimizer, progress)

    def resume(self, path: Path) -> list[Epoch]:
        """Restores the checkpoint, if there is one; the epochs that are done."""
        progress = read_checkpoint(path, self._modules(), self._optimizer, self._what)
        return [Epoch(**epoch) for epoch in progress["history"]] if progress else []

    def _modules(self) -> Mapping[str, nn.Module]:
        return {"module": self._plain_module, "averaged": self.averaged}


def optimizer_for(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimizer, without weight decay on biases and batch norm (all parameters of one dimension).

    Source: RMSprop's decay 0.9 and epsilon 1e-3 (under the root; torch adds its own after it): the MnasNet reference.
    """
    decayed = [parameter for parameter in module.parameters() if parameter.ndim > 1]
    rest = [parameter for parameter in module.parameters() if parameter.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": rest, "weight_decay": 0.0},
    ]
    rate = recipe.peak_learning_rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    return torch.optim.RMSprop(groups, lr=rate, alpha=0.9, eps=math.sqrt(1e-3), momentum=recipe.momentum)


def _digest(module: nn.Module) -> str:
    """A text that differs where structure or weights do."""
    digest = hashlib.sha256(repr(module).encode())
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
