from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mobilenas.arch import Arch
from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.heads.conv_pool_linear import ConvPoolLinear
from mobilenas.errors import InputError
from mobilenas.spaces import Choice, Emitted, Factor, SearchSpace, open_space


class FewSpace(SearchSpace):
    """Three decisions of 1, 2 and 3 choices; only the last matters."""

    name = "few"

    @property
    def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
        return {"fixed": ("only",), "label": ("a", "b"), "width": (8, 16, 24)}

    def decode(self, genotype: Sequence[int]) -> Arch:
        width = 8 * (1 + self.check(genotype)[2])
        return Arch(stem=ConvBnAct(out_channels=width), stages=(), head=ConvPoolLinear(out_channels=8), resolution=8)

    def factors(self) -> tuple[Factor, ...]:
        return (Factor((2,), lambda choices: Emitted.of(self.decode((0, 0, choices[0])).graph())),)


def test_size_is_the_product_of_the_choices() -> None:
    assert FewSpace().sizes == (1, 2, 3)
    assert FewSpace().size == 6


def test_distinct_ops_are_the_union_over_all_choices() -> None:
    # per width: the stem and the head's convolution; the mean and the classifier are the same for all three
    assert len(FewSpace().distinct_ops()) == 3 + 3 + 1 + 1


def test_sampling_is_uniform() -> None:
    rng = np.random.default_rng(0)
    singles = Counter(FewSpace().sample(rng) for _ in range(6000))
    batch = Counter(tuple(row) for row in FewSpace().sample_batch(6000, rng).tolist())
    for counts in (singles, batch):
        assert len(counts) == 6
        assert all(abs(count - 1000) < 5 * np.sqrt(1000) for count in counts.values())


def test_mutation_is_uniform_over_open_decisions_and_other_choices() -> None:
    rng = np.random.default_rng(0)
    counts = Counter(FewSpace().mutate((0, 0, 0), rng) for _ in range(4000))
    assert counts.keys() == {(0, 1, 0), (0, 0, 1), (0, 0, 2)}
    assert counts[0, 1, 0] == pytest.approx(2000, abs=160)
    assert counts[0, 0, 1] == pytest.approx(1000, abs=140)


def test_a_space_of_one_network_mutates_to_itself() -> None:
    class OneSpace(FewSpace):
        @property
        def decisions(self) -> Mapping[str, tuple[Choice, ...]]:
            return {"fixed": ("only",), "label": ("a",), "width": (8,)}

    assert OneSpace().mutate((0, 0, 0), np.random.default_rng(0)) == (0, 0, 0)


def test_choices_name_the_values() -> None:
    assert FewSpace().choices((0, 1, 2)) == {"fixed": "only", "label": "b", "width": 24}


def test_numpy_genotypes_are_taken() -> None:
    row = np.array([0, 1, 2], np.uint8)
    checked = FewSpace().check(row)
    assert checked == (0, 1, 2)
    assert all(type(choice) is int for choice in checked)


@pytest.mark.parametrize(
    ("genotype", "text"),
    [
        ((0, 1), "few: a genotype of 2 is not accepted; give 3 choices"),
        ((0, 2, 0), "few: label: choice 2 is not accepted; give 0 to 1"),
        ((0, -1, 0), "few: label: choice -1 is not accepted"),
        ((0, 0.5, 0), r"few: \(0, 0.5, 0\) is not accepted; give whole numbers"),
    ],
)
def test_genotypes_that_do_not_fit_are_named(genotype: tuple[int, ...], text: str) -> None:
    with pytest.raises(InputError, match=text):
        FewSpace().decode(genotype)


@pytest.mark.parametrize(
    ("choices", "text"),
    [
        ({"fixed": "only", "label": "c", "width": 8}, "few: label: 'c' is not accepted; give one of"),
        ({"fixed": "only", "label": "a"}, "few: width: None is not accepted"),
        ({"fixed": "only", "label": "a", "width": 8, "depth": 1}, "unknown decision 'depth'; accepted: fixed, label"),
    ],
)
def test_choices_that_do_not_fit_are_named(choices: dict[str, Choice], text: str) -> None:
    with pytest.raises(InputError, match=text):
        FewSpace().encode(choices)


def test_an_unknown_space_names_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown space 'mnasnt'; did you mean: mnasnet"):
        open_space("mnasnt", resolution=224, num_classes=1000)
