"""From a candidate to a file: train, export, verify."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.export import write_tflite
from mobilenas.nn import GraphModule, initialize, observed_ranges, outputs, save_weights, state_arrays
from mobilenas.run.folder import RunFolder
from mobilenas.run.source import Exported
from mobilenas.runners import LiteRTProcess
from mobilenas.training import ImageData, Recipe, train
from mobilenas.verification import run_model, verify_file

CALIBRATION_IMAGES = 256
"""Training images that the ranges of an int8 file come from."""


def train_and_export(
    folder: RunFolder,
    name: str,
    arch: Arch,
    data: ImageData,
    recipe: Recipe,
    *,
    seed: int,
    dtype: str,
    pause: Callable[[], None],
) -> Exported:
    """Trains a network from scratch, exports it and holds the file against torch on every held-out image.

    An int8 file is quantized with the ranges that training images give.
    Training goes on from `checkpoints/<name>.safetensors` where a killed run left one.

    Raises:
        InputError: If the training diverged, or the folder cannot be written.
    """
    graph = arch.graph()
    module = GraphModule(graph)
    initialize(module, seed)
    result = train(module, data, recipe, seed=seed, checkpoint=folder.checkpoint(name), pause=pause, judge_epochs=False)
    if result.status != "ok":
        raise InputError(
            f"training of the winner {arch.name} diverged after {len(result.history)} of {recipe.epochs} epochs; "
            "start a new run with another --final-epochs or --seed"
        )
    save_weights(module, folder.checkpoint("best"))
    weights = state_arrays(module)
    ranges = observed_ranges(graph, weights, _calibration_images(data)) if dtype == "int8" else None
    model = write_tflite(graph, weights, dtype=dtype, ranges=ranges, description=f"mobilenas {arch.name}")
    images, labels = data.test.arrays()
    with LiteRTProcess() as process:
        report = verify_file(model, graph, weights, dtype=dtype, images=images, runtime=process)
        exported = run_model(process, model, images).argmax(-1)
    expected = outputs(graph, weights, images).argmax(-1)
    return Exported(
        model=model,
        test_accuracy=float(np.mean(expected == labels)),
        exported_accuracy=float(np.mean(exported == labels)),
        agreement=float(np.mean(exported == expected)),
        report=report,
    )


def _calibration_images(data: ImageData) -> npt.NDArray[np.float32]:
    """The first training images, as an exported file takes them."""
    first, _ = next(data.train.batches(CALIBRATION_IMAGES))
    return first.permute(0, 2, 3, 1).contiguous().numpy()
