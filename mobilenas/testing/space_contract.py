"""What every search space must do."""

from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.spaces import CompiledCosts, Genotype, SearchSpace

RANDOM_GENOTYPES = 60
MAX_COMBINATIONS = 100_000
"""Of one factor's choices: a compiled predictor holds a row for each."""


class SpaceContract:
    """A suite for one space; override `factory`."""

    @pytest.fixture
    def factory(self) -> Callable[[], SearchSpace]:
        """Makes the space."""
        pytest.fail("override the fixture 'factory' so that it returns a function that makes the space")

    @pytest.fixture
    def space(self, factory: Callable[[], SearchSpace]) -> SearchSpace:
        return factory()

    @pytest.fixture
    def genotypes(self, space: SearchSpace) -> list[Genotype]:
        """The first, the last, and random ones."""
        rng = np.random.default_rng(0)
        ends = [tuple(0 for _ in space.sizes), tuple(size - 1 for size in space.sizes)]
        return ends + [space.sample(rng) for _ in range(RANDOM_GENOTYPES)]

    def test_decisions_have_different_choices(self, space: SearchSpace) -> None:
        assert space.decisions
        for name, choices in space.decisions.items():
            assert 1 <= len(choices) <= 256, name
            assert len(set(choices)) == len(choices), name
        assert space.size == prod(len(choices) for choices in space.decisions.values())

    def test_two_of_a_kind_agree(self, factory: Callable[[], SearchSpace], genotypes: list[Genotype]) -> None:
        one, other = factory(), factory()
        assert list(one.decisions.items()) == list(other.decisions.items())
        assert all(one.decode(genotype) == other.decode(genotype) for genotype in genotypes[:10])

    def test_factors_add_up_to_the_graph(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        for genotype in genotypes:
            total: Counter[OpSpec] = Counter()
            for factor in space.factors():
                total.update(factor.ops(tuple(genotype[d] for d in factor.decisions)))
            assert total == space.decode(genotype).graph().op_counts(), genotype

    def test_compiled_costs_are_those_of_the_graphs(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        graphs = [space.decode(genotype).graph() for genotype in genotypes]
        for dtype in ("float32", "int8"):
            costs = CompiledCosts(space, dtype)
            assert costs.macs(genotypes).tolist() == [graph.macs for graph in graphs]
            assert costs.params(genotypes).tolist() == [graph.params for graph in graphs]
            assert costs.ops(genotypes).tolist() == [len(graph.nodes) for graph in graphs]
            assert costs.weight_bytes(genotypes).tolist() == [graph.weight_bytes(dtype) for graph in graphs]
            peaks = [graph.peak_memory_bytes(dtype) for graph in graphs]
            assert costs.peak_memory_bytes(genotypes).tolist() == peaks

    def test_factors_are_small_and_cover_every_decision(self, space: SearchSpace) -> None:
        for factor in space.factors():
            assert len(set(factor.decisions)) == len(factor.decisions)
            assert prod(space.sizes[d] for d in factor.decisions) <= MAX_COMBINATIONS
        covered = {decision for factor in space.factors() for decision in factor.decisions}
        assert covered == set(range(len(space.sizes)))

    def test_distinct_ops_hold_those_of_every_network(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        for genotype in genotypes:
            assert space.decode(genotype).graph().op_counts().keys() <= space.distinct_ops()

    def test_networks_survive_a_file(self, space: SearchSpace, genotypes: list[Genotype], tmp_path: Path) -> None:
        for genotype in genotypes[:10]:
            arch = space.decode(genotype)
            arch.save(tmp_path / "arch.json")
            assert Arch.load(tmp_path / "arch.json") == arch

    def test_encode_inverts_choices(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        for genotype in genotypes:
            assert space.encode(space.choices(genotype)) == genotype

    def test_a_batch_covers_every_choice(self, space: SearchSpace) -> None:
        batch = space.sample_batch(64 * max(space.sizes), np.random.default_rng(0))
        assert batch.dtype == np.uint8
        for decision, size in enumerate(space.sizes):
            assert set(batch[:, decision].tolist()) == set(range(size))

    def test_mutation_changes_one_decision(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        rng = np.random.default_rng(0)
        for genotype in genotypes:
            mutant = space.check(space.mutate(genotype, rng))
            assert sum(a != b for a, b in zip(genotype, mutant, strict=True)) == 1

    def test_crossover_takes_from_both_parents(self, space: SearchSpace) -> None:
        a, b = tuple(0 for _ in space.sizes), tuple(size - 1 for size in space.sizes)
        rng = np.random.default_rng(0)
        children = [space.crossover(a, b, rng) for _ in range(RANDOM_GENOTYPES)]
        for decision, both in enumerate(zip(a, b, strict=True)):
            assert {child[decision] for child in children} == set(both)

    def test_genotypes_that_do_not_fit_are_refused(self, space: SearchSpace, genotypes: list[Genotype]) -> None:
        good = genotypes[0]
        no_whole_number: list[Any] = [0.5, *good[1:]]
        for genotype in (good[:-1], (*good, 0), (-1, *good[1:]), (*good[:-1], space.sizes[-1]), no_whole_number):
            with pytest.raises(InputError):
                space.decode(genotype)
