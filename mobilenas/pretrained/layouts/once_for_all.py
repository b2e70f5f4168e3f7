"""Names in the checkpoints of Once-for-All and ProxylessNAS."""

import re
from typing import ClassVar

from mobilenas.pretrained.layouts.layout import Layout, Original, Originals, Tables


class OnceForAll(Layout):
    """Once-for-All and ProxylessNAS.

    Source: github.com/mit-han-lab/once-for-all ofa/imagenet_classification/networks.
    """

    title = "Once-for-All"
    stem = (("first_conv.conv", "first_conv.bn"),)
    blocks = re.compile(r"(blocks\.\d+\.(?:mobile_inverted_conv|conv))\.")
    tables: ClassVar[Tables] = {
        "mbconv": (
            {
                "expand": ("inverted_bottleneck.conv", "inverted_bottleneck.bn"),
                "depthwise": ("depth_conv.conv", "depth_conv.bn"),
                "se.reduce": ("depth_conv.se.fc.reduce", ""),
                "se.expand": ("depth_conv.se.fc.expand", ""),
                "project": ("point_linear.conv", "point_linear.bn"),
            },
        ),
    }
    heads: ClassVar[Tables] = {
        "conv_pool_linear": (
            {
                "conv": ("feature_mix_layer.conv", "feature_mix_layer.bn"),
                "classifier": ("classifier.linear", ""),
            },
        ),
        "pool_conv_linear": (
            {
                "conv": ("final_expand_layer.conv", "final_expand_layer.bn"),
                "expand": ("feature_mix_layer.conv", "feature_mix_layer.bn"),
                "classifier": ("classifier.linear", ""),
            },
        ),
    }
    originals: ClassVar[Originals] = {
        f"proxylessnas_{target}": (Original(f"proxyless_{target}", bn_epsilon=1e-3),)
        for target in ("mobile", "cpu", "gpu")
    }
