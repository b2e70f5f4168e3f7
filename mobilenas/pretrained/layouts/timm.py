"""Names in timm's networks that its EfficientNet builder makes."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.pretrained.layouts.layout import Layout, Original, Originals, Table, Tables

SQUEEZE: Table = {"se.reduce": ("se.conv_reduce", ""), "se.expand": ("se.conv_expand", "")}
CLASSIFIER = ("classifier", "")


def _tf(name: str) -> Original:
    """A port of a TensorFlow checkpoint: SAME padding, as ours have."""
    return Original(f"tf_{name}", "same", 1e-3)


def _blurred(name: str, how: str = "averages") -> Original:
    """A network with our tensors that takes every pixel and then blurs, where ours has strides (`aa_layer`)."""
    return Original(name, differs=f"{how} where ours has strides")


class Timm(Layout):
    """timm.

    Source: github.com/huggingface/pytorch-image-models timm/models/_efficientnet_blocks.py.
    """

    title = "timm"
    stem = (("conv_stem", "bn1"),)
    blocks = re.compile(r"(blocks\.\d+\.\d+)\.")
    tail = blocks
    tables: ClassVar[Tables] = {
        "conv_bn_act": ({"conv": ("conv", "bn1")},),
        "depthwise_separable": ({"depthwise": ("conv_dw", "bn1"), **SQUEEZE, "pointwise": ("conv_pw", "bn2")},),
        "mbconv": (
            {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), **SQUEEZE, "project": ("conv_pwl", "bn3")},
            {"depthwise": ("conv_dw", "bn1"), **SQUEEZE, "project": ("conv_pw", "bn2")},
        ),
        "fused_mbconv": ({"expand": ("conv_exp", "bn1"), **SQUEEZE, "project": ("conv_pwl", "bn2")},),
        "universal_inverted_bottleneck": (
            {
                "start": ("dw_start.conv", "dw_start.bn"),
                "expand": ("pw_exp.conv", "pw_exp.bn"),
                "middle": ("dw_mid.conv", "dw_mid.bn"),
                "project": ("pw_proj.conv", "pw_proj.bn"),
            },
            {"expand": ("conv_pw", "bn1"), "middle": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")},
        ),
        "mixed_mbconv": (
            {
                "expand": ("conv_pw", "bn1"),
                "depthwise": ("conv_dw", "bn2"),
                "depthwise_*": ("conv_dw.*", "bn2"),
                **SQUEEZE,
                "project": ("conv_pwl", "bn3"),
            },
        ),
    }
    heads: ClassVar[Tables] = {
        "pool_linear": ({"classifier": CLASSIFIER},),
        "conv_pool_linear": ({"conv": ("conv_head", "bn2"), "classifier": CLASSIFIER},),
        "pool_conv_linear": (
            {"conv": ("{tail}.conv", "{tail}.bn1"), "expand": ("conv_head", "norm_head"), "classifier": CLASSIFIER},
        ),
    }
    originals: ClassVar[Originals] = {
        "mobilenet_v1": (Original("mobilenetv1_100"),),
        "mobilenet_v2": (Original("mobilenetv2_100"),),
        "mobilenet_v2_0.35": (Original("mobilenetv2_035"),),
        "mobilenet_v2_0.5": (Original("mobilenetv2_050"),),
        "mobilenet_v2_0.75": (Original("mobilenetv2_075"),),
        "mobilenet_v2_1.4": (Original("mobilenetv2_140"),),
        "mobilenet_v3_large": (_tf("mobilenetv3_large_100"), Original("mobilenetv3_large_100")),
        "mobilenet_v3_large_0.75": (_tf("mobilenetv3_large_075"), Original("mobilenetv3_large_075")),
        "mobilenet_v3_large_minimalistic": (_tf("mobilenetv3_large_minimal_100"),),
        "mobilenet_v3_small": (_tf("mobilenetv3_small_100"), Original("mobilenetv3_small_100")),
        "mobilenet_v3_small_0.75": (_tf("mobilenetv3_small_075"), Original("mobilenetv3_small_075")),
        "mobilenet_v3_small_minimalistic": (_tf("mobilenetv3_small_minimal_100"),),
        "mobilenet_v4_conv_small": (Original("mobilenetv4_conv_small"),),
        "mobilenet_v4_conv_medium": (
            Original("mobilenetv4_conv_medium"),
            _blurred("mobilenetv4_conv_aa_medium"),
            _blurred("mobilenetv4_conv_blur_medium", "blurs"),
        ),
        "mobilenet_v4_conv_large": (Original("mobilenetv4_conv_large"), _blurred("mobilenetv4_conv_aa_large")),
        "mnasnet_a1": (Original("semnasnet_100"),),
        "mnasnet_a1_0.5": (Original("semnasnet_050"),),
        "mnasnet_a1_0.75": (Original("semnasnet_075"),),
        "mnasnet_a1_1.4": (Original("semnasnet_140"),),
        "mnasnet_b1": (Original("mnasnet_100"),),
        "mnasnet_b1_0.5": (Original("mnasnet_050"),),
        "mnasnet_b1_0.75": (Original("mnasnet_075"),),
        "mnasnet_small": (Original("mnasnet_small"),),
        "efficientnet_b0": (
            _tf("efficientnet_b0"),
            Original("efficientnet_b0"),
            _blurred("efficientnet_blur_b0", "blurs"),
        ),
        **{f"efficientnet_b{i}": (_tf(f"efficientnet_b{i}"), Original(f"efficientnet_b{i}")) for i in range(1, 8)},
        **{
            f"efficientnet_lite{i}": (_tf(f"efficientnet_lite{i}"), Original(f"efficientnet_lite{i}")) for i in range(5)
        },
        "fbnet_c": (Original("fbnetc_100"),),
        "mixnet_s": (_tf("mixnet_s"), Original("mixnet_s")),
        "mixnet_m": (_tf("mixnet_m"), Original("mixnet_m")),
    }

    @classmethod
    def download(cls, original: Original) -> Mapping[str, Any]:
        """As the base class says."""
        timm = require("timm", "timm")
        try:
            state: Mapping[str, Any] = timm.create_model(original.name, pretrained=True).state_dict()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(f"cannot download timm's {original.name}: {error}; give a file: --weights FILE") from error
        return state
