import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import EVERY_FIELD, every_field

from mobilenas.blocks.conv_bn_act import ConvBnAct
from mobilenas.blocks.depthwise_separable import DepthwiseSeparable
from mobilenas.blocks.heads.pool_conv_linear import PoolConvLinear
from mobilenas.blocks.mbconv import MBConv
from mobilenas.errors import InputError
from mobilenas.spaces import Choice, StagedSpace, open_space

SPACE = StagedSpace(every_field(), num_classes=10)
FIRST = {name: choices[0] for name, choices in SPACE.decisions.items()}


def stages(**changes: Choice) -> Any:
    """Stages of the network of first choices, with others where named: `stage1__layers=3`."""
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return SPACE.decode(SPACE.encode(FIRST | named)).stages


def test_what_has_several_choices_is_a_decision() -> None:
    # resolution, width; six of stage 1; conv op, kernel and SE of three layers, channels and layers of stage 2
    assert SPACE.sizes == (2, 2, *(4, 2, 2, 3, 2, 2), *(2, 2, 2) * 3, 2, 2)
    assert list(SPACE.decisions)[:3] == ["resolution", "width_multiplier", "stage1.conv_op"]
    assert "stage2.layer3.se_ratio" in SPACE.decisions
    assert not any(name.startswith("stage3") for name in SPACE.decisions)


def test_layers_of_every_kind() -> None:
    assert stages(stage1__layers=3)[0] == (ConvBnAct(out_channels=12),) * 3
    separable = stages(stage1__conv_op="depthwise_separable", stage1__se_ratio=0.25, stage1__out_channels=20)[0]
    assert separable == (DepthwiseSeparable(out_channels=20, se_channels=3, residual="pool"),)
    # 12 * 2.5 = 30 channels, SE of a quarter of the input's 12
    wide = stages(stage1__conv_op="mbconv2.5", stage1__se_ratio=0.25, stage1__skip="none")[0]
    assert wide == (MBConv(out_channels=12, expanded_channels=30, se_channels=3, residual=False),)
    assert stages(stage1__conv_op="mbconv1")[0] == (MBConv(out_channels=12, residual="pool"),)


def test_layers_of_a_layerwise_stage_choose_for_themselves() -> None:
    found = stages(stage2__layer1__se_ratio=0.25, stage2__layer2__kernel_size=7)[1]
    shared = {"out_channels": 24, "activation": "hard_swish", "se_gate": "hard_sigmoid"}
    # SE: a quarter of the expanded 36 is 9, and 8 would be below 90 % of it
    assert found == (
        MBConv(expanded_channels=36, se_channels=16, stride=2, **shared),
        MBConv(expanded_channels=72, kernel_size=7, **shared),
    )


def test_width_scales_stem_stages_and_head_to_multiples_of_8() -> None:
    arch = SPACE.decode(SPACE.encode(FIRST | {"width_multiplier": 0.5, "stage2.out_channels": 40}))
    assert arch.stem == ConvBnAct(out_channels=8, stride=2)
    assert [stage[0].to_dict()["out_channels"] for stage in arch.stages] == [8, 24, 24]
    assert arch.head == PoolConvLinear(expanded_channels=32, out_channels=48)
    assert SPACE.decode(SPACE.encode(FIRST)).stem == ConvBnAct(out_channels=12, stride=2)


def test_one_resolution_is_no_decision() -> None:
    space = StagedSpace(every_field(), resolution=40, num_classes=10)
    assert next(iter(space.decisions)) == "width_multiplier"
    assert space.decode(tuple(0 for _ in space.sizes)).resolution == 40
    assert (SPACE.resolution, space.resolution) == (32, 40)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_a_network_is_found_again(seed: int) -> None:
    arch = SPACE.decode(SPACE.sample(np.random.default_rng(seed)))
    found = SPACE.find(replace(arch, name="other", stages=(tuple(b for stage in arch.stages for b in stage),)))
    assert found is not None
    # it may be another genotype of the same network; spans and names of blocks do not matter
    ops = [node.spec for node in SPACE.decode(found).graph().nodes]
    assert ops == [node.spec for node in arch.graph().nodes]


def test_other_networks_are_not_found() -> None:
    arch = SPACE.decode(SPACE.encode(FIRST))
    first, second, third = arch.stages
    others = [
        replace(arch, resolution=48),
        replace(arch, num_classes=11),
        replace(arch, padding="symmetric"),
        replace(arch, bn_epsilon=1e-5),
        replace(arch, stem=ConvBnAct(out_channels=16, stride=2)),
        replace(arch, head=PoolConvLinear(expanded_channels=64, out_channels=104)),
        replace(arch, stages=(first, second)),
        replace(arch, stages=(first, second, third, third)),
        replace(arch, stages=(first, second[:1], third)),
        replace(arch, stages=(first, (second[0], replace(second[1], kernel_size=5)), third)),
    ]
    assert SPACE.find(arch) is not None
    assert [SPACE.find(other) for other in others] == [None] * len(others)


def test_a_space_file_is_a_space(tmp_path: Path) -> None:
    path = tmp_path / "of_file.json"
    path.write_text(json.dumps({key: value for key, value in EVERY_FIELD.items() if key != "name"}))
    space = open_space(str(path), num_classes=10)
    assert space.name == "of_file"
    assert space.decisions == SPACE.decisions


@pytest.mark.parametrize(
    ("stage", "field", "value", "text"),
    [
        (0, "kernel_size", [3, 4], r"stages\[0\].kernel_size\[1\]: 4 is not accepted; give an odd number"),
        (0, "kernel_size", 3, r"stages\[0\].kernel_size: 3 is not accepted; give a list, each a whole number"),
        (0, "kernel_size", [], r"stages\[0\].kernel_size: \(\) is not accepted; give a list of 1 to 256"),
        (0, "kernel_size", [3, 3], r"stages\[0\].kernel_size: \(3, 3\) .* all different"),
        (1, "conv_op", ["mbconv"], r"stages\[1\].conv_op\[0\]: 'mbconv' is not accepted; give 'conv'"),
        (1, "conv_op", ["mbconv0"], r"stages\[1\].conv_op\[0\]: 'mbconv0'"),
        (1, "se_ratio", [1.5], r"stages\[1\].se_ratio\[0\]: 1.5"),
        (1, "skip", ["dense"], r"stages\[1\].skip\[0\]: 'dense' is not accepted; give 'pool' or 'identity' or 'none'"),
        (1, "layers", [0], r"stages\[1\].layers\[0\]: 0"),
        (1, "out_channels", [0], r"stages\[1\].out_channels\[0\]: 0"),
        (1, "stride", 3, r"stages\[1\].stride: 3"),
        (1, "kernels", [3], r"stages\[1\]: unknown field 'kernels'"),
        (None, "resolution", [4], r"resolution\[0\]: 4"),
        (None, "width_multiplier", [0], r"width_multiplier\[0\]: 0"),
        (None, "name", "a b", "name: 'a b'"),
        (None, "stages", [], "stages: 0 is not accepted; give 1 to 64 stages"),
        (None, "stages", {}, "stages: {} is not accepted; give a list of objects"),
        (None, "stem", {"type": "mbconv", "out_channels": 8}, "stem.type: 'mbconv' is not accepted"),
        (None, "head", {"type": "none"}, "head.type: 'none'"),
    ],
)
def test_what_a_file_gets_wrong_is_named(
    stage: int | None, field: str, value: object, text: str, tmp_path: Path
) -> None:
    document = json.loads(json.dumps(EVERY_FIELD))
    (document if stage is None else document["stages"][stage])[field] = value
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=text) as caught:
        open_space(str(path))
    assert str(path) in str(caught.value)


def test_a_space_without_choices_is_refused() -> None:
    plan = every_field(resolution=[32], width_multiplier=[1.0], stages=[{"out_channels": [16]}])
    with pytest.raises(InputError, match="mine: no field has more than one choice"):
        StagedSpace(plan)


def test_long_genotypes_have_short_names() -> None:
    stage = {"out_channels": [8], "kernel_size": [3, 5], "layers": [1, 32], "layerwise": True}
    space = StagedSpace(every_field(stages=[stage] * 8))
    rng = np.random.default_rng(0)
    names = {space.decode(space.sample(rng)).name for _ in range(50)}
    assert len(names) == 50
    assert max(map(len, names)) < 60


def test_a_plan_that_would_take_hours_to_compile_is_refused() -> None:
    stage = {"out_channels": [*range(8, 108)], "layers": [*range(1, 60)], "kernel_size": [*range(1, 63, 2)]}
    plan = every_field(stages=[{**stage, "se_ratio": [i / 200 for i in range(100)]}])
    with pytest.raises(InputError, match=r"mine: 7\.3e\+07 combinations of the choices of single stages"):
        StagedSpace(plan)
