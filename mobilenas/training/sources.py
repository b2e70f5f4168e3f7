"""load_data: what a DATA argument names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.registry import unknown
from mobilenas.storage import home
from mobilenas.training.data import ArrayImages, ImageData, Integers, split_images
from mobilenas.training.folder import load_folder

VALIDATION_SHARE = 0.15
DIGITS_TEST_SHARE = 0.2
SMALLEST = 32
"""Smaller images are enlarged to this by default: networks halve them five times."""

TORCHVISION = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "fashion-mnist": "FashionMNIST",
    "mnist": "MNIST",
    "kmnist": "KMNIST",
    "svhn": "SVHN",
    "stl10": "STL10",
}
NO_FLIPS = frozenset({"digits", "mnist", "kmnist", "svhn"})
Pixels = npt.NDArray[np.uint8]


def load_data(spec: str, *, resolution: int | None = None, seed: int = 0) -> ImageData:
    """Loads labelled images.

    Args:
        spec: A folder of images by class, `digits` (ships with scikit-learn), a torchvision data set by name, or an `.npz`
            with x_train, y_train, x_test, y_test.
        resolution: Height and width in pixels; by default the images' own, but at least 32 (a folder: 224).
        seed: Which training images become validation images.

    Raises:
        InputError: If there is no such data, or it is not valid; the text names file or folder.
    """
    if resolution is not None and not 8 <= resolution <= 4096:
        raise InputError(f"resolution: {resolution} is not accepted; give 8 to 4096 pixels")
    if spec == "digits":
        return _from_arrays(spec, *_digits(), resolution, seed)
    if spec.endswith(".npz"):
        return _from_arrays(spec, *_read_npz(Path(spec)), resolution, seed)
    if spec in TORCHVISION:
        return _from_arrays(spec, *_torchvision(spec), resolution, seed)
    if Path(spec).is_dir():
        return load_folder(Path(spec), resolution=resolution or 224, validation_share=VALIDATION_SHARE, seed=seed)
    known = ["digits", *TORCHVISION]
    raise InputError(f"{unknown('data', spec, known)} Or give a folder of images by class, or an .npz file")


def _from_arrays(
    name: str,
    x_train: Pixels,
    y_train: Integers,
    x_test: Pixels,
    y_test: Integers,
    class_names: list[str],
    resolution: int | None,
    seed: int,
) -> ImageData:
    size = resolution or max(SMALLEST, *x_train.shape[1:3])
    return split_images(
        name=name,
        class_names=class_names,
        resolution=size,
        training=ArrayImages(_resized(x_train, size), y_train),
        held_out=ArrayImages(_resized(x_test, size), y_test),
        validation_share=VALIDATION_SHARE,
        seed=seed,
        flips=name not in NO_FLIPS,
    )


def _resized(pixels: Pixels, size: int) -> Tensor:
    """(N, H, W) or (N, H, W, 1 or 3) uint8 as (N, 3, size, size) uint8."""
    images = torch.from_numpy(np.ascontiguousarray(pixels))
    images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
    if tuple(images.shape[2:]) != (size, size):
        parts = [transforms.resize(part, [size, size], antialias=True) for part in images.split(1024)]
        images = torch.cat(parts)
    return images.expand(-1, 3, -1, -1).contiguous()


def _digits() -> tuple[Pixels, Integers, Pixels, Integers, list[str]]:
    """1,797 handwritten digits of 8 x 8 pixels; every class's last fifth is held out."""
    loaded = require("sklearn.datasets", "train").load_digits()
    pixels = np.round(loaded.images * (255 / 16)).astype(np.uint8)
    labels = loaded.target.astype(np.int64)
    test = np.zeros(len(labels), bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        test[members[-round(DIGITS_TEST_SHARE * len(members)) :]] = True
    return pixels[~test], labels[~test], pixels[test], labels[test], [str(i) for i in range(10)]


def _read_npz(path: Path) -> tuple[Pixels, Integers, Pixels, Integers, list[str]]:
    names = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in names if name not in file]
            if missing:
                raise InputError(f"{path}: {missing[0]} is missing; give {', '.join(names)}")
            x_train, y_train, x_test, y_test = (file[name] for name in names)
    except InputError:
        raise
    except Exception as error:  # a damaged archive fails in many ways, all of them the file's fault
        raise InputError(f"cannot read {path}: {error}; give an .npz with {', '.join(names)}") from error
    _check_images(path, "x_train", x_train, "y_train", y_train)
    _check_images(path, "x_test", x_test, "y_test", y_test)
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(f"{path}: x_train has images of {x_train.shape[1:]}, x_test of {x_test.shape[1:]}")
    labels = np.concatenate([y_train.reshape(-1), y_test.reshape(-1)]).astype(np.int64)
    count = int(labels.max()) + 1
    if not 2 <= count <= 100_000:
        raise InputError(f"{path}: labels up to {count - 1} are not accepted; give class numbers from 0, at least two")
    return x_train, labels[: len(x_train)], x_test, labels[len(x_train) :], [str(i) for i in range(count)]


def _check_images(path: Path, x_name: str, x: npt.NDArray[Any], y_name: str, y: npt.NDArray[Any]) -> None:
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)) or 0 in x.shape:
        raise InputError(f"{path}: {x_name} is {x.dtype} {x.shape}; give uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    if y.dtype.kind not in "iu" or y.size != len(x) or (y.size and int(y.min()) < 0):
        raise InputError(f"{path}: {y_name} is {y.dtype} {y.shape}; give {len(x)} class numbers from 0")


def _torchvision(name: str) -> tuple[Pixels, Integers, Pixels, Integers, list[str]]:
    root = Path(os.environ.get("MOBILENAS_DATA") or home() / "data")
    make: Callable[..., Any] = getattr(require("torchvision.datasets", "train"), TORCHVISION[name])
    splits = []
    for is_train in (True, False):
        which = {"split": "train" if is_train else "test"} if name in ("svhn", "stl10") else {"train": is_train}
        try:
            splits.append(make(str(root), download=True, **which))
        except Exception as error:  # urllib, checksum and file errors alike mean that it is not there
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(f"cannot get {name} into {root}: {first}; put its files there, or use another --data") from error
    (x_train, y_train), (x_test, y_test) = (_arrays(split) for split in splits)
    classes = [str(c) for c in getattr(splits[0], "classes", range(int(y_train.max()) + 1))]
    return x_train, y_train, x_test, y_test, classes


def _arrays(split: Any) -> tuple[Pixels, Integers]:
    pixels = np.asarray(split.data)
    if pixels.ndim == 4 and pixels.shape[1] == 3:
        pixels = pixels.transpose(0, 2, 3, 1)  # svhn and stl10 store channels first
    labels = split.targets if hasattr(split, "targets") else split.labels
    return pixels, np.asarray(labels, np.int64)
