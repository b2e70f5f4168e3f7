"""Names in torchvision's MobileNets, MnasNets and EfficientNets."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.pretrained.layouts.layout import Layout, Original, Originals, Table, Tables


def _sequential(path: str, *, expand: bool, squeeze: bool) -> Table:
    """MBConv as a sequence of (convolution, batch norm, activation)."""
    names = [*(["expand"] if expand else []), "depthwise", *(["se"] if squeeze else []), "project"]
    table = {name: (f"{path}.{i}.0", f"{path}.{i}.1") for i, name in enumerate(names)}
    if squeeze:
        conv, _ = table.pop("se")
        step = conv.removesuffix(".0")
        table |= {"se.reduce": (f"{step}.fc1", ""), "se.expand": (f"{step}.fc2", "")}
    return table


class Torchvision(Layout):
    """torchvision.

    Source: github.com/pytorch/vision torchvision/models.
    """

    title = "torchvision"
    stem = (("features.0.0", "features.0.1"), ("layers.0", "layers.1"))
    blocks = re.compile(r"(features\.\d+(?:\.\d+)?)\.(?:block|conv)\.|(layers\.\d+\.\d+)\.layers\.|(layers)\.3\.")
    tail = re.compile(r"(features\.\d+)\.")
    tables: ClassVar[Tables] = {
        "depthwise_separable": ({"depthwise": ("3", "4"), "pointwise": ("6", "7")},),
        "mbconv": (
            *(
                _sequential("block", expand=expand, squeeze=squeeze)
                for expand in (True, False)
                for squeeze in (True, False)
            ),
            {
                "expand": ("conv.0.0", "conv.0.1"),
                "depthwise": ("conv.1.0", "conv.1.1"),
                "project": ("conv.2", "conv.3"),
            },
            {"depthwise": ("conv.0.0", "conv.0.1"), "project": ("conv.1", "conv.2")},
            {
                "expand": ("layers.0", "layers.1"),
                "depthwise": ("layers.3", "layers.4"),
                "project": ("layers.6", "layers.7"),
            },
        ),
    }
    heads: ClassVar[Tables] = {
        "conv_pool_linear": (
            {"conv": ("{tail}.0", "{tail}.1"), "classifier": ("classifier.1", "")},
            {"conv": ("layers.14", "layers.15"), "classifier": ("classifier.1", "")},
        ),
        "pool_conv_linear": (
            {
                "conv": ("{tail}.0", "{tail}.1"),
                "expand": ("classifier.0", ""),
                "classifier": ("classifier.3", ""),
            },
        ),
    }
    originals: ClassVar[Originals] = {
        "mobilenet_v2": (Original("mobilenet_v2"),),
        "mobilenet_v3_large": (Original("mobilenet_v3_large", bn_epsilon=1e-3),),
        "mobilenet_v3_small": (Original("mobilenet_v3_small", bn_epsilon=1e-3),),
        "mnasnet_b1": (Original("mnasnet1_0"),),
        "mnasnet_b1_0.5": (Original("mnasnet0_5"),),
        "mnasnet_b1_0.75": (Original("mnasnet0_75"),),
        "mnasnet_b1_1.3": (Original("mnasnet1_3"),),
        **{f"efficientnet_b{i}": (Original(f"efficientnet_b{i}"),) for i in range(5)},
        **{f"efficientnet_b{i}": (Original(f"efficientnet_b{i}", bn_epsilon=1e-3),) for i in range(5, 8)},
    }

    @classmethod
    def download(cls, original: Original) -> Mapping[str, Any]:
        """As the base class says."""
        torchvision = require("torchvision", "train")
        try:
            state: Mapping[str, Any] = torchvision.models.get_model(original.name, weights="DEFAULT").state_dict()
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                f"cannot download torchvision's {original.name}: {error}; give a file: --weights FILE"
            ) from error
        return state
