"""Networks from `net.config` files."""

import copy
import json

import pytest

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.errors import InputError
from mobilenas.models.once_for_all import from_net_config, load_net_config


def conv(out_channels: int, **fields: object) -> dict:
    base = {"name": "ConvLayer", "kernel_size": 1, "stride": 1, "out_channels": out_channels, "bias": False}
    return {**base, "use_bn": True, "act_func": "h_swish", **fields}


def block(channels: int, out_channels: int, *, shortcut: bool = False, key: str = "mobile_inverted_conv", **fields):
    layer = {
        "name": "MBInvertedConvLayer",
        "in_channels": channels,
        "out_channels": out_channels,
        "kernel_size": 3,
        "stride": 1,
        "expand_ratio": 4,
        "mid_channels": None,
        "act_func": "relu",
        "use_se": False,
        **fields,
    }
    identity = {"name": "IdentityLayer", "in_channels": [channels], "out_channels": [channels]} if shortcut else None
    return {"name": "MobileInvertedResidualBlock", key: layer, "shortcut": identity}


CONFIG = {
    "name": "MobileNetV3",
    "bn": {"momentum": 0.1, "eps": 1e-5},
    "first_conv": conv(16, kernel_size=3, stride=2, in_channels=3),
    "blocks": [
        block(16, 16, shortcut=True, expand_ratio=1),
        block(16, 24, stride=2, mid_channels=64),
        block(24, 24, shortcut=True, key="conv", kernel_size=5, use_se=True, expand_ratio=3, act_func="h_swish"),
        {"name": "MobileInvertedResidualBlock", "mobile_inverted_conv": {"name": "ZeroLayer", "stride": 1}},
    ],
    "final_expand_layer": conv(144),
    "feature_mix_layer": conv(256, use_bn=False),
    "classifier": {"name": "LinearLayer", "out_features": 10, "bias": True, "dropout_rate": 0.1},
}


LAYER, AT = ["blocks", 2, "conv"], r"blocks\[2\].conv"


def changed(path: list, value: object) -> dict:
    data = copy.deepcopy(CONFIG)
    at = data
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return data


def test_by_hand() -> None:
    arch = from_net_config(CONFIG, name="mine", resolution=64)
    assert (arch.name, arch.resolution, arch.num_classes) == ("mine", 64, 10)
    assert (arch.padding, arch.bn_epsilon) == ("symmetric", 1e-5)
    first, second, third = (b for stage in arch.stages for b in stage)
    assert (first.expanded_channels, first.residual) == (0, True)
    assert (second.expanded_channels, second.stride, second.out_channels) == (64, 2, 24)
    # 24 * 3 = 72 expanded, a quarter of it rounded to a multiple of 8: 18 -> 24, as 16 would be less than 90 %
    assert (third.expanded_channels, third.se_channels, third.kernel_size) == (72, 24, 5)
    assert (third.activation, third.se_gate, third.residual) == ("hard_swish", "hard_sigmoid", True)
    assert arch.head.to_dict() == {
        "type": "pool_conv_linear",
        "expanded_channels": 144,
        "out_channels": 256,
        "bias": False,
        "dropout": 0.1,
    }
    names = [node.name for node in arch.graph().nodes]
    assert sum(name.endswith(".add") for name in names) == 2
    assert Arch.from_dict(arch.to_dict()) == arch


def test_a_block_without_shortcut_is_not_residual() -> None:
    arch = from_net_config(changed(["blocks", 2, "shortcut"], None))
    assert arch.stages[-1][-1].residual is False


def test_the_proxylessnas_form() -> None:
    data = {key: value for key, value in CONFIG.items() if key not in ("final_expand_layer", "bn")}
    arch = from_net_config({**data, "name": "ProxylessNASNets", "feature_mix_layer": conv(256, act_func="relu6")})
    assert arch.head.to_dict() == {
        "type": "conv_pool_linear",
        "out_channels": 256,
        "activation": "relu6",
        "dropout": 0.1,
    }
    assert arch.bn_epsilon == 1e-3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["first_conv", "act_func"], "gelu", r"first_conv.act_func: 'gelu' is not accepted"),
        (["first_conv", "kernel_size"], None, "first_conv.kernel_size: None is not accepted; give a whole number"),
        (["blocks"], 3, "blocks: 3 is not accepted; give a list"),
        (["blocks", 1, "mobile_inverted_conv", "in_channels"], 17, r"blocks\[1\].mobile_inverted_conv.in_channels: 17"),
        (["blocks", 1, "mobile_inverted_conv", "name"], "DynamicConv", r"blocks\[1\].mobile_inverted_conv.name"),
        (["blocks", 1, "mobile_inverted_conv", "groups"], 4, r"blocks\[1\].mobile_inverted_conv.groups: 4"),
        (["classifier"], None, "classifier: None is not accepted; give an object"),
        (["classifier", "out_features"], "10", "classifier.out_features: '10' is not accepted"),
        (["first_conv", "stride"], 3, "stride: 3 is not accepted"),
        (["classifier", "dropout_rate"], "same", "classifier.dropout_rate: 'same' is not accepted; give a number"),
        (["classifier", "dropout_rate"], [0.1], r"classifier.dropout_rate: \[0.1\] is not accepted; give a number"),
        (["classifier", "dropout_rate"], 10**400, "classifier.dropout_rate: 10+"),
        (["bn", "eps"], None, "bn.eps: None is not accepted; give a number"),
        (["bn", "ws_eps"], 1e-5, "bn.ws_eps: 1e-05 is not accepted; give null"),
        (["name"], "ResNet50", "name: 'ResNet50' is not accepted; give a mobile network"),
        (["blocks"], [], r"blocks: \[\] is not accepted; give a list of objects"),
        ([*LAYER, "expand_ratio"], None, rf"{AT}.expand_ratio: None is not accepted; give a number"),
        ([*LAYER, "expand_ratio"], "x", rf"{AT}.expand_ratio: 'x' is not accepted; give a number"),
        ([*LAYER, "expand_ratio"], [4], rf"{AT}.expand_ratio: \[4\] is not accepted; give a number"),
        (
            [*LAYER, "expand_ratio"],
            1e308,
            rf"{AT}.expand_ratio: 1e\+308 is not accepted; give a number that gives 1 to",
        ),
        ([*LAYER, "expand_ratio"], -4, rf"{AT}.expand_ratio: -4.0 is not accepted"),
        ([*LAYER, "mid_channels"], [64], rf"{AT}.mid_channels: \[64\] is not accepted; give a whole number"),
        ([*LAYER, "mid_channels"], "64", rf"{AT}.mid_channels: '64' is not accepted; give a whole number"),
        ([*LAYER, "mid_channels"], 64.7, rf"{AT}.mid_channels: 64.7 is not accepted; give a whole number"),
        ([*LAYER, "mid_channels"], 0, rf"{AT}.mid_channels: 0 is not accepted"),
        ([*LAYER, "use_se"], "False", rf"{AT}.use_se: 'False' is not accepted; give true or false"),
        (["first_conv", "dilation"], 2, "first_conv.dilation: 2 is not accepted; give null or 1"),
        (["first_conv", "groups"], True, "first_conv.groups: True is not accepted; give null or 1"),
        (["first_conv", "use_bn"], False, "first_conv.use_bn: False is not accepted; give null or True"),
        (["first_conv", "has_shuffle"], True, "first_conv.has_shuffle: True"),
        (["final_expand_layer", "kernel_size"], 3, "final_expand_layer.kernel_size: 3 is not accepted; give 1"),
        (["feature_mix_layer", "use_bn"], 1, "feature_mix_layer.use_bn: 1 is not accepted; give true or false"),
        (["feature_mix_layer"], None, "final_expand_layer: .* is not accepted; give null"),
        (["classifier", "bias"], False, "classifier.bias: False is not accepted; give null or True"),
        (["blocks", 2, "shortcut"], conv(24), r"blocks\[2\].shortcut.name: 'ConvLayer' is not accepted"),
        (
            ["blocks", 1, "shortcut"],
            {"name": "IdentityLayer"},
            r"blocks\[1\].shortcut: .* where a block changes the size",
        ),
        (["blocks", 0, "mobile_inverted_conv", "mid_channels"], 8, "give null or in_channels, as expand_ratio is 1"),
    ],
)
def test_what_is_not_accepted_is_named(path, value, message, tmp_path) -> None:
    with pytest.raises(InputError, match=message):
        from_net_config(changed(path, value))
    (tmp_path / "net.config").write_text(json.dumps(changed(path, value)))
    with pytest.raises(InputError, match=r"net\.config"):
        load_net_config(tmp_path / "net.config")


def test_a_file_is_called_after_its_folder(tmp_path) -> None:
    (tmp_path / "note10").mkdir()
    (tmp_path / "note10" / "net.config").write_text(json.dumps(CONFIG))
    assert load_net_config(tmp_path / "note10" / "net.config", resolution=96).name == "note10"
    with pytest.raises(InputError, match="cannot read"):
        load_net_config(tmp_path / "missing.config")


def test_the_image_size_stands_in_a_file_beside_it(tmp_path) -> None:
    (tmp_path / "net.config").write_text(json.dumps(CONFIG))
    assert load_net_config(tmp_path / "net.config").resolution == 224
    for run, resolution in (({"image_size": 160}, 160), ({"n_epochs": 180}, 224)):
        (tmp_path / "run.config").write_text(json.dumps(run))
        assert load_net_config(tmp_path / "net.config").resolution == resolution
        assert load_net_config(tmp_path / "net.config", resolution=96).resolution == 96


@pytest.mark.parametrize("size", ["big", 0])
def test_an_impossible_image_size_is_named(size, tmp_path) -> None:
    (tmp_path / "net.config").write_text(json.dumps(CONFIG))
    (tmp_path / "run.config").write_text(json.dumps({"image_size": size}))
    with pytest.raises(InputError, match=rf"run\.config: image_size: {size!r} is not accepted; give a whole number"):
        load_net_config(tmp_path / "net.config")


def test_a_resnet_is_refused_as_one() -> None:
    data = {"name": "ResNets", "bn": CONFIG["bn"], "input_stem": [conv(64)], "blocks": [], "classifier": {}}
    with pytest.raises(InputError, match="'ResNets' is not accepted; give a mobile network"):
        from_net_config(data)


def test_it_is_no_published_network() -> None:
    """No net.config is shipped: the authors' files have to be downloaded."""
    assert not {name for name in models.names() if "ofa" in name or "once" in name}
