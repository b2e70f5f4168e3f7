import dataclasses
import json
import math
from collections import Counter

import pytest

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.models.efficientnet import efficientnet, efficientnet_lite
from mobilenas.models.mnasnet import mnasnet_small
from mobilenas.models.mobilenet_v1 import mobilenet_v1
from mobilenas.models.mobilenet_v2 import mobilenet_v2
from mobilenas.models.mobilenet_v3 import mobilenet_v3_large, mobilenet_v3_small

PARAMS = {
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b0": 5_288_548,
    "mnasnet_b1": 4_383_312,
    "mnasnet_a1": 3_887_038,
}
FAMILIES = {
    "mobilenet_v1": 4,
    "mobilenet_v2": 5,
    "mobilenet_v3_large": 3,
    "mobilenet_v3_small": 3,
    "mobilenet_v4_conv": 3,
    "mnasnet_a1": 5,
    "mnasnet_b1": 4,
    "mnasnet_small": 1,
    "efficientnet_b": 8,
    "efficientnet_lite": 5,
    "proxylessnas": 3,
    "fbnet_c": 1,
    "mixnet": 2,
}
FAMILY = """
from mobilenas.models.mobilenet_v2 import mobilenet_v2
from mobilenas.models.published import Published

NETWORKS = {"tiny": Published(
    build=lambda: mobilenet_v2(width_multiplier=0.1, name="tiny"),
    params=1, params_millions=1, macs_millions=1, top1=None, source="",
)}
"""


def batch_norm_params(arch: Arch) -> int:
    return sum(2 * node.spec.out_channels for node in arch.graph().nodes if node.batch_norm)


def test_every_network_of_the_issue_is_there() -> None:
    assert set(PARAMS) <= set(models.names())
    assert models.names() == sorted(models.names())


@pytest.mark.parametrize(("name", "params"), PARAMS.items())
def test_parameters_are_exact(name: str, params: int) -> None:
    assert models.get(name).graph().params == params == models.published(name).params


@pytest.mark.parametrize("name", models.names())
def test_figures_agree_with_the_published_ones(name: str) -> None:
    arch, published = models.get(name), models.published(name)
    graph = arch.graph()
    assert arch.name == name
    assert graph.params == published.params
    assert (arch.num_classes, arch.padding, arch.bn_epsilon) == (1000, "same", 1e-3)
    assert published.top1 is None or 0.5 < published.top1 < 0.85
    # a remark is there where a figure is missing or outside its rounding, and nowhere else
    params = _is_rounded(graph.params, published.params_millions, published.params_step_millions)
    macs = _is_rounded(graph.macs, published.macs_millions, published.macs_step_millions)
    assert (params, macs) == (not published.params_remark, not published.macs_remark)


def _is_rounded(found: int, millions: float | None, step_millions: float) -> bool:
    """Whether a published figure is ours, rounded to its last digit."""
    return millions is not None and abs(found / 1e6 - millions) <= 0.5 * step_millions + 1e-9


@pytest.mark.parametrize(
    "name", [name for name in models.names() if "batch norm's" in models.published(name).params_remark]
)
def test_parameters_that_were_published_without_batch_norms(name: str) -> None:
    arch, published = models.get(name), models.published(name)
    counted = arch.graph().params - batch_norm_params(arch)
    cut_off = "cuts off" in published.params_remark
    assert cut_off or _is_rounded(counted, published.params_millions, published.params_step_millions)


@pytest.mark.parametrize("name", models.names())
def test_what_is_said_to_be_cut_off_is(name: str) -> None:
    graph, published = models.get(name).graph(), models.published(name)
    for remark, found, millions, step in (
        (published.params_remark, graph.params, published.params_millions, published.params_step_millions),
        (published.macs_remark, graph.macs, published.macs_millions, published.macs_step_millions),
    ):
        if "cut off" in remark:
            assert millions == pytest.approx(step * math.floor(found / 1e6 / step))


def test_every_family_of_the_issue_is_there() -> None:
    for family, count in FAMILIES.items():
        assert sum(name.startswith(family) for name in models.names()) >= count, family


def test_resolutions_are_the_published_ones() -> None:
    other = {name: arch.resolution for name in models.names() if (arch := models.get(name)).resolution != 224}
    assert other == {
        **{"efficientnet_b1": 240, "efficientnet_b2": 260, "efficientnet_b3": 300, "efficientnet_b4": 380},
        **{"efficientnet_b5": 456, "efficientnet_b6": 528, "efficientnet_b7": 600},
        **{"efficientnet_lite1": 240, "efficientnet_lite2": 260, "efficientnet_lite3": 280, "efficientnet_lite4": 300},
        **{"mobilenet_v4_conv_medium": 256, "mobilenet_v4_conv_large": 384},
    }


@pytest.mark.parametrize("name", models.names())
def test_survives_an_architecture_file(name: str, tmp_path) -> None:
    arch = models.get(name)
    data = arch.to_dict()
    assert Arch.from_dict(json.loads(json.dumps(data))) == arch
    arch.save(tmp_path / "network.json")
    read = Arch.load(tmp_path / "network.json")
    assert read == arch
    assert read.to_dict() == data
    assert read.graph() == arch.graph()


def test_another_resolution_and_number_of_classes() -> None:
    arch = models.get("mnasnet_b1", resolution=96, num_classes=10)
    graph = arch.graph()
    assert graph.input_shapes == ((96, 96, 3),)
    assert graph.value_shapes[graph.outputs[0]] == (1, 1, 10)
    assert graph.params == PARAMS["mnasnet_b1"] - 990 * 1281  # classifier: 1280 weights and a bias a class
    assert models.get("mnasnet_b1").resolution == 224


@pytest.mark.parametrize("wrong", [{"resolution": 0}, {"resolution": -224}, {"num_classes": 0}])
def test_impossible_sizes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        models.get("mobilenet_v2", **wrong)


@pytest.mark.parametrize("ask", [models.get, models.published])
def test_an_unknown_name_gets_the_near_ones(ask) -> None:
    with pytest.raises(InputError, match=r"unknown model 'mobilenet_v3_larg'.*mobilenet_v3_large"):
        ask("mobilenet_v3_larg")
    with pytest.raises(InputError, match="mobilenas models"):
        ask("")


def test_width_multiplier_leaves_the_head_wide() -> None:
    narrow, wide = mobilenet_v2(width_multiplier=0.5), mobilenet_v2(width_multiplier=1.4)
    assert narrow.stem.to_dict()["out_channels"] == 16
    assert narrow.graph().state_shapes()["head.conv.weight"][0] == 1280
    assert wide.graph().state_shapes()["head.conv.weight"][0] == 1792
    assert wide.graph().state_shapes()["stages.6.0.project.weight"][0] == 448


@pytest.mark.parametrize("build", [mobilenet_v1, mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small, mnasnet_small])
@pytest.mark.parametrize("wrong", [0, -1.0, math.nan, math.inf, 1e9])
def test_impossible_width_multipliers_are_refused(build, wrong: float) -> None:
    with pytest.raises(InputError, match="width_multiplier"):
        build(width_multiplier=wrong)


@pytest.mark.parametrize("build", [efficientnet, efficientnet_lite])
def test_unknown_variants_are_refused(build) -> None:
    with pytest.raises(InputError, match="variant: 'b8' is not accepted"):
        build("b8")


def test_minimalistic_networks_have_no_costly_ops() -> None:
    for name in ("mobilenet_v3_large_minimalistic", "mobilenet_v3_small_minimalistic"):
        kinds = Counter(node.spec.kind for node in models.get(name).graph().nodes)
        assert set(kinds) == {"conv2d", "depthwise_conv2d", "fully_connected", "mean", "add"}
        assert {node.spec.kernel_size for node in models.get(name).graph().nodes} == {(1, 1), (3, 3)}


def test_adding_a_family_is_adding_a_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "added_family.py").write_text(FAMILY)
    monkeypatch.setattr(models, "__path__", [*models.__path__, str(tmp_path)])
    models._networks.cache_clear()
    try:
        assert "tiny" in models.names()
        assert models.get("tiny").name == "tiny"
    finally:
        monkeypatch.undo()
        models._networks.cache_clear()
    assert "tiny" not in models.names()


def test_published_figures_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        models.published("mnasnet_a1").params = 1
