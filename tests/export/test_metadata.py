"""Labels and normalisation are where TFLite's tools look for them."""

import io
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types as types

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import Metadata, random_weights, write_tflite
from mobilenas.runners import LiteRTProcess
from mobilenas.verification import verify_file

ABOUT = Metadata(labels=("cat", "dog"), mean=(0.5, 0.4, 0.2), std=(0.5, 0.25, 0.125))
GRAPH = models.get("mobilenet_v3_small", resolution=32, num_classes=2).graph()
WEIGHTS = random_weights(GRAPH)


class Table:
    """A table of a schema whose classes are not at hand: fields by slot."""

    def __init__(self, data: bytes, position: int) -> None:
        self._table = flatbuffers.table.Table(bytearray(data), position)

    def _at(self, slot: int) -> int:
        offset = self._table.Offset(4 + 2 * slot)
        assert offset, f"slot {slot} is empty"
        return offset + self._table.Pos

    def table(self, slot: int) -> "Table":
        return Table(bytes(self._table.Bytes), self._table.Indirect(self._at(slot)))

    def tables(self, slot: int) -> list["Table"]:
        start, count = self._vector(slot)
        return [Table(bytes(self._table.Bytes), self._table.Indirect(start + 4 * i)) for i in range(count)]

    def floats(self, slot: int) -> list[float]:
        start, count = self._vector(slot)
        return [self._table.Get(types.Float32Flags, start + 4 * i) for i in range(count)]

    def text(self, slot: int) -> str:
        return self._table.String(self._at(slot)).decode()

    def byte(self, slot: int) -> int:
        return self._table.Get(types.Uint8Flags, self._at(slot))

    def _vector(self, slot: int) -> tuple[int, int]:
        offset = self._table.Offset(4 + 2 * slot)
        return self._table.Vector(offset), self._table.VectorLen(offset)


def test_the_table_by_the_slots_of_the_published_schema():
    model = write_tflite(GRAPH, WEIGHTS, description="pets", metadata=ABOUT)
    file = schema.ModelT.InitFromPackedBuf(model, 0)
    (entry,) = file.metadata
    assert entry.name == b"TFLITE_METADATA"
    data = bytes(file.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    root = Table(data, int.from_bytes(data[:4], "little"))
    assert (root.text(0), root.text(7)) == ("pets", "1.0.0")
    (subgraph,) = root.tables(3)
    (image,), (scores,) = subgraph.tables(2), subgraph.tables(3)
    content = image.table(3)
    assert (image.text(0), content.byte(0), content.table(1).byte(0)) == ("image", 2, 1)  # an image, RGB
    (unit,) = image.tables(4)
    assert unit.byte(0) == 1  # normalisation
    assert unit.table(1).floats(0) == pytest.approx([127.5, 102, 51])
    assert unit.table(1).floats(1) == pytest.approx([127.5, 63.75, 31.875])
    (labels,) = scores.tables(6)
    assert (labels.text(0), labels.byte(2)) == ("labels.txt", 2)  # one a line along the last axis


def test_the_labels_are_in_an_archive_behind_the_model_which_runs_as_before():
    model = write_tflite(GRAPH, WEIGHTS, metadata=ABOUT)
    assert zipfile.ZipFile(io.BytesIO(model)).read("labels.txt") == b"cat\ndog\n"
    assert model == write_tflite(GRAPH, WEIGHTS, metadata=ABOUT)
    with LiteRTProcess() as process:
        assert verify_file(model, GRAPH, WEIGHTS, runtime=process).passed


@pytest.mark.parametrize(
    ("field", "value"),
    [("labels", ("a\nb", "c")), ("labels", ("",)), ("mean", (0.5,)), ("std", (1.0, 0.0, 1.0)), ("std", (1.0,))],
)
def test_what_is_not_accepted(field, value):
    settings = {"labels": ("a", "b"), "mean": (0.5,) * 3, "std": (0.5,) * 3, field: value}
    with pytest.raises(InputError, match=field):
        Metadata(**settings)


def test_folding_keeps_the_function_and_the_names():
    from mobilenas.export import folded_network
    from mobilenas.nn import outputs

    folded, state = folded_network(GRAPH, WEIGHTS)
    assert {name: value.shape for name, value in state.items()} == folded.state_shapes()
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3)).astype(np.float32)
    exact = outputs(GRAPH, WEIGHTS, images, exact=True)
    np.testing.assert_allclose(outputs(folded, state, images, exact=True), exact, atol=1e-5 * np.abs(exact).max())
