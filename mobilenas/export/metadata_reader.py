"""read_metadata: labels and normalisation that a TFLite or an ONNX file says, none of it trusted."""

import io
import zipfile
from collections.abc import Mapping

from mobilenas.errors import FieldError, InputError
from mobilenas.export.flatbuffer_view import FlatbufferTable
from mobilenas.export.metadata import BUFFER_NAME, LABELS_FILE, Metadata

MAX_LABEL_BYTES = 2**24
MAX_ENTRIES = 1000


def read_metadata(model: bytes) -> Metadata | None:
    """What a TFLite file says of its images and scores, as `write_tflite` wrote it; None where it says nothing.

    Raises:
        InputError: If it says something that cannot be read.
    """
    root = FlatbufferTable.root(model)
    found = [entry for entry in root.tables(6, MAX_ENTRIES) if entry.text(0) == BUFFER_NAME]
    if not found:
        return None
    buffers, number = root.tables(4, 50_000), found[0].number(1, "I")
    if number >= len(buffers):
        raise InputError(f"damaged: the metadata stand in buffer {number} of {len(buffers)}")
    start, size = buffers[number].span(0)
    options = _down(FlatbufferTable.root(model[start : start + size]), 3, 2, 4)
    options = options and options.table(1)
    if options is None:
        raise InputError("damaged: the metadata say no normalisation")
    mean, std = ([value / 255 for value in options.floats(field, 3)] for field in (0, 1))
    return _checked(_labels(model), mean, std)


def metadata_of_entries(entries: Mapping[str, str]) -> Metadata | None:
    """The same of the entries of an ONNX file, as `write_onnx` wrote them.

    Raises:
        InputError: If they cannot be read.
    """
    names = ("labels", "mean", "std")
    if not any(name in entries for name in names):
        return None
    try:
        mean, std = ([float(value) for value in entries[name].split()] for name in names[1:])
        return _checked(entries["labels"].split("\n"), mean, std)
    except (KeyError, ValueError) as error:
        raise InputError(f"damaged: the entries labels, mean and std cannot be read: {error}") from error


def _down(table: FlatbufferTable, *fields: int) -> FlatbufferTable | None:
    """Into the first table of a list, and of a list in it, and so on."""
    for field in fields:
        inner = table.tables(field, MAX_ENTRIES)
        if not inner:
            return None
        table = inner[0]
    return table


def _labels(model: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(model)) as archive, archive.open(LABELS_FILE) as file:
            text = file.read(MAX_LABEL_BYTES).decode()
    except Exception as error:  # of the archive, its compression, its encoding or what a password is missing for
        raise InputError(f"damaged: {LABELS_FILE} cannot be read: {type(error).__name__}") from error
    return text.removesuffix("\n").split("\n")


def _checked(labels: list[str], mean: list[float], std: list[float]) -> Metadata:
    try:
        return Metadata(labels=tuple(labels), mean=tuple(mean), std=tuple(std))
    except FieldError as error:
        raise InputError(f"damaged: {error}") from error
