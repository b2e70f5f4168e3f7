"""Random MnasNet-like architecture files, as a stranger might write them: none comes from a search space of ours."""

import random
from typing import Any

from mobilenas import models

WIDTHS = ((16, 24), (16, 24, 32), (32, 40, 48), (64, 80, 96), (96, 112, 128), (128, 160, 192), (160, 192, 224, 320))
STRIDES = (1, 2, 2, 2, 1, 2, 1)
RESOLUTIONS = (128, 144, 160, 176, 192, 208, 224, 240, 256, 288)


def stranger(seed: int, *, resolutions: tuple[int, ...] = RESOLUTIONS, odd_channels: bool = False) -> dict[str, Any]:
    """The plain values of one architecture file.

    Args:
        seed: Every seed is another network.
        resolutions: Chosen from.
        odd_channels: Channel counts are moved by up to 3, as pruning leaves them.
    """
    rng = random.Random(seed)
    late = rng.choice(["relu", "hard_swish", "relu6", "silu"])
    early = late if late in ("relu6", "silu") else "relu"

    def channels(count: int) -> int:
        return max(4, count + rng.randint(-3, 3)) if odd_channels else count

    stem = channels(rng.choice([16, 24, 32]))
    stages, width = [], stem
    for index, (widths, stride) in enumerate(zip(WIDTHS, STRIDES, strict=True)):
        out, kernel, ratio = channels(rng.choice(widths)), rng.choice([3, 5]), rng.choice([3, 4, 6])
        squeeze, gate = rng.random() < 0.5, rng.choice(["sigmoid", "hard_sigmoid"])
        activation = early if index < 3 else late
        stage = []
        for layer in range(rng.randint(1, 4) if index else 1):
            block: dict[str, Any] = {
                "type": "mbconv",
                "out_channels": out,
                "kernel_size": kernel,
                "stride": stride if layer == 0 else 1,
                "activation": activation,
            }
            if index:
                narrow = rng.random() < 0.1
                block["expanded_channels"] = channels(max(8, width // 2 if narrow else width * ratio))
            if squeeze:
                inner = block.get("expanded_channels", width)
                block |= {"se_channels": max(4, inner // 4), "se_gate": gate}
            if rng.random() < 0.1:
                block["residual"] = False
            if index == 0 and rng.random() < 0.5:
                block["type"] = "depthwise_separable"
            stage.append(block)
            width = out
        stages.append(stage)
    head: dict[str, Any] = {"type": "conv_pool_linear", "out_channels": rng.choice([960, 1280]), "activation": late}
    if rng.random() < 0.3:
        head = {"type": "pool_conv_linear", "expanded_channels": width * 6, "out_channels": 1280, "activation": late}
    return {
        "name": f"stranger_{seed}",
        "resolution": rng.choice(resolutions),
        "num_classes": rng.choice([10, 37, 100, 200, 365, 1000]),
        "padding": rng.choice(["same", "same", "symmetric"]),
        "stem": {"type": "conv_bn_act", "out_channels": stem, "kernel_size": 3, "stride": 2, "activation": late},
        "stages": stages,
        "head": head,
    }


def pruned(seed: int, name: str = "mobilenet_v3_large") -> dict[str, Any]:
    """A published network whose channels were thinned out at random, as filter pruning leaves them."""
    rng = random.Random(seed)
    arch = models.get(name).to_dict()
    resolution, num_classes = rng.choice(RESOLUTIONS), rng.choice([10, 100, 1000])
    arch |= {"name": f"pruned_{seed}", "resolution": resolution, "num_classes": num_classes}

    def keep(count: int) -> int:
        return max(4, round(count * rng.uniform(0.4, 1.0)))

    for part in (arch["stem"], arch["head"]):
        for key in ("out_channels", "expanded_channels"):
            if key in part:
                part[key] = keep(part[key])
    for stage in arch["stages"]:
        out = keep(stage[0]["out_channels"])
        for block in stage:
            block["out_channels"] = out
            for key in ("expanded_channels", "se_channels"):
                if key in block:
                    block[key] = keep(block[key])
    return arch
