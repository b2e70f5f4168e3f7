"""converted: a torch module as a TFLite file by litert-torch. Needs the extra `litert-torch`."""

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch import Tensor, nn

from mobilenas.errors import InputError
from mobilenas.extras import require
from mobilenas.graph import Shape


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
    module.eval()
    with torch.inference_mode():
        found = module(image)
    if not isinstance(found, Tensor):
        raise InputError(f"{type(module).__name__} gives {type(found).__name__}; give a module that gives one tensor")
    outputs = [0] if found.dim() == 4 else None
    try:
        with _quiet(), tempfile.TemporaryDirectory() as folder:
            last = litert_torch.to_channel_last_io(module, args=[0], outputs=outputs).eval()
            path = Path(folder) / "model.tflite"
            litert_torch.convert(last, (image.permute(0, 2, 3, 1).contiguous(),)).export(str(path))
            return path.read_bytes()
    except Exception as error:  # whatever the converter meets
        first = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise InputError(f"litert-torch cannot convert {type(module).__name__}: {first[:300]}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter says of itself."""
    level = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
