import json
import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import FieldError, InputError
from mobilenas.evaluators import EVALUATORS
from mobilenas.evaluators._error_model import ErrorModel
from mobilenas.evaluators.imagenet_surrogate import FILE, ImageNetSurrogate, SurrogateFile
from mobilenas.spaces.mnasnet_proxy import MnasNetProxySpace

TEST_DATA = Path(os.environ.get("MOBILENAS_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
PROXY = TEST_DATA / "imagenet_proxy" / "train.csv"
SPACE, SURROGATE = MnasNetProxySpace(), ImageNetSurrogate()
SMALLEST, LARGEST = (0,) * 28, tuple(size - 1 for size in SPACE.sizes)


def drawn(count: int) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(0)
    return [SPACE.sample(rng) for _ in range(count)]


def test_the_model_is_what_it_says() -> None:
    # two decisions of two choices; work terms of macs e (standardised 0.5), params 1 (standardised -1)
    model = ErrorModel(
        ceiling=0.8,
        codes=((-1.0, 1.0), (-2.0, 3.0)),
        effects=((0.1, 0.2), (0.3, 0.4)),
        interactions=(0.05,),
        log_means=(0.0, 2.0),
        log_stds=(2.0, 2.0),
        work=(1.0, 0.5, 0.2, 0.1, 0.4),
        intercept=0.7,
    )
    work = 1.0 * 0.5 + 0.5 * -1 + 0.2 * 0.25 + 0.1 * 1 + 0.4 * -0.5
    score = 0.7 + 0.2 + 0.3 + 0.05 * 1.0 * -2.0 + work
    found = model.accuracy(np.array([[1, 0]]), np.array([math.e]), np.array([1.0]))
    assert found == pytest.approx([0.8 - math.exp(-score)])


def test_a_model_of_other_sizes_is_refused() -> None:
    with pytest.raises(FieldError, match="interactions: 2 is not accepted; give 378 numbers"):
        replace(SurrogateFile.shipped().model, interactions=(0.0, 0.0))


def test_batches_and_networks_agree() -> None:
    genotypes = drawn(20)
    batch = SURROGATE.evaluate_batch(genotypes)
    for i, genotype in enumerate(genotypes):
        single = SURROGATE(SPACE.decode(genotype), seed=i)
        assert (single.accuracy, single.std) == (batch.accuracy[i], batch.std[i])
        assert single.status == "ok"


def test_a_network_is_known_by_what_it_computes() -> None:
    genotype = drawn(1)[0]
    arch = SPACE.decode(genotype)
    blocks = tuple(block for stage in arch.stages for block in stage)
    other = Arch.from_dict(json.loads(json.dumps(replace(arch, name="mine", stages=(blocks,)).to_dict())))
    assert SURROGATE(other, seed=0) == SURROGATE(arch, seed=0)


@pytest.mark.parametrize("name", ["mnasnet_a1", "mobilenet_v2", "efficientnet_b0"])
def test_other_networks_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"does not know {name}: it covers mnasnet_proxy at 224 pixels and 1000"):
        SURROGATE(models.get(name), seed=0)


def test_other_inputs_and_classes_are_refused() -> None:
    for arch in (SPACE.decode(SMALLEST).resized(resolution=192), SPACE.decode(SMALLEST).resized(num_classes=10)):
        with pytest.raises(InputError, match="does not know"):
            SURROGATE(arch, seed=0)


def test_networks_beyond_the_training_macs_are_marked_and_less_certain() -> None:
    found = SURROGATE.evaluate_batch([SMALLEST, LARGEST, drawn(1)[0]])
    assert found.extrapolated.tolist() == [True, True, False]
    file = SurrogateFile.shipped()
    assert file.sigma_extrapolated > file.sigma
    assert found.std == pytest.approx(np.array([file.sigma_extrapolated] * 2 + [file.sigma]) * (0.8 - found.accuracy))
    assert SURROGATE(SPACE.decode(LARGEST), seed=0).detail == "extrapolated"
    assert SPACE.decode(SMALLEST).graph().macs < file.least_macs
    assert SPACE.decode(LARGEST).graph().macs > file.most_macs


def test_it_is_made_without_images_and_says_what_it_is() -> None:
    assert not EVALUATORS["imagenet_surrogate"].needs_data
    assert EVALUATORS["short_training"].needs_data
    assert "reduced training schedule" in str(SURROGATE.settings["meaning"])


def test_provenance_and_licence_stand_beside_the_file() -> None:
    document = json.loads(FILE.read_text())
    assert document["licence"] == "Apache-2.0"
    assert "2404.08005" in document["source"]
    assert "Apache-2.0" in FILE.with_suffix(".md").read_text()
    assert FILE.stat().st_size < 20_000


@pytest.mark.skipif(not PROXY.exists(), reason="set MOBILENAS_TEST_DATA to a folder with imagenet_proxy/")
def test_held_out_networks_are_ranked_as_recorded() -> None:
    header, *lines = PROXY.read_text().splitlines()
    columns = header.split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines]
    rungs = {"e": "conv_op", "k": "kernel_size", "l": "layers", "se": "se_ratio"}

    def genotype(row: dict[str, str]) -> tuple[int, ...]:
        choices: dict[str, str | int | float] = {}
        for column, value in row.items():
            if column.startswith("block"):
                block, _, kind = column.removeprefix("block").partition("_")
                known = f"mbconv{value}" if kind == "e" else 0.25 * int(value) if kind == "se" else int(value)
                choices[f"stage{int(block) + 1}.{rungs[kind]}"] = known
        return SPACE.encode(choices)

    genotypes = [genotype(row) for row in rows]
    training = {g for i, g in enumerate(genotypes) if i % 5 != 4}
    held = [i for i in range(4, len(rows), 5) if genotypes[i] not in training]
    truth = np.array([float(rows[i]["val_top1"]) / 100 for i in held])
    found = SURROGATE.evaluate_batch([genotypes[i] for i in held])
    pairs = np.triu_indices(len(held), 1)
    signs = np.sign(np.subtract.outer(found.accuracy, found.accuracy)) * np.sign(np.subtract.outer(truth, truth))
    file = SurrogateFile.shipped()
    assert len(held) == file.held_out_networks == 798
    assert signs[pairs].mean() == pytest.approx(file.held_out_tau, abs=1e-4)
    assert np.sqrt(np.mean((found.accuracy - truth) ** 2)) == pytest.approx(file.held_out_rmse, abs=1e-5)
    assert file.held_out_tau > 0.918  # what a quadratic ridge on one-hot decisions reaches
    inside = np.abs(found.accuracy - truth) <= 1.645 * found.std
    assert 0.85 < inside.mean() < 0.95
