"""A folder of images by class."""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms.v2 import functional as transforms

from mobilenas.errors import InputError
from mobilenas.training.data import ImageData, Integers, split_images

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".tif", ".tiff"})
TEST_SHARE = 0.2
TEST_FOLDERS = ("test", "val", "validation")
READERS = 8


@dataclass(frozen=True)
class FolderImages:
    """Image files, decoded when they are fetched; each is resized so that its short side fits, and cut to the middle."""

    paths: tuple[Path, ...]
    labels: Integers
    resolution: int

    def fetch(self, indices: Sequence[int]) -> Tensor:
        """Images (N, 3, H, W), uint8."""
        with ThreadPoolExecutor(READERS) as pool:
            return torch.stack(list(pool.map(lambda i: _decode(self.paths[i], self.resolution), indices)))


def load_folder(folder: Path, *, resolution: int, validation_share: float, seed: int) -> ImageData:
    """Loads `folder/<class>/<image>`, or `folder/train/<class>/...` with `test` (or `val`) beside it.

    Without a test folder, a fifth of every class is held out, chosen by a hash of the file's name: adding images never moves
    an old one between the splits.

    Raises:
        InputError: If there are fewer than two classes, a class is empty, or a file cannot be read.
    """
    tests = [folder / name for name in TEST_FOLDERS if (folder / name).is_dir()]
    if (folder / "train").is_dir() and tests:
        training, classes = _scan(folder / "train", resolution, None)
        held_out, _ = _scan(tests[0], resolution, classes)
        train_indices = test_indices = None
    else:
        training, classes = _scan(folder, resolution, None)
        held_out = training
        is_test = _held_out(training)
        train_indices, test_indices = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    return split_images(
        name=str(folder),
        class_names=classes,
        resolution=resolution,
        training=training,
        held_out=held_out,
        validation_share=validation_share,
        seed=seed,
        flips=True,
        train_indices=train_indices,
        test_indices=test_indices,
    )


def _scan(folder: Path, resolution: int, classes: list[str] | None) -> tuple[FolderImages, list[str]]:
    found = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if len(found) < 2:
        raise InputError(f"{folder}: {len(found)} class folders; give at least two, each with the images of one class")
    if classes is not None and found != classes:
        other = sorted(set(found) ^ set(classes))[0]
        raise InputError(f"{folder}: class {other!r} is not in both train and test; give the same class folders")
    paths: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(found):
        images = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not images:
            raise InputError(f"{folder / name}: the class folder holds no images; add some or remove the folder")
        paths += images
        labels += [label] * len(images)
    return FolderImages(tuple(paths), np.array(labels, np.int64), resolution), found


def _held_out(images: FolderImages) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """A fifth of every class, at least one image of it and never all."""
    digests = [hashlib.sha256(f"{path.parent.name}/{path.name}".encode()).hexdigest() for path in images.paths]
    is_test = np.zeros(len(digests), bool)
    for label in range(int(images.labels.max()) + 1):
        members = sorted(np.flatnonzero(images.labels == label), key=lambda i: digests[i])
        by_hash = [i for i in members if int(digests[i][:8], 16) < TEST_SHARE * 2**32]
        is_test[(by_hash or members[:1])[: max(len(members) - 1, 0)]] = True
    return is_test


def _decode(path: Path, resolution: int) -> Tensor:
    try:
        with Image.open(path) as image:
            pixels = transforms.pil_to_tensor(image.convert("RGB"))
    except (OSError, UnidentifiedImageError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"cannot read image {path}: {error}; remove or replace it") from error
    resized = transforms.resize(pixels, [resolution], antialias=True)
    return transforms.center_crop(resized, [resolution, resolution])
