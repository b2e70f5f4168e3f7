"""What int8 costs a trained network: rounded only, by `quantize`, fine-tuned; top-1 of the files, run by LiteRT.

Fine-tuning is more training too: a float network that is trained on as long, the same way, stands beside it.

python benchmarks/quantization.py [--seeds 0 1 2] [--work FOLDER] [--epochs 18] [--fine-tuning-epochs 4]

Needs $MOBILENAS_TEST_DATA/cifar10_subset. What was trained stays in FOLDER and is not trained again.
"""

import argparse
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from _record import record

from mobilenas.arch import Arch
from mobilenas.export import folded_network
from mobilenas.nn import (
    GraphModule,
    initialize,
    load_weights,
    observed_ranges,
    outputs,
    save_weights,
    set_weights,
    state_arrays,
)
from mobilenas.quantization import Quantized, calibration_sample, fine_tuned, fine_tuning_recipe, layer_errors, quantize
from mobilenas.runners import LiteRTProcess
from mobilenas.training import ImageData, Recipe, load_data, train
from mobilenas.verification import held_out, run_model

RECIPE = Recipe(batch_size=128, learning_rate=0.2, warmup_epochs=2, weight_decay=5e-4)
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
    result = train(
        module,
        data,
        replace(RECIPE, epochs=epochs),
        seed=seed,
        checkpoint=folder / f"training-{seed}.safetensors",
        judge_epochs=False,
        on_epoch=lambda number, epoch: print(f"seed {seed} epoch {number + 1}: loss {epoch.loss:.3f}", flush=True),
    )
    if result.status != "ok":
        sys.exit(f"training {seed} diverged")
    save_weights(module, path)
    return module.eval()


def judged(seed: int, epochs: int, fine_tuning_epochs: int, folder: Path) -> dict[str, Any]:
    """Points of top-1 that each way of quantizing costs one trained network."""
    root = Path(os.environ.get("MOBILENAS_TEST_DATA", "../shared/data"))
    data = load_data(str(root / CIFAR), resolution=32, seed=seed)
    arch = network()
    graph, test = arch.graph(), held_out(data.test)
    weights = state_arrays(trained(arch, data, seed, epochs, folder))
    sample = calibration_sample(data, seed=seed)
    folded, state = folded_network(graph, weights)
    plain = Quantized(folded, state, observed_ranges(folded, state, sample.images))
    start = time.monotonic()
    best = quantize(graph, weights, sample.images)
    seconds = time.monotonic() - start
    checkpoint = folder / f"fine-tuning-{seed}-{fine_tuning_epochs}.safetensors"
    recipe = fine_tuning_recipe(RECIPE, fine_tuning_epochs)
    tuned = fine_tuned(best, data, recipe, seed=seed, checkpoint=checkpoint)
    control = GraphModule(folded)
    set_weights(control, state)
    checkpoint = folder / f"control-{seed}-{fine_tuning_epochs}.safetensors"
    if train(control, data, recipe, seed=seed, checkpoint=checkpoint, judge_epochs=False).status != "ok":
        sys.exit(f"the control of seed {seed} diverged")
    exact = outputs(graph, weights, test.images).argmax(1)
    longer = outputs(folded, state_arrays(control), test.images).argmax(1)
    top1 = {name: float((x == test.labels).mean()) for name, x in {"float32": exact, "float32_longer": longer}.items()}
    agreement = {}
    with LiteRTProcess() as process:
        for name, found in {"rounded": plain, "quantize": best, "fine_tuned": tuned}.items():
            classes = run_model(process, found.write(), test.images).argmax(1)
            top1[name], agreement[name] = float((classes == test.labels).mean()), float((classes == exact).mean())
    worst = sorted(layer_errors(best.network(), sample.images[:64]), key=lambda e: -e.own)[:3]
    return {
        "seed": seed,
        "top1": top1,
        "points_lost": {name: round(100 * (top1["float32"] - top1[name]), 2) for name in agreement},
        "points_lost_to_float_trained_as_long": round(100 * (top1["float32_longer"] - top1["fine_tuned"]), 2),
        "agreement": agreement,
        "steps": best.steps,
        "quantize_seconds": round(seconds, 1),
        "worst_layers": {e.name: round(e.own, 4) for e in worst},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--fine-tuning-epochs", type=int, default=4)
    parser.add_argument("--work", type=Path, default=Path("runs/quantization"))
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in given.seeds:
        rows.append(judged(seed, given.epochs, given.fine_tuning_epochs, given.work))
        print(rows[-1], flush=True)
    lost = {name: [row["points_lost"][name] for row in rows] for name in ("rounded", "quantize", "fine_tuned")}
    record(
        "quantization",
        {
            "network": {"macs": network().graph().macs, "params": network().graph().params},
            "test_images": 2000,
            "mean_points_lost": {name: round(statistics.mean(values), 2) for name, values in lost.items()},
            "mean_points_lost_to_float_trained_as_long": round(
                statistics.mean(row["points_lost_to_float_trained_as_long"] for row in rows), 2
            ),
            "most_points_lost": {name: max(values) for name, values in lost.items()},
            "networks": rows,
        },
    )


if __name__ == "__main__":
    main()
