"""Metadata: what a user of a file must know that its tensors do not say, as TFLite files carry it."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

import flatbuffers

from mobilenas.settings import Settings, check

BUFFER_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"
IMAGE_PROPERTIES, FEATURE_PROPERTIES, NORMALIZATION_OPTIONS, AXIS_LABELS, RGB = 2, 1, 1, 2, 1
"""Numbers of TFLite's metadata schema: two kinds of content, one of process units, one of files, a colour space."""


@dataclass(frozen=True, kw_only=True)
class Metadata(Settings):
    """How images go in and what the scores are of.

    Attributes:
        labels: Name of every class, in the order of the scores.
        mean, std: Per channel, in units of [0, 1] pixels: a network takes (pixel / 255 - mean) / std.

    Raises:
        FieldError: If a name is not in one line, or mean and std are not one number a channel.
    """

    labels: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for label in self.labels:
            check(len(label.splitlines()) == 1, "labels", label, "names of one line")
        check(len(self.mean) == 3, "mean", self.mean, "one number for each of three channels")
        check(len(self.std) == 3 and min(self.std) > 0, "std", self.std, "a number above 0 for each of three channels")


def metadata_table(metadata: Metadata, name: str) -> bytes:
    """The table that stands in the file's buffer `TFLITE_METADATA`.

    Source: TFLite's metadata schema, version 1.0.0: normalisation is (pixel - mean) / std of pixels from 0 to 255.
    """
    builder = flatbuffers.Builder(1024)
    options = _table(builder, _floats(builder, metadata.mean), _floats(builder, metadata.std))
    normalise = _table(builder, _Byte(NORMALIZATION_OPTIONS), options)
    image = _table(builder, _Byte(IMAGE_PROPERTIES), _table(builder, _Byte(RGB)))
    note = "RGB, normalised: (pixel - mean) / std"
    image_words = builder.CreateString("image"), builder.CreateString(note)
    entry = _table(builder, *image_words, None, image, _vector(builder, [normalise]))
    scores = _table(builder, _Byte(FEATURE_PROPERTIES), _table(builder))
    file_words = builder.CreateString(LABELS_FILE), builder.CreateString("one class a line, in the order of the scores")
    labels = _table(builder, *file_words, _Byte(AXIS_LABELS))
    score_words = builder.CreateString("scores"), builder.CreateString("one for each class, before a softmax")
    result = _table(builder, *score_words, None, scores, None, None, _vector(builder, [labels]))
    subgraph = _table(builder, None, None, _vector(builder, [entry]), _vector(builder, [result]))
    title, parser = builder.CreateString(name), builder.CreateString("1.0.0")
    subgraphs = _vector(builder, [subgraph])
    builder.Finish(_table(builder, title, None, None, subgraphs, None, None, None, parser), b"M001")
    return bytes(builder.Output())


def with_labels(model: bytes, labels: Sequence[str]) -> bytes:
    """The file with `labels.txt` in a zip archive behind it, where readers of metadata look for it."""
    buffer = io.BytesIO()
    buffer.write(model)
    with zipfile.ZipFile(buffer, "a") as archive:
        # a fixed date: the same network gives the same file
        archive.writestr(zipfile.ZipInfo(LABELS_FILE), "\n".join(labels) + "\n")
    return buffer.getvalue()


@dataclass(frozen=True, slots=True)
class _Byte:
    value: int


def _table(builder: flatbuffers.Builder, *slots: _Byte | int | None) -> int:
    """A table with, in each slot, a byte, the offset of another object, or nothing."""
    builder.StartObject(len(slots))
    for slot, value in enumerate(slots):
        if isinstance(value, _Byte):
            builder.PrependUint8Slot(slot, value.value, 0)
        elif value is not None:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return int(builder.EndObject())


def _vector(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _floats(builder: flatbuffers.Builder, values: Sequence[float]) -> int:
    """Numbers in units of [0, 1] pixels, as a vector in units of [0, 255]."""
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(255 * value)
    return int(builder.EndVector())
