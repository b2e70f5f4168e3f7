"""What a file may lose on labelled images."""

import numpy as np
import pytest

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.export import random_weights, write_tflite
from mobilenas.nn import outputs
from mobilenas.verification import Labelled, verify_file
from mobilenas.verification.accuracy import accuracy_checks


def scores(classes: list[int]) -> np.ndarray:
    return np.eye(3, dtype=np.float32)[classes]


def labelled(labels: list[int], max_drop: float = 0.01) -> Labelled:
    images = np.zeros((len(labels), 1, 1, 3), np.float32)
    return Labelled(images=images, labels=np.array(labels), max_drop=max_drop)


@pytest.mark.parametrize(
    ("file", "torch", "labels", "dtype", "max_drop", "passed"),
    [
        ([0] * 100, [0] * 100, [0] * 100, "int8", 0.0, [True, True]),
        ([1] + [0] * 99, [0] * 100, [0] * 100, "int8", 0.01, [True, True]),  # one point exactly
        ([1] * 2 + [0] * 98, [0] * 100, [0] * 100, "int8", 0.01, [True, False]),
        ([1] * 2 + [0] * 98, [0] * 100, [0] * 100, "float32", 0.05, [False, True]),
        ([1] * 11 + [0] * 89, [0] * 100, [0] * 100, "int8", 0.5, [False, True]),
        ([0] * 100, [1] * 100, [0, 1] * 50, "int8", 0.0, [False, True]),  # a file of other weights, none trained
    ],
)
def test_by_hand(file, torch, labels, dtype, max_drop, passed):
    checks = accuracy_checks(scores(file), scores(torch), labelled(labels, max_drop), dtype)
    assert [check.name for check in checks] == ["top-1 agreement", "accuracy"]
    assert [check.passed for check in checks] == passed


@pytest.mark.parametrize(("right", "passed"), [(0, False), (40, False), (80, True)])
def test_other_classes_are_right_in_a_fine_tuned_file_if_torch_is_better_than_chance(right, passed):
    """100 images of two classes; torch names so many of them right, the file all."""
    labels = [0, 1] * 50
    torch = [label if i < right else 2 for i, label in enumerate(labels)]
    for fine_tuned in (False, True):
        agreement, accuracy = accuracy_checks(
            scores(labels), scores(torch), labelled(labels), "int8", fine_tuned=fine_tuned
        )
        assert agreement.passed == (fine_tuned and passed)
        assert accuracy.passed
        assert ("no better than chance" in accuracy.found) == (not passed)


def test_a_good_and_a_broken_file_on_labelled_images():
    graph = models.get("mobilenet_v3_small", resolution=32, num_classes=10).graph()
    weights = random_weights(graph)
    images = np.random.default_rng(0).standard_normal((70, 32, 32, 3)).astype(np.float32)
    found = Labelled(images=images, labels=outputs(graph, weights, images).argmax(1))
    report = verify_file(write_tflite(graph, weights), graph, weights, labelled=found)
    assert report.passed
    assert [check.found for check in report.checks[-2:]] == ["70 of 70 images", "1.0000, torch 1.0000"]
    made_up = write_tflite(graph, weights, dtype="int8")
    report = verify_file(made_up, graph, weights, dtype="int8", labelled=found)
    assert [check.name for check in report.checks if not check.passed] == ["top-1 agreement", "accuracy"]
    assert verify_file(made_up, graph, None, dtype="int8").passed  # its form alone


def test_a_share_that_is_not_accepted():
    with pytest.raises(InputError, match=r"max_drop: 1\.5 is not accepted"):
        labelled([0], 1.5)
