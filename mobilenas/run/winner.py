"""From a candidate to a file: train, export, verify."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.nn import GraphModule, initialize, outputs, save_weights, state_arrays
from mobilenas.run.folder import RunFolder
from mobilenas.run.source import Exported
from mobilenas.runners import LiteRTProcess
from mobilenas.training import ImageData, Recipe, train
from mobilenas.verification import MAX_DROP, held_out, run_model
from mobilenas.verification.checked_export import ExportSettings, checked_export

FINE_TUNING_EPOCHS = 4
"""Of an int8 file that loses too much without."""


def train_and_export(
    folder: RunFolder,
    name: str,
    arch: Arch,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    dtype: str,
    max_drop: float = MAX_DROP,
    pause: Callable[[], None],
) -> Exported:
    """Trains a network from scratch, exports it and holds the file against torch on held-out images.

    An int8 file is quantized with training images; where it loses more than `max_drop` on the validation images, it is
    fine-tuned. Training goes on from `checkpoints/<name>.safetensors` where a killed run left one.

    Raises:
        InputError: If the training diverged, or the folder cannot be written.
    """
    module = GraphModule(arch.graph())
    initialize(module, seed)
    result = train(module, data, recipe, seed=seed, checkpoint=folder.checkpoint(name), pause=pause, judge_epochs=False)
    if result.status != "ok":
        raise InputError(
            f"training of the winner {arch.name} diverged after {len(result.history)} of {recipe.epochs} epochs; "
            "start a new run with another --final-epochs or --seed"
        )
    save_weights(module, folder.checkpoint("best"))
    weights = state_arrays(module)
    test, settings = held_out(data.test, max_drop), ExportSettings(dtype=dtype, max_drop=max_drop, seed=seed)
    with LiteRTProcess() as process:
        if dtype == "int8":
            validation = held_out(data.validation, max_drop)
            tried = checked_export(arch, weights, settings, data=data, labelled=validation, runtime=process)
            epochs = 0 if tried.report.passed else FINE_TUNING_EPOCHS
            settings = replace(settings, fine_tuning_epochs=epochs)
        checkpoint = folder.checkpoint(f"{name}-int8")
        found = checked_export(
            arch, weights, settings, data=data, labelled=test, checkpoint=checkpoint, pause=pause, runtime=process
        )
        exported = run_model(process, found.model, test.images).argmax(-1)
    expected = outputs(arch.graph(), weights, test.images).argmax(-1)
    return Exported(
        model=found.model,
        test_accuracy=float(np.mean(expected == test.labels)),
        exported_accuracy=float(np.mean(exported == test.labels)),
        agreement=float(np.mean(exported == expected)),
        report=found.report,
    )
