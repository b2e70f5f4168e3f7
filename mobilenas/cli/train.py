"""Trains a network on labelled images."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mobilenas.cli.arguments import (
    Data,
    Dtype,
    Json,
    Model,
    Resolution,
    WeightsSource,
    check_dtype,
    is_published,
    resolve_model,
    resolve_weights,
)
from mobilenas.cli.output import note, print_json, print_table, progress_bar
from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.runners.host import wait_while_host_is_measured
from mobilenas.settings import check
from mobilenas.storage import exclusive_folder, write_atomically, write_json
from mobilenas.verification.checked_export import ExportSettings, checked_export

if TYPE_CHECKING:
    from mobilenas.arch import Arch
    from mobilenas.graph import Network
    from mobilenas.training import ImageData


def run(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for weights, architecture and result.")],
    weights: WeightsSource = None,
    epochs: Annotated[int, typer.Option(help="Epochs; 0 for the recipe's own.")] = 0,
    resolution: Resolution = None,
    seed: Annotated[int, typer.Option(help="Every random stream derives from it.")] = 0,
    dtype: Dtype = "float32",
    json: Json = False,
) -> None:
    """Trains, goes on where it was interrupted, judges the result on held-out images, and exports it once verified."""
    check_dtype(dtype)
    check(0 <= epochs <= 10_000, "epochs", epochs, "a whole number from 0 to 10000")
    check(0 <= seed < 2**32, "seed", seed, "a whole number from 0 to 4294967295")
    require("torch", "train")
    from mobilenas.nn import GraphModule, save_weights, set_weights, state_arrays
    from mobilenas.training import accuracy, default_recipe, load_data, train

    given = None if is_published(model) else resolve_model(model)
    if resolution is None and given is not None:
        resolution = given.resolution
    images = load_data(data, resolution=resolution, seed=seed)
    _check_classes(model, given, images)
    arch, state = resolve_weights(model, weights, resolution=images.resolution, num_classes=images.num_classes)
    recipe = default_recipe(len(images.train), images.resolution, epochs or None)
    module = GraphModule(arch.graph(), seed=seed)
    if state is not None:
        set_weights(module, {**state_arrays(module), **state})
    with exclusive_folder(out, f"the training in {out}"), progress_bar(f"training {arch.name}") as progress:
        if given is None or given.num_classes != images.num_classes:
            note(f"{model} with the {images.num_classes} classes of {images.name}, at {images.resolution} pixels")
        result = train(
            module,
            images,
            recipe,
            seed=seed,
            checkpoint=out / "checkpoints" / "last.safetensors",
            pause=wait_while_host_is_measured,
            on_epoch=lambda number, epoch: progress(number + 1, recipe.epochs),
        )
        if result.status != "ok":
            raise InputError(f"training of {arch.name} diverged: the loss was not finite; check --data and --weights")
        document = {
            "name": arch.name,
            "data": images.name,
            "epochs": recipe.epochs,
            "validation_accuracy": result.validation_accuracy,
            "test_accuracy": accuracy(module, images.test),
            "weights": str(out / "weights.safetensors"),
            "arch": str(out / "arch.json"),
        }
        save_weights(module, out / "weights.safetensors")
        arch.save(out / "arch.json")
        exported = checked_export(
            arch,
            state_arrays(module),
            ExportSettings(dtype=dtype, seed=seed),
            data=images,
            pause=wait_while_host_is_measured,
        )
        file, passed = out / "model.tflite", exported.report.passed
        document |= {"tflite": str(file) if passed else None, "verification": exported.report.to_dict()}
        if passed:
            write_atomically(file, exported.model)
        else:
            file.unlink(missing_ok=True)  # of an earlier training here
        write_json(out / "result.json", document)
        exported.report.require(f"{file} is not written")
    if json:
        print_json(document)
    else:
        document["verification"] = ", ".join(check.name for check in exported.report.checks)
        print_table(("", ""), list(document.items()))
        files = shlex.join([str(out / "arch.json"), "--weights", str(out / "weights.safetensors"), "--data", data])
        print(f"in another form: mobilenas export {files} --dtype int8 --out int8.tflite")


def _check_classes(model: str, given: "Arch | Network | None", images: "ImageData") -> None:
    """A file is trained as it is; of other networks, the classifier follows the data.

    Raises:
        InputError: If an architecture file has another number of classes than the data.
    """
    if given is not None and model.endswith(".json") and given.num_classes != images.num_classes:
        raise InputError(
            f"{model} has {given.num_classes} classes and {images.name} has {images.num_classes}; "
            f'give "num_classes": {images.num_classes} in the file, or other data'
        )
