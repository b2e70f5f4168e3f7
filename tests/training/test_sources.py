"""Archives and torchvision's data sets, with everything that can be wrong with them."""

import gzip
import os
import shutil
import urllib.error
from pathlib import Path

import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.training import Recipe, accuracy, load_data, train

TEST_DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
CIFAR10_SUBSET = TEST_DATA / "cifar10_subset" / "cifar10_jpeg_subset_10k_2k.npz"
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def arrays(**changes):
    rng = np.random.default_rng(0)
    found = {
        "x_train": rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8),
        "y_train": np.arange(40) % 4,
        "x_test": rng.integers(0, 256, (8, 8, 8, 3), dtype=np.uint8),
        "y_test": np.arange(8) % 4,
    } | changes
    return {name: value for name, value in found.items() if value is not None}


@pytest.fixture
def archive(tmp_path):
    def write(**changes):
        path = tmp_path / "set.npz"
        np.savez(path, **arrays(**changes))
        return str(path)

    return write


def test_an_archive(archive):
    data = load_data(archive())
    assert data.class_names == ("0", "1", "2", "3")
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 8, 8)
    assert (data.resolution, data.native_resolution) == (32, (8, 8))
    native = load_data(archive(), resolution=8)
    images, labels = native.test.arrays()
    assert np.array_equal(labels, np.arange(8) % 4)
    expected = (arrays()["x_test"] / 255 - native.mean) / native.std
    assert images == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 1), (12, 8, 3)])
def test_grey_and_oblong_images_are_accepted(archive, shape):
    data = load_data(archive(x_train=np.zeros((40, *shape), np.uint8), x_test=np.zeros((8, *shape), np.uint8)))
    assert data.native_resolution == shape[:2]
    assert data.test.arrays()[0].shape == (8, 32, 32, 3)


def test_labels_may_stand_in_a_column(archive):
    assert len(load_data(archive(y_train=(np.arange(40) % 4)[:, None])).train) == 32


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"y_test": None}, "y_test is missing; give x_train, y_train, x_test, y_test"),
        ({"x_train": np.zeros((40, 8, 8, 3), np.float32)}, "x_train is float32"),
        ({"x_train": np.full((40, 8, 8, 3), np.nan)}, "x_train is float64"),
        ({"x_train": np.zeros((40, 3, 8, 8), np.uint8)}, r"x_train is uint8 \(40, 3, 8, 8\)"),
        ({"x_train": np.zeros((40, 8), np.uint8)}, r"x_train is uint8 \(40, 8\)"),
        ({"x_test": np.zeros((0, 8, 8, 3), np.uint8), "y_test": np.zeros(0, int)}, "x_test is uint8 "),
        ({"x_test": np.zeros((8, 9, 9, 3), np.uint8)}, "x_train has images of "),
        ({"y_train": np.arange(39) % 4}, "give 40 class numbers"),
        ({"y_train": np.eye(4, dtype=int)[np.arange(40) % 4]}, r"y_train is int64 \(40, 4\)"),
        ({"y_train": np.full(40, np.nan)}, r"y_train is float64 \(40,\) with a nan"),
        ({"y_train": np.arange(40) / 2}, r"y_train is float64 \(40,\) with a 0\.5; give 40 class numbers from 0"),
        ({"y_train": np.arange(40.0)}, r"y_train is float64 \(40,\); give 40 class numbers"),
        ({"y_train": np.arange(40) % 4 - 1}, r"y_train is int64 \(40,\) with a -1; give 40 class numbers from 0"),
        ({"y_train": np.zeros(40, int), "y_test": np.zeros(8, int)}, "labels up to 0"),
        ({"y_test": np.arange(8)}, "class '4' has 0 images"),
        ({"y_test": np.full(8, 2**40)}, "labels up to"),
        ({"y_train": np.array([None] * 40, object)}, "cannot read .*, or one that holds Python objects; give an .npz"),
    ],
)
def test_what_is_wrong_with_an_archive_is_said(archive, changes, text):
    path = archive(**changes)
    with pytest.raises(InputError, match=text) as caught:
        load_data(path)
    assert path in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 torn", None])
def test_a_file_that_is_no_archive_is_named(tmp_path, content):
    path = tmp_path / "set.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=f"cannot read {path}") as caught:
        load_data(str(path))
    assert "pickle" not in str(caught.value)


def test_a_torn_archive_is_named(archive):
    path = Path(archive())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=f"cannot read {path}"):
        load_data(str(path))


def test_an_unknown_name_gets_the_nearest_and_a_missing_folder_its_path(tmp_path):
    with pytest.raises(InputError, match=r"unknown data 'cifar'; did you mean: cifar10"):
        load_data("cifar")
    with pytest.raises(InputError, match=f"no data in {tmp_path}/absent; give a folder"):
        load_data(f"{tmp_path}/absent")


def test_a_failed_download_is_one_error(tmp_path, monkeypatch):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("MOBILENAS_DATA", str(tmp_path / "sets"))
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(
        InputError, match=r"cannot get cifar10 into .*sets: .*no route to host.*MOBILENAS_DATA"
    ) as caught:
        load_data("cifar10")
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_for_data_sets_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOBILENAS_DATA", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot get fashion-mnist into"):
        load_data("fashion-mnist")


def idx(array):
    """An array in MNIST's own format."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def test_a_torchvision_set_that_is_there_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_DATA", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", None)
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for half, count in (("train", 60), ("t10k", 20)):
        (raw / f"{half}-images-idx3-ubyte").write_bytes(idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)))
        (raw / f"{half}-labels-idx1-ubyte").write_bytes(idx((np.arange(count) % 10).astype(np.uint8)))
    data = load_data("fashion-mnist")
    assert data.class_names[:2] == ("T-shirt/top", "Trouser")
    assert (len(data.train), len(data.validation), len(data.test)) == (50, 10, 20)
    assert (data.resolution, data.native_resolution, data.flips) == (32, (28, 28), True)


@pytest.mark.skipif(not CIFAR10_SUBSET.exists(), reason="set MOBILENAS_TEST_DATA to a folder with cifar10_subset/")
def test_cifar10_from_an_archive(network):
    data = load_data(str(CIFAR10_SUBSET))
    assert (len(data.train), len(data.validation), len(data.test)) == (8500, 1500, 2000)
    assert data.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.01)  # published for all 50,000 images
    assert data.std == pytest.approx((0.2470, 0.2435, 0.2616), abs=0.01)
    module = network()
    train(module, data, Recipe(epochs=2, batch_size=64, augmentation="none"), seed=0)
    assert accuracy(module, data.test) > 0.3


@pytest.mark.skipif(not FASHION_MNIST.exists(), reason="Debian's package dataset-fashion-mnist is not installed")
def test_fashion_mnist_from_debian(tmp_path, monkeypatch):
    monkeypatch.setenv("MOBILENAS_DATA", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", None)
    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for packed in FASHION_MNIST.glob("*-ubyte.gz"):
        with gzip.open(packed) as source, (raw / packed.stem).open("wb") as target:
            shutil.copyfileobj(source, target)
    data = load_data("fashion-mnist")
    assert (len(data.train), len(data.validation), len(data.test)) == (51_000, 9_000, 10_000)
    assert data.mean[0] == pytest.approx(0.286, abs=0.002)
    assert data.std[0] == pytest.approx(0.353, abs=0.002)
