"""A folder of images by class."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from mobilenas.errors import InputError
from mobilenas.training.data import Channels, ImageData, Integers, Split, cut

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
TEST_SHARE = 0.2
MEAN: Channels = (0.485, 0.456, 0.406)
STD: Channels = (0.229, 0.224, 0.225)
"""Of ImageNet, as torchvision and timm have them: weights trained there fit, and no file is read at the start."""
READERS = 8
END_OF_JPEG = b"\xff\xd9"
LEAST_RESOLUTION = 8
MOST_WORKERS = 8


def _workers() -> int:
    return min(MOST_WORKERS, max(1, (os.cpu_count() or 1) - 1))


@dataclass(frozen=True)
class FolderImages:
    """Image files, decoded when they are fetched: the short side is resized to fit, the middle is kept."""

    paths: tuple[Path, ...]
    labels: Integers
    resolution: int
    workers: int = field(default_factory=_workers)

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8.

        Raises:
            InputError: If a file cannot be read; the text names it.
        """
        with ThreadPoolExecutor(READERS) as pool:
            return torch.stack(list(pool.map(lambda i: _decode(self.paths[i], self.resolution), indices)))


def folder_data(folder: Path, *, resolution: int, seed: int, validation_share: float) -> ImageData:
    """Splits a folder of images.

    - `folder/<class>/<image>`: of every class a fifth is held out and `validation_share` of the rest validates, those
      whose names have the lowest hashes; `seed` takes no part.
    - `folder/train/<class>/<image>` with `test` (or `val`) beside it: that is held out. Where there are both, `val`
      validates; otherwise validation images are cut from `train`, drawn by `seed`.

    Raises:
        InputError: If there are fewer than two classes, a class is empty or too small, class folders differ, or an
            image cannot be read.
    """
    held_out_folders = [folder / name for name in ("test", "val", "validation") if (folder / name).is_dir()]
    if (folder / "train").is_dir() and held_out_folders:
        training, classes = _scan(folder / "train", resolution)
        held_out, _ = _scan(held_out_folders[0], resolution, classes)
        test = np.arange(len(held_out.labels))
        if len(held_out_folders) > 1:
            validating, _ = _scan(held_out_folders[1], resolution, classes)
            rest, validation = np.arange(len(training.labels)), np.arange(len(validating.labels))
        else:
            validating = training
            rank = np.random.default_rng([seed, 0x7A11]).permutation(len(training.labels))
            rest, validation = cut(str(folder / "train"), classes, training, rank, validation_share)
    else:
        training, classes = _scan(folder, resolution)
        held_out = validating = training
        rank = _by_hash(training.paths, folder)
        rest, test = cut(str(folder), classes, training, rank, TEST_SHARE)
        rest, validation = cut(str(folder), classes, training, rank[np.isin(rank, rest)], validation_share)
    return ImageData(
        name=str(folder),
        class_names=tuple(classes),
        resolution=resolution,
        native_resolution=None,
        train=Split(training, rest, MEAN, STD),
        validation=Split(validating, validation, MEAN, STD),
        test=Split(held_out, test, MEAN, STD),
        flips=True,
    )


def _scan(folder: Path, resolution: int, classes: list[str] | None = None) -> tuple[FolderImages, list[str]]:
    """The images below the class folders of `folder`; the classes must be `classes` where given."""
    try:
        found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
        if len(found) < 2:
            raise InputError(
                f"{folder}: {len(found)} class folders; give two or more, each with the images of one class"
            )
        if classes is not None and found != classes:
            other = min(set(found) ^ set(classes))
            raise InputError(f"{folder}: class {other!r} is not both here and in train; give the same class folders")
        paths: list[Path] = []
        labels: list[int] = []
        for label, name in enumerate(found):
            images = sorted(path for path in (folder / name).rglob("*") if _is_image(path))
            if not images:
                raise InputError(f"{folder / name}: the class folder holds no images; add some or remove the folder")
            paths += images
            labels += [label] * len(images)
    except OSError as error:
        raise InputError(f"cannot read {error.filename}: {error.strerror}; give a folder that can be read") from error
    with ThreadPoolExecutor(READERS) as pool:
        list(pool.map(_check_image, paths))
    return FolderImages(tuple(paths), np.array(labels, np.int64), resolution), found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _by_hash(paths: Sequence[Path], folder: Path) -> Integers:
    """Places of the paths in the order of their names' hashes: the same everywhere, wherever the folder lies."""
    names = [path.relative_to(folder).as_posix() for path in paths]
    return np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names], kind="stable").astype(np.int64)


def _check_image(path: Path) -> None:
    """Looks at a file's header and end before anything is trained; one that seems damaged is decoded, which says so.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with path.open("rb") as file, Image.open(file) as image:
            image.verify()
            file.seek(-len(END_OF_JPEG), os.SEEK_END)
            is_whole = image.format != "JPEG" or file.read() == END_OF_JPEG
    except Exception:  # Pillow's formats fail in many ways
        is_whole = False
    if not is_whole:
        _decode(path, LEAST_RESOLUTION)


def _decode(path: Path, resolution: int) -> Tensor:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (resolution, resolution))  # a JPEG is decoded no larger than needed
            upright = ImageOps.exif_transpose(_eight_bit(image)).convert("RGB")
            fitted = ImageOps.fit(upright, (resolution, resolution), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read image {path}: {error}; remove or replace it") from error
    pixels: Tensor = transforms.pil_to_tensor(fitted)
    return pixels


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey as 8-bit grey: Pillow's own conversion clips at 255."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
