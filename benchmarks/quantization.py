"""What int8 costs a trained network: nothing done, equalised, bias corrected, fine-tuned; top-1 of the exported files.

python benchmarks/quantization.py [--seeds 0 1 2] [--work FOLDER] [--epochs 18] [--fine-tuning-epochs 4]

Needs $MOBILENAS_TEST_DATA/cifar10_subset. What was trained stays in FOLDER and is not trained again.
"""

import argparse
import os
import sys
from pathlib import Path

import numpy as np

from mobilenas.arch import Arch
from mobilenas.nn import GraphModule, initialize, load_weights, save_weights
from mobilenas.training import ImageData, Recipe, load_data, train

CIFAR = "cifar10_subset/cifar10_jpeg_subset_10k_2k.npz"
BLOCKS = (  # kernel size, expanded channels, out channels, SE channels, activation, stride
    (3, 16, 16, 8, "relu", 1),
    (3, 48, 24, 0, "relu", 1),
    (3, 72, 24, 0, "relu", 2),
    (5, 96, 40, 24, "hard_swish", 1),
    (3, 120, 40, 0, "hard_swish", 1),
    (5, 160, 64, 40, "hard_swish", 2),
    (3, 256, 64, 64, "hard_swish", 1),
)
"""MobileNetV3-Small's pattern (SE, h-swish, linear bottlenecks) for images of 32 pixels."""


def network() -> Arch:
    """The MobileNetV3-like network."""
    stages = [
        [
            {
                "type": "mbconv",
                "kernel_size": kernel_size,
                "expanded_channels": expanded,
                "out_channels": out_channels,
                "se_channels": se_channels,
                "se_gate": "hard_sigmoid",
                "activation": activation,
                "stride": stride,
            }
        ]
        for kernel_size, expanded, out_channels, se_channels, activation, stride in BLOCKS
    ]
    document = {
        "name": "mobilenet_v3_like",
        "resolution": 32,
        "num_classes": 10,
        "stem": {"type": "conv_bn_act", "out_channels": 16, "kernel_size": 3, "stride": 2, "activation": "hard_swish"},
        "stages": stages,
        "head": {
            "type": "pool_conv_linear",
            "expanded_channels": 256,
            "out_channels": 320,
            "activation": "hard_swish",
        },
    }
    return Arch.from_dict(document)


def trained(arch: Arch, data: ImageData, seed: int, epochs: int, folder: Path) -> GraphModule:
    """The network, trained; from `folder` where it was trained before."""
    module, path = GraphModule(arch.graph()), folder / f"trained-{seed}.safetensors"
    initialize(module, seed)
    if path.exists():
        load_weights(module, path)
        return module.eval()
    recipe = Recipe(epochs=epochs, batch_size=128, learning_rate=0.2, warmup_epochs=2, weight_decay=5e-4)
    result = train(
        module,
        data,
        recipe,
        seed=seed,
        checkpoint=folder / f"training-{seed}.safetensors",
        judge_epochs=False,
        on_epoch=lambda number, epoch: print(f"seed {seed} epoch {number + 1}: loss {epoch.loss:.3f}", flush=True),
    )
    if result.status != "ok":
        sys.exit(f"training {seed} diverged")
    save_weights(module, path)
    return module.eval()
