"""train: a network from scratch, or from given weights, on labelled images."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, update_bn

from mobilenas.training.augment import augmentation
from mobilenas.training.checkpoint import read_checkpoint, write_checkpoint
from mobilenas.training.data import ImageData, Split
from mobilenas.training.recipe import Recipe

EVALUATION_BATCH = 256
STATISTICS_BATCHES = 40


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images: mean loss, and accuracy of the averaged weights on the validation images."""

    loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class TrainingResult:
    """How a training went.

    Attributes:
        status: "ok", or "failed" when the loss was no longer finite.
        validation_accuracy: Of the weights that the module has now, [0, 1].
        epochs: One entry an epoch; validation accuracy is 0 for epochs that were not judged.
        seconds: Wall time, pauses included.
    """

    status: str
    validation_accuracy: float
    epochs: tuple[Epoch, ...]
    seconds: float


def train(
    module: nn.Module,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    pause: Callable[[], None] = lambda: None,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
    judge_epochs: bool = True,
) -> TrainingResult:
    """Trains `module` and leaves the averaged weights in it.

    The outcome is the same, bit for bit, for the same seed, machine and number of threads, whatever ran before, and whether
    or not the training was interrupted and resumed.

    Args:
        module: Takes (N, 3, H, W), gives (N, classes).
        data: The images; the test split is not touched.
        recipe: How.
        seed: Order of the images, augmentation and dropout derive from it.
        checkpoint: After every epoch the whole state goes there, and a training of the same network, data, recipe and seed
            goes on from it.
        pause: Called before every step; it returns when the step may run.
        on_epoch: Told of every epoch, counted from 0.
        judge_epochs: Whether to judge after every epoch, or only at the end.

    Raises:
        InputError: If an image cannot be read, or the checkpoint cannot be written.
    """
    start = time.monotonic()
    trainer = _Trainer(module, data, recipe, seed)
    done = trainer.resume(checkpoint) if checkpoint else []
    for number in range(len(done), recipe.epochs):
        loss = trainer.run_epoch(number, pause)
        if not math.isfinite(loss):
            return TrainingResult("failed", 0.0, tuple(done), time.monotonic() - start)
        judged = judge_epochs and number + 1 < recipe.epochs
        done.append(Epoch(loss, accuracy(trainer.averaged, data.validation) if judged else 0.0))
        if checkpoint:
            trainer.write(checkpoint, done)
        on_epoch(number, done[-1])
    trainer.finish(module)
    final = accuracy(module, data.validation)
    done[-1] = Epoch(done[-1].loss, final)
    return TrainingResult("ok", final, tuple(done), time.monotonic() - start)


def accuracy(module: nn.Module, split: Split) -> float:
    """Share of the images of a split whose class the module names, [0, 1]; without augmentation."""
    was_training = module.training
    module.eval()
    device = next(module.parameters()).device
    correct = 0
    with torch.inference_mode():
        for images, labels in split.batches(EVALUATION_BATCH):
            correct += int((module(images.to(device)).argmax(1).cpu() == labels).sum())
    module.train(was_training)
    return correct / len(split)


class _Trainer:
    """A training in progress."""

    def __init__(self, module: nn.Module, data: ImageData, recipe: Recipe, seed: int) -> None:
        self._data, self._recipe, self._seed = data, recipe, seed
        self._accelerator = Accelerator()
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stub lacks this form
        optimizer = _optimizer(module, recipe)
        self._module, self._optimizer = self._accelerator.prepare(module, optimizer)
        self.averaged = AveragedModel(module, avg_fn=self._average, use_buffers=True)
        self._augment = augmentation(recipe.augmentation, data.resolution, data.flips)
        self._loss = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self._steps_per_epoch = max(1, len(data.train) // recipe.batch_size)
        digest = hashlib.sha256()
        for tensor in (*module.parameters(), torch.from_numpy(data.train.indices), torch.from_numpy(data.train.labels)):
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        self._what = {"recipe": asdict(recipe), "seed": seed, "data": data.name, "digest": digest.hexdigest()}

    def run_epoch(self, number: int, pause: Callable[[], None]) -> float:
        """One pass; returns the mean loss. All random draws come from (seed, epoch)."""
        with torch.random.fork_rng():
            torch.manual_seed(int.from_bytes(hashlib.sha256(f"{self._seed}/{number}".encode()).digest()[:7], "little"))
            order = torch.randperm(len(self._data.train)).numpy()
            self._module.train()
            total = torch.zeros(())
            for step in range(self._steps_per_epoch):
                pause()
                batch = order[step * self._recipe.batch_size : (step + 1) * self._recipe.batch_size]
                total += self._step(number * self._steps_per_epoch + step, batch)
                if not torch.isfinite(total):
                    return math.nan
        return float(total / self._steps_per_epoch)

    def _step(self, step: int, batch: Any) -> Tensor:
        images, labels = self._batch(batch)
        for group in self._optimizer.param_groups:
            group["lr"] = self._recipe.learning_rate_at(step, self._steps_per_epoch)
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self._module(images), labels)
        self._accelerator.backward(loss)
        if self._recipe.clip_norm:
            self._accelerator.clip_grad_norm_(self._module.parameters(), self._recipe.clip_norm)
        self._optimizer.step()
        self.averaged.update_parameters(self._accelerator.unwrap_model(self._module))
        return loss.detach().cpu()  # type: ignore[no-any-return]  # a Tensor

    def _batch(self, batch: Any) -> tuple[Tensor, Tensor]:
        """This process's share of a batch, augmented and normalised, on its device."""
        split = self._data.train
        chosen = split.indices[batch][self._accelerator.process_index :: self._accelerator.num_processes]
        images = split.normalised(self._augment(split.images.fetch(chosen.tolist())))
        labels = torch.from_numpy(split.images.labels[chosen])
        return images.to(self._accelerator.device), labels.to(self._accelerator.device)

    def _average(self, averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        """Exponential moving average whose decay grows from nothing, so that a short run does not keep its first steps.

        Source: `tf.train.ExponentialMovingAverage`, argument `num_updates`.
        """
        if not averaged.is_floating_point():
            return current
        decay = min(self._recipe.ema_decay, (1 + int(count)) / (10 + int(count)))
        return averaged + (1 - decay) * (current - averaged)

    def finish(self, module: nn.Module) -> None:
        """Puts the averaged weights into `module`, with batch norm statistics that were gathered with them."""
        module.load_state_dict(self.averaged.module.state_dict())
        split = self._data.train
        batches: list[Tensor] = []
        for images, _ in split.batches(max(64, self._recipe.batch_size)):
            batches.append(images.to(self._accelerator.device))
            if len(batches) == STATISTICS_BATCHES:
                break
        update_bn(batches, module)
        module.eval()

    def write(self, path: Path, epochs: list[Epoch]) -> None:
        """Writes the checkpoint."""
        if self._accelerator.is_main_process:
            progress = {"what": self._what, "epochs": [asdict(epoch) for epoch in epochs]}
            write_checkpoint(path, self._modules(), self._optimizer, progress)

    def resume(self, path: Path) -> list[Epoch]:
        """Restores the checkpoint, if it is one of this training; the epochs that are done."""
        progress = read_checkpoint(path, self._modules(), self._optimizer, self._what)
        return [Epoch(**epoch) for epoch in progress["epochs"]] if progress else []

    def _modules(self) -> dict[str, nn.Module]:
        return {"module": self._accelerator.unwrap_model(self._module), "averaged": self.averaged}


def _optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The optimizer, without weight decay on biases and batch norm."""
    decayed = [p for p in module.parameters() if p.ndim > 1]
    rest = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if recipe.optimizer == "sgd":
        nesterov = recipe.momentum > 0
        return torch.optim.SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=nesterov)
    return torch.optim.RMSprop(groups, lr=recipe.learning_rate, alpha=0.9, eps=1e-3, momentum=recipe.momentum)
