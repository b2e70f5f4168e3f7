"""A network as another converter writes it: a script for an environment that has the converter.

pip install tensorflow-cpu litert-torch ai-edge-quantizer    # beside mobilenas[train]
python benchmarks/_convert.py SOURCE NETWORK DTYPE FILE

SOURCE is `keras` or `litert_torch` for the published network NETWORK with the random weights that `mobilenas export`
gives it, `keras_applications` or `torchvision` for their own network of this name. Int8 goes the way that each
converter's documentation shows: TFLiteConverter's full-integer quantization, static_wi8_ai8 of the AI Edge Quantizer.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mobilenas import models
from mobilenas.export import random_weights

CALIBRATION_IMAGES = 8
KERAS_NAMES = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_large": "MobileNetV3Large",
    "mobilenet_v3_small": "MobileNetV3Small",
    "efficientnet_b0": "EfficientNetB0",
}
IMAGE = (224, 224, 3)
"""Of the networks that come with a library."""


def calibration_images(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """What activations get their ranges from, (N, height, width, 3); the weights are random too."""
    return np.random.default_rng(0).standard_normal((CALIBRATION_IMAGES, *shape)).astype(np.float32)


def our_keras(name: str, dtype: str) -> bytes:
    """Our network in Keras."""
    from _keras_network import keras_network

    graph = models.get(name).graph()
    return _converted_by_tensorflow(keras_network(graph, random_weights(graph)), dtype)


def keras_applications(name: str, dtype: str) -> bytes:
    """Keras' own network."""
    import tensorflow

    network = getattr(tensorflow.keras.applications, KERAS_NAMES[name])(weights=None, input_shape=IMAGE)
    return _converted_by_tensorflow(network, dtype)


def _converted_by_tensorflow(network: Any, dtype: str) -> bytes:
    """A Keras network; `dtype` may also be float16, dynamic (weights alone in int8) and uint8 (inputs and outputs)."""
    import tensorflow as tf

    def representative() -> Iterator[list[npt.NDArray[np.float32]]]:
        for image in calibration_images(network.inputs[0].shape[1:]):
            yield [image[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if dtype != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if dtype == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if dtype in ("int8", "uint8"):
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = getattr(tf, dtype)
    return bytes(converter.convert())


def our_torch(name: str, dtype: str) -> bytes:
    """Our network in torch, channels last outside."""
    from mobilenas.nn import GraphModule, set_weights

    graph = models.get(name).graph()
    module = GraphModule(graph).eval()
    set_weights(module, random_weights(graph))
    return _converted_by_litert_torch(module, graph.input_shapes[0], dtype)


def torchvision_network(name: str, dtype: str) -> bytes:
    """Torchvision's own network."""
    import torchvision

    return _converted_by_litert_torch(getattr(torchvision.models, name)(weights=None).eval(), IMAGE, dtype)


def _converted_by_litert_torch(module: Any, shape: tuple[int, int, int], dtype: str) -> bytes:
    """A torch module, with images (1, height, width, 3) as inputs."""
    import litert_torch
    import torch

    with tempfile.TemporaryDirectory() as folder:
        path, quantized = Path(folder) / "float32.tflite", Path(folder) / "int8.tflite"
        channels_last = litert_torch.to_channel_last_io(module, args=[0]).eval()
        litert_torch.convert(channels_last, (torch.randn(1, *shape),)).export(str(path))
        if dtype == "float32":
            return path.read_bytes()
        from ai_edge_quantizer import Quantizer, recipe

        quantizer = Quantizer(str(path), recipe.static_wi8_ai8())
        samples = [{"args_0": image[None]} for image in calibration_images(shape)]
        ranges = quantizer.calibrate({"serving_default": samples})
        quantizer.quantize(ranges).export_model(str(quantized))
        return quantized.read_bytes()


SOURCES: dict[str, Callable[[str, str], bytes]] = {
    "keras": our_keras,
    "litert_torch": our_torch,
    "keras_applications": keras_applications,
    "torchvision": torchvision_network,
}


def main() -> None:
    source, name, dtype, path = sys.argv[1:]
    Path(path).write_bytes(SOURCES[source](name, dtype))


if __name__ == "__main__":
    main()
