"""A space file in which every field has choices."""

from typing import Any

from mobilenas.spaces import SpacePlan

EVERY_FIELD: dict[str, Any] = {
    "name": "mine",
    "resolution": [24, 32],
    "width_multiplier": [1.0, 0.5],
    "stem": {"type": "conv_bn_act", "out_channels": 12, "stride": 2},
    "stages": [
        {
            "conv_op": ["conv", "depthwise_separable", "mbconv1", "mbconv2.5"],
            "kernel_size": [3, 5],
            "se_ratio": [0, 0.25],
            "skip": ["pool", "identity", "none"],
            "out_channels": [12, 20],
            "layers": [1, 3],
        },
        {
            "conv_op": ["mbconv3", "depthwise_separable"],
            "kernel_size": [3, 7],
            "se_ratio": [0, 0.25],
            "out_channels": [24, 40],
            "layers": [2, 3],
            "stride": 2,
            "layerwise": True,
            "activation": "hard_swish",
            "se_of": "expanded",
            "se_gate": "hard_sigmoid",
        },
        {"out_channels": [48]},
    ],
    "head": {"type": "pool_conv_linear", "expanded_channels": 64, "out_channels": 96},
}


def every_field(**changes: Any) -> SpacePlan:
    """The plan of that file, top fields changed."""
    return SpacePlan.from_dict(EVERY_FIELD | changes)
