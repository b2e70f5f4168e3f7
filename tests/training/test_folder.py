"""Folders of images: real digits as PNG files."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from mobilenas.errors import InputError
from mobilenas.training import Recipe, accuracy, load_data, train
from mobilenas.training.batches import TrainingBatches
from mobilenas.training.folder import FolderImages


def write_digits(folder, digits, split, per_class):
    """The first images of every class of a split, as `folder/<class>/<number>.png`."""
    pixels = split.images.pixels[torch.from_numpy(split.indices)][:, 0].numpy()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True)
        for number, image in enumerate(pixels[split.labels == label][:per_class]):
            Image.fromarray(image).save(folder / str(label) / f"{number:03}.png")


@pytest.fixture(scope="session")
def class_folder(digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("images") / "digits"
    write_digits(folder, digits, digits.train, 25)
    return folder


def names(split):
    return {str(split.images.paths[i].relative_to(split.images.paths[i].parents[1])) for i in split.indices}


def test_class_folders_are_split_in_three(class_folder):
    data = load_data(str(class_folder), resolution=32)
    assert data.class_names == tuple("0123456789")
    assert data.native_resolution is None
    assert (len(data.train), len(data.validation), len(data.test)) == (170, 30, 50)
    assert len(names(data.train) | names(data.validation) | names(data.test)) == 250
    for split, count in ((data.train, 17), (data.validation, 3), (data.test, 5)):
        assert np.bincount(split.labels).tolist() == [count] * 10


def test_the_split_follows_from_names_alone(class_folder, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(class_folder, moved)
    one, other = load_data(str(class_folder), resolution=32), load_data(str(moved), resolution=32, seed=77)
    for part in ("train", "validation", "test"):
        assert names(getattr(one, part)) == names(getattr(other, part))


def test_a_held_out_folder_is_the_test_split(digits, tmp_path):
    write_digits(tmp_path / "train", digits, digits.train, 10)
    write_digits(tmp_path / "val", digits, digits.validation, 4)
    data = load_data(str(tmp_path), resolution=32)
    assert (len(data.train), len(data.validation), len(data.test)) == (80, 20, 40)
    assert {path.parents[1].name for path in data.test.images.paths} == {"val"}
    assert names(data.validation) != names(load_data(str(tmp_path), resolution=32, seed=1).validation)
    write_digits(tmp_path / "test", digits, digits.test, 3)
    data = load_data(str(tmp_path), resolution=32)
    assert (len(data.train), len(data.validation), len(data.test)) == (100, 40, 30)
    assert {path.parents[1].name for path in data.test.images.paths} == {"test"}
    assert {path.parents[1].name for path in data.validation.images.paths} == {"val"}


def test_pixels_are_those_of_the_files(class_folder):
    data = load_data(str(class_folder), resolution=8)
    index = int(data.train.indices[4])
    expected = np.asarray(Image.open(data.train.images.paths[index]))
    fetched = data.train.images.fetch([index])
    assert fetched.shape == (1, 3, 8, 8)
    assert all(np.array_equal(fetched[0, channel].numpy(), expected) for channel in range(3))


def test_reading_ahead_changes_nothing(class_folder):
    data = load_data(str(class_folder), resolution=32)
    assert data.train.images.workers >= 1
    batches = TrainingBatches(data.train, lambda images: images, batch_size=16, seed=0)
    read_ahead = list(batches.stream(8, 14))
    assert len(read_ahead) == 6
    for step, (images, labels) in enumerate(read_ahead, 8):
        here = batches[step]
        assert torch.equal(images, here[0])
        assert torch.equal(labels, here[1])


def test_training_on_a_folder(class_folder, network):
    data = load_data(str(class_folder), resolution=32)
    module = network()
    result = train(module, data, Recipe(epochs=8, batch_size=16, augmentation="none"), seed=0)
    assert result.history[-1].loss < result.history[0].loss
    assert accuracy(module, data.test) > 0.3


def test_an_unreadable_image_is_named(class_folder, network, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(class_folder, broken)
    data = load_data(str(broken), resolution=32)
    path = data.train.images.paths[data.train.indices[0]]
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InputError, match=f"cannot read image {path}: .*; remove or replace it") as caught:
        train(network(), data, Recipe(epochs=1, batch_size=16), seed=0)
    assert len(str(caught.value).splitlines()) == 1
    path.write_text("no image")
    with pytest.raises(InputError, match=f"cannot read image {path}"):
        data.train.arrays()


@pytest.mark.parametrize(
    ("folders", "text"),
    [
        ([], "0 class folders"),
        (["a"], "1 class folders"),
        (["a", "b", ".hidden"], "b: the class folder holds no images"),
    ],
)
def test_a_folder_without_images_of_two_classes_is_named(tmp_path, folders, text):
    for name in folders:
        (tmp_path / name).mkdir()
    if "a" in folders:
        Image.new("L", (8, 8)).save(tmp_path / "a" / "1.png")
        (tmp_path / folders[-1] / "._1.png").write_text("what macOS leaves behind")
    with pytest.raises(InputError, match=text) as caught:
        load_data(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_class_folders_must_agree(digits, tmp_path):
    write_digits(tmp_path / "train", digits, digits.train, 3)
    write_digits(tmp_path / "val", digits, digits.validation, 3)
    (tmp_path / "val" / "7").rename(tmp_path / "val" / "seven")
    with pytest.raises(InputError, match=r"val: class '7' is not both here and in train"):
        load_data(str(tmp_path))


def test_a_class_that_is_too_small_is_named(tmp_path):
    for name, count in (("a", 5), ("b", 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("L", (8, 8)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(InputError, match=f"{tmp_path}: class 'b' has 1 images"):
        load_data(str(tmp_path))


def fetched(path, image, resolution=16, **options):
    image.save(path, **options)
    return FolderImages((path,), np.zeros(1, np.int64), resolution).fetch([0])[0]


def test_the_middle_is_cut_out_and_other_modes_become_rgb(tmp_path):
    wide = np.zeros((16, 48, 3), np.uint8)
    wide[:, 16:32] = (10, 20, 30)
    pixels = fetched(tmp_path / "wide.png", Image.fromarray(wide))
    assert pixels.flatten(1).unique(dim=1).flatten().tolist() == [10, 20, 30]
    assert fetched(tmp_path / "alpha.png", Image.new("RGBA", (16, 16), (9, 8, 7, 128)))[:, 0, 0].tolist() == [9, 8, 7]
    assert fetched(tmp_path / "palette.png", Image.new("P", (16, 16)))[:, 0, 0].tolist() == [0, 0, 0]
    deep = Image.fromarray(np.full((16, 16), 200 * 256, np.uint16))
    assert fetched(tmp_path / "deep.png", deep)[:, 3, 3].tolist() == [200, 200, 200]


def test_a_photograph_is_turned_upright(tmp_path):
    half = np.zeros((16, 16), np.uint8)
    half[:, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left of the file is the top of the picture
    pixels = fetched(tmp_path / "turned.png", Image.fromarray(half), exif=exif)
    assert pixels[0, 2, 8] == 255
    assert pixels[0, 13, 8] == 0


def test_a_large_jpeg_is_read_at_a_size_that_suffices(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 512).astype(np.uint8), (512, 1))
    pixels = fetched(tmp_path / "ramp.jpg", Image.fromarray(ramp), resolution=64, quality=95)
    expected = np.linspace(0, 255, 512).reshape(64, 8).mean(1)
    assert pixels[0, 30].numpy() == pytest.approx(expected, abs=3)


@pytest.mark.parametrize(("ending", "kept"), [("png", 0), ("png", 60), ("png", -500), ("jpg", 20), ("jpg", -200)])
def test_a_damaged_image_of_any_split_is_named_before_anything_is_trained(class_folder, tmp_path, ending, kept):
    copy = tmp_path / "copy"
    shutil.copytree(class_folder, copy)
    held_out = sorted(names(load_data(str(copy), resolution=32).test))[0]
    path = copy / held_out
    Image.effect_noise((64, 64), 50).save(path.with_suffix(f".{ending}"))
    whole = path.with_suffix(f".{ending}").read_bytes()
    path.write_bytes(whole[:kept])
    with pytest.raises(InputError, match=f"cannot read image {path}: .*; remove or replace it"):
        load_data(str(copy), resolution=32)


def test_what_stands_behind_the_end_of_an_image_is_no_damage(class_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(class_folder, copy)
    Image.effect_noise((64, 64), 50).save(copy / "3" / "noise.jpg")
    with (copy / "3" / "noise.jpg").open("ab") as file:
        file.write(bytes(100))
    assert len(load_data(str(copy), resolution=32).train) == 171
