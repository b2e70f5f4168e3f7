import pytest

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.verification import inspect_file


def test_a_file_is_what_its_network_says_and_no_other() -> None:
    graph = models.get("mobilenet_v3_small", resolution=32).graph()
    model = write_tflite(graph, random_weights(graph))
    report = inspect_file(model, graph)
    assert report.passed
    assert [check.name for check in report.checks] == ["inputs", "outputs", "operators", "delegate", "size"]
    other = models.get("mobilenet_v2", resolution=32).graph()
    assert [check.name for check in inspect_file(model, other).checks if not check.passed] == ["operators"]
    larger = models.get("mobilenet_v3_small", resolution=64).graph()
    assert [check.name for check in inspect_file(model, larger).checks if not check.passed] == ["inputs"]


def test_what_is_no_file_is_refused() -> None:
    graph = models.get("mobilenet_v2", resolution=32).graph()
    with pytest.raises(InputError, match="not a TFLite file"):
        inspect_file(b"nonsense", graph)
    model = write_tflite(graph, random_weights(graph))
    with pytest.raises(InputError, match="damaged"):
        inspect_file(model[: len(model) // 2], graph)
