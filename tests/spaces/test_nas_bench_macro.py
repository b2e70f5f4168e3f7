import csv
import os
from pathlib import Path

import numpy as np
import pytest

from mobilenas.spaces import CompiledCosts
from mobilenas.spaces.nas_bench_macro import NasBenchMacroSpace

TEST_DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
TABLE = TEST_DATA / "nas_bench_macro" / "nas_bench_macro.csv"
SPACE = NasBenchMacroSpace()

# parameters and multiply-adds as the benchmark's file has them
PUBLISHED = {
    "02012100": (890_666, 47_327_744),
    "11111221": (2_181_386, 65_012_224),
    "00011110": (1_118_378, 31_390_208),
    "02012220": (1_886_890, 65_495_552),
}


def test_size() -> None:
    assert SPACE.size == 3**8 == 6561


@pytest.mark.parametrize(("digits", "params", "macs"), [(k, *v) for k, v in PUBLISHED.items()])
def test_networks_cost_what_was_published(digits: str, params: int, macs: int) -> None:
    graph = SPACE.decode([int(digit) for digit in digits]).graph()
    assert (graph.params, graph.macs) == (params, macs)


def test_an_identity_that_changes_the_shape_is_a_convolution_and_another_is_nothing() -> None:
    arch = SPACE.decode((0,) * 8)
    assert [len(stage) for stage in arch.stages] == [1, 1, 1]
    assert {block.type for stage in arch.stages for block in stage} == {"conv_bn_act"}
    assert SPACE.decode((0, 0, 0, 1, 0, 0, 0, 0)).canonical == SPACE.decode((0, 0, 0, 0, 1, 0, 0, 0)).canonical


@pytest.mark.skipif(not TABLE.exists(), reason="set MOBILENAS_TEST_DATA to a folder with nas_bench_macro/")
def test_all_networks_cost_what_was_published() -> None:
    with TABLE.open() as file:
        rows = list(csv.DictReader(file))
    genotypes = np.array([[int(digit) for digit in row["arch"]] for row in rows], np.uint8)
    costs = CompiledCosts(SPACE)
    assert costs.params(genotypes).tolist() == [int(row["params"]) for row in rows]
    assert costs.macs(genotypes).tolist() == [int(row["flops"]) for row in rows]
