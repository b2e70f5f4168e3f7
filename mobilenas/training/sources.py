"""load_data: what a DATA argument names."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.registry import unknown
from mobilenas.settings import check
from mobilenas.storage import home
from mobilenas.training.arrays import LabelledArrays, array_data
from mobilenas.training.data import ImageData
from mobilenas.training.folder import folder_data

FOLDER_RESOLUTION = 224
DIGITS_TEST_SHARE = 0.2
TORCHVISION = {
    "cifar10": "CIFAR10",
    "cifar100": "CIFAR100",
    "fashion-mnist": "FashionMNIST",
    "mnist": "MNIST",
    "kmnist": "KMNIST",
    "svhn": "SVHN",
    "stl10": "STL10",
}
BY_SPLIT = frozenset({"svhn", "stl10"})
"""Data sets of torchvision whose halves are chosen by `split` instead of `train`."""
NO_FLIPS = frozenset({"digits", "mnist", "kmnist", "svhn"})
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def load_data(spec: str, *, resolution: int | None = None, seed: int = 0, validation_share: float = 0.15) -> ImageData:
    """Loads labelled images.

    Test images are those that the source holds out itself; of `digits` the last fifth of every class; of class folders
    a fifth by hash of the name.

    Args:
        spec: One of: a folder of images by class (see `folder_data`); `digits` (ships with scikit-learn); the name of a
            torchvision data set, kept in `$MOBILENAS_DATA` (by default `data` in the user's folder), downloaded if
            absent; an `.npz` with x_train, y_train, x_test, y_test: images uint8 (N, H, W) or (N, H, W, 1 or 3),
            labels from 0.
        resolution: Height and width in pixels; by default the images' own, but at least 32 (a folder: 224).
        seed: Which training images become validation images.
        validation_share: How many do, in (0, 1).

    Raises:
        InputError: If there is no such data, or it is not valid; the text names file or folder.
    """
    fine = resolution is None or 8 <= resolution <= 4096
    check(fine, "resolution", resolution, "8 to 4096 pixels")
    check(0 < validation_share < 1, "validation_share", validation_share, "a number between 0 and 1")
    path = Path(spec)
    if path.is_dir() and spec not in (*TORCHVISION, "digits"):
        return folder_data(
            path, resolution=resolution or FOLDER_RESOLUTION, seed=seed, validation_share=validation_share
        )
    if spec == "digits":
        arrays = _digits()
    elif spec in TORCHVISION:
        arrays = _torchvision(spec)
    elif path.suffix == ".npz":
        arrays = _read_npz(path)
    elif path.name != spec or path.exists():
        raise InputError(f"no data in {spec}; give a folder of images by class, an .npz file, or a name such as digits")
    else:
        names = unknown("data", spec, ["digits", *TORCHVISION])
        raise InputError(f"{names} A folder of images by class or an .npz file is accepted too")
    return array_data(
        spec,
        arrays,
        resolution=resolution,
        seed=seed,
        validation_share=validation_share,
        flips=spec not in NO_FLIPS,
    )


def _digits() -> LabelledArrays:
    """1,797 handwritten digits of 8 x 8 pixels."""
    loaded = require("sklearn.datasets", "train").load_digits()
    pixels = np.round(loaded.images * (255 / 16)).astype(np.uint8)
    labels = loaded.target.astype(np.int64)
    test = np.zeros(len(labels), bool)
    for label in range(10):
        members = np.flatnonzero(labels == label)
        test[members[-round(DIGITS_TEST_SHARE * len(members)) :]] = True
    return LabelledArrays(
        x_train=pixels[~test],
        y_train=labels[~test],
        x_test=pixels[test],
        y_test=labels[test],
        class_names=tuple(str(digit) for digit in range(10)),
    )


def _read_npz(path: Path) -> LabelledArrays:
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            missing = [name for name in ARRAYS if name not in file]
            loaded = {} if missing else {name: file[name] for name in ARRAYS}
    except Exception as error:  # a damaged archive fails in many ways, all of them the file's fault
        raise InputError(f"cannot read {path}: {_reason(error)}; give an .npz with {', '.join(ARRAYS)}") from error
    if missing:
        raise InputError(f"{path}: {missing[0]} is missing; give {', '.join(ARRAYS)}")
    for half in ("train", "test"):
        _check_half(path, f"x_{half}", loaded[f"x_{half}"], f"y_{half}", loaded[f"y_{half}"])
    x_train, x_test = loaded["x_train"], loaded["x_test"]
    if x_train.shape[1:] != x_test.shape[1:]:
        raise InputError(
            f"{path}: x_train has images of {x_train.shape[1:]}, x_test of {x_test.shape[1:]}; give one shape"
        )
    y_train, y_test = (loaded[name].reshape(-1).astype(np.int64) for name in ("y_train", "y_test"))
    count = int(max(y_train.max(), y_test.max())) + 1
    if not 2 <= count <= 100_000:
        raise InputError(f"{path}: labels up to {count - 1} are not accepted; give class numbers from 0, at least two")
    names = tuple(str(number) for number in range(count))
    return LabelledArrays(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, class_names=names)


def _reason(error: Exception) -> str:
    """Why an archive cannot be read; what numpy says of it speaks of its own arguments."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    return "no .npz archive, a damaged one, or one that holds Python objects"


def _check_half(path: Path, x_name: str, x: npt.NDArray[Any], y_name: str, y: npt.NDArray[Any]) -> None:
    if x.dtype != np.uint8 or x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] not in (1, 3)) or 0 in x.shape:
        raise InputError(f"{path}: {x_name} is {x.dtype} {x.shape}; give uint8 (N, H, W), (N, H, W, 1) or (N, H, W, 3)")
    wrong = y[(y < 0) | (y != np.floor(y))] if y.dtype.kind in "iuf" else y[:0]
    if y.dtype.kind not in "iu" or y.shape not in ((len(x),), (len(x), 1)) or wrong.size:
        value = f" with a {wrong.flat[0]}" if wrong.size else ""
        raise InputError(f"{path}: {y_name} is {y.dtype} {y.shape}{value}; give {len(x)} class numbers from 0")


def _torchvision(name: str) -> LabelledArrays:
    root = Path(os.environ.get("MOBILENAS_DATA") or home() / "data")
    make: Callable[..., Any] = getattr(require("torchvision.datasets", "train"), TORCHVISION[name])
    halves = []
    for is_train in (True, False):
        which = {"split": "train" if is_train else "test"} if name in BY_SPLIT else {"train": is_train}
        try:
            root.mkdir(parents=True, exist_ok=True)
            halves.append(make(str(root), download=True, **which))
        except Exception as error:  # urllib, checksum and file errors alike mean that it is not there
            first = str(error).strip().partition("\n")[0] or type(error).__name__
            raise InputError(
                f"cannot get {name} into {root}: {first}; put its files there, set MOBILENAS_DATA to where they are, "
                "or use other data, such as digits"
            ) from error
    (x_train, y_train), (x_test, y_test) = (_arrays(half) for half in halves)
    classes = getattr(halves[0], "classes", range(int(y_train.max()) + 1))
    return LabelledArrays(
        x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test, class_names=tuple(map(str, classes))
    )


def _arrays(half: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    pixels = np.asarray(half.data)
    if pixels.ndim == 4 and pixels.shape[1] == 3:
        pixels = pixels.transpose(0, 2, 3, 1)  # svhn and stl10 store channels first
    labels = half.targets if hasattr(half, "targets") else half.labels
    return pixels, np.asarray(labels, np.int64)
