"""keras_network: an op graph as the Keras model that somebody would have written, channels last."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from mobilenas.export import Weights
from mobilenas.graph import WINDOWED, OpGraph, OpKind, OpNode, OpSpec

RELU: dict[str, float | None] = {"relu": None, "relu6": 6.0}


def keras_network(graph: OpGraph, weights: Weights) -> keras.Model:
    """The network of a graph with one input; batch norms are layers, and padding that is not SAME is ZeroPadding2D.

    Raises:
        NotImplementedError: If an op pads a pool, which Keras cannot say, or is of a kind that no published network
            has.
    """
    (shape,) = graph.input_shapes
    values = [keras.Input(shape, batch_size=1)]
    for node in graph.nodes:
        values.append(_layers(node, weights, *(values[i] for i in node.inputs)))
    model = keras.Model(values[0], [_flat(values[i], graph.value_shapes[i]) for i in graph.outputs])
    for node in graph.weighted_nodes():
        for name, arrays in _parameters(node, weights).items():
            model.get_layer(name).set_weights(arrays)
    return model


def _layers(node: OpNode, weights: Weights, *inputs: Any) -> Any:
    """What computes one node: its op, batch norm and fused activation."""
    name, spec, x = _name(node), node.spec, inputs[0]
    if spec.kind in WINDOWED and isinstance(spec.padding, tuple):
        if spec.kind in (OpKind.MAX_POOL2D, OpKind.AVG_POOL2D):
            raise NotImplementedError(f"{node.name}: Keras has no pool with padding {spec.padding}")
        x = layers.ZeroPadding2D(spec.padding)(x)
    if spec.kind not in _OPS:
        raise NotImplementedError(f"{node.name}: no layer for {spec.kind}")
    y = _OPS[spec.kind](node, name)(x if len(inputs) == 1 else list(inputs))
    if node.batch_norm:
        y = layers.BatchNormalization(epsilon=node.batch_norm.epsilon, name=f"{name}_batch_norm")(y)
    if spec.activation in RELU:
        y = layers.ReLU(RELU[spec.activation])(y)
    return layers.Reshape(spec.out_shape)(y) if spec.kind is OpKind.FULLY_CONNECTED else y


def _flat(value: Any, shape: tuple[int, int, int]) -> Any:
    """Scores, not an image of one pixel, where an output is one."""
    return layers.Flatten()(value) if shape[:2] == (1, 1) else value


def _name(node: OpNode) -> str:
    return node.name.replace(".", "_")


def _parameters(node: OpNode, weights: Weights) -> dict[str, list[np.ndarray[Any, Any]]]:
    """The arrays of a node's layers in Keras' order and layout, by layer."""
    weight, spec = weights[f"{node.weight_name}.weight"], node.spec
    channels = spec.in_shapes[0][2]
    if spec.kind is OpKind.CONV2D:
        kernel = weight.transpose(2, 3, 1, 0)
    elif spec.kind is OpKind.DEPTHWISE_CONV2D:
        kernel = weight.reshape(channels, -1, *spec.kernel_size).transpose(2, 3, 0, 1)
    else:
        height, width, _ = spec.in_shapes[0]
        kernel = weight.reshape(-1, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, spec.out_channels)
    found = {_name(node): [kernel, *([weights[f"{node.weight_name}.bias"]] if node.bias else [])]}
    if node.batch_norm:
        names = ("weight", "bias", "running_mean", "running_var")
        arrays = [weights[f"{node.weight_name}.batch_norm.{name}"] for name in names]
        found[f"{_name(node)}_batch_norm"] = arrays
    return found


def _window(spec: OpSpec) -> dict[str, Any]:
    return {"strides": spec.stride, "padding": "same" if spec.padding == "same" else "valid"}


def _conv(node: OpNode, name: str) -> Any:
    spec = node.spec
    settings = {**_window(spec), "dilation_rate": spec.dilation, "use_bias": node.bias, "name": name}
    if spec.kind is OpKind.CONV2D:
        return layers.Conv2D(spec.out_channels, spec.kernel_size, groups=spec.groups, **settings)
    return layers.DepthwiseConv2D(
        spec.kernel_size, depth_multiplier=spec.out_channels // spec.in_shapes[0][2], **settings
    )


def _dense(node: OpNode, name: str) -> Any:
    dense = layers.Dense(node.spec.out_channels, use_bias=node.bias, name=name)
    return lambda x: dense(layers.Flatten()(x))


def _slice(node: OpNode, name: str) -> Any:
    stop = node.first_channel + node.spec.out_channels
    return lambda x: x[..., node.first_channel : stop]


def _hard_sigmoid(node: OpNode, name: str) -> Any:
    """As `keras.applications.MobileNetV3Large` writes it."""
    return lambda x: layers.ReLU(6.0)(x + 3.0) * (1.0 / 6.0)


def _activation(keras_name: str) -> Callable[[OpNode, str], Any]:
    return lambda node, name: layers.Activation(keras_name, name=name)


_OPS: dict[OpKind, Callable[[OpNode, str], Any]] = {
    OpKind.CONV2D: _conv,
    OpKind.DEPTHWISE_CONV2D: _conv,
    OpKind.FULLY_CONNECTED: _dense,
    OpKind.MAX_POOL2D: lambda node, name: layers.MaxPooling2D(node.spec.kernel_size, **_window(node.spec)),
    OpKind.AVG_POOL2D: lambda node, name: layers.AveragePooling2D(node.spec.kernel_size, **_window(node.spec)),
    OpKind.MEAN: lambda node, name: layers.GlobalAveragePooling2D(keepdims=True, name=name),
    OpKind.PAD: lambda node, name: layers.ZeroPadding2D(node.spec.explicit_padding, name=name),
    OpKind.ADD: lambda node, name: layers.Add(name=name),
    OpKind.MUL: lambda node, name: layers.Multiply(name=name),
    OpKind.CONCAT: lambda node, name: layers.Concatenate(name=name),
    OpKind.SLICE: _slice,
    OpKind.RELU: lambda node, name: layers.ReLU(name=name),
    OpKind.RELU6: lambda node, name: layers.ReLU(6.0, name=name),
    OpKind.HARD_SWISH: _activation("hard_swish"),
    OpKind.HARD_SIGMOID: _hard_sigmoid,
    OpKind.SIGMOID: _activation("sigmoid"),
    OpKind.SILU: _activation("silu"),
}
