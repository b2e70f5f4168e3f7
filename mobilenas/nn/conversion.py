"""converted: a torch module as a TFLite file by litert-torch, whose extra it needs."""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.graph import Shape
from mobilenas.nn.quiet import quiet


def converted(module: nn.Module, shape: Shape) -> bytes:
    """Writes a module as litert-torch converts it: channels last outside, float32, a batch of one.

    Operators that no op graph expresses are converted too; which of them XNNPACK takes is up to the file.

    Args:
        module: Takes one image, (N, C, H, W), and gives one tensor.
        shape: (height, width, channels) of the image.

    Raises:
        InputError: If the extra `litert-torch` is not installed, or litert-torch cannot convert the module.
    """
    litert_torch = require("litert_torch", "litert-torch")
    height, width, channels = shape
    image = torch.zeros(1, channels, height, width)
    outputs = [0] if answer(module, image).dim() == 4 else None
    try:
        with quiet(), tempfile.TemporaryDirectory() as folder:
            last = litert_torch.to_channel_last_io(module.eval(), args=[0], outputs=outputs).eval()
            path = Path(folder) / "model.tflite"
            litert_torch.convert(last, (image.permute(0, 2, 3, 1).contiguous(),)).export(str(path))
            return path.read_bytes()
    except Exception as error:  # whatever the converter meets
        raise InputError(f"litert-torch cannot convert {type(module).__name__}: {_first_line(error)}") from error


def answer(module: nn.Module, images: Tensor) -> Tensor:
    """What a module gives in evaluation.

    Args:
        module: Anybody's.
        images: Shape (N, C, H, W).

    Raises:
        InputError: If it does not take the images, or gives anything but one tensor with something for each.
    """
    try:
        with torch.inference_mode():
            found = module.eval()(images)
    except Exception as error:  # anybody's code
        sizes = "x".join(map(str, images.shape))
        raise InputError(f"{type(module).__name__} does not take images {sizes}: {_first_line(error)}") from error
    if not isinstance(found, Tensor):
        raise InputError(f"{type(module).__name__} gives {type(found).__name__}; give a module that gives one tensor")
    if not found.dim() or len(found) != len(images):
        raise InputError(
            f"{type(module).__name__} gives sizes {[*found.shape]} for {len(images)} images; give one each"
        )
    return found


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0][:300]
