from pathlib import Path

import numpy as np
import pytest

from mobilenas.errors import InputError
from mobilenas.evaluators import TabularEvaluator
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

SPACE = NasBenchMacroSpace()
LINES = ("arch,mean_acc", "00000001,85.5", "21000000,91.25", "00010000,88", "00001000,87")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "table.csv").write_text("\n".join(LINES) + "\n")
    return tmp_path / "table.csv"


@pytest.fixture
def table(path: Path) -> TabularEvaluator:
    return TabularEvaluator.from_csv(SPACE, path, genotype="arch", accuracy_percent="mean_acc")


def test_genotypes_are_looked_up(table: TabularEvaluator) -> None:
    found = table.evaluate_batch([[2, 1, 0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 1]])
    assert found.accuracy.tolist() == [0.9125, 0.855]
    assert found.std.tolist() == [0.0, 0.0]
    assert not found.extrapolated.any()


def test_equal_networks_keep_their_own_accuracies(table: TabularEvaluator) -> None:
    one, other = SPACE.decode((0, 0, 0, 1, 0, 0, 0, 0)), SPACE.decode((0, 0, 0, 0, 1, 0, 0, 0))
    assert one.canonical == other.canonical
    assert table(one, seed=0).accuracy == 0.88
    assert table(other, seed=1).accuracy == 0.87


def test_what_the_table_lacks_is_named(table: TabularEvaluator) -> None:
    with pytest.raises(InputError, match=r"table.csv does not have genotype \(2, 2, 2, 2, 2, 2, 2, 2\)"):
        table.evaluate_batch([(2,) * 8])
    with pytest.raises(InputError, match="does not have nas_bench_macro-22222222"):
        table(SPACE.decode((2,) * 8), seed=0)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("0000000,85", "line 6: .* a genotype of 7 is not accepted"),
        ("00000003,85", "line 6: .* choice 3 is not accepted"),
        ("0000000x,85", "line 6"),
        ("00000002,high", "line 6"),
        ("00000002,101", r"give numbers in \[0, 1\]"),
        ("00000001,85", "stands there twice"),
    ],
)
def test_lines_that_are_not_valid_are_named(path: Path, line: str, error: str) -> None:
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=error):
        TabularEvaluator.from_csv(SPACE, path, genotype="arch", accuracy_percent="mean_acc")


def test_a_column_that_is_missing_is_named(path: Path) -> None:
    with pytest.raises(InputError, match="no column 'top1'; it has arch, mean_acc"):
        TabularEvaluator.from_csv(SPACE, path, genotype="arch", accuracy_percent="top1")


def test_arrays_that_do_not_fit_the_space_are_refused() -> None:
    with pytest.raises(InputError, match="8"):
        TabularEvaluator(SPACE, np.zeros((2, 7), np.uint8), np.zeros(2))
    with pytest.raises(InputError, match="choice"):
        TabularEvaluator(SPACE, np.full((1, 8), 3, np.uint8), np.zeros(1))
