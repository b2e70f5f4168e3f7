"""Runs int8 files: observed ranges, and outputs as real numbers."""

from dataclasses import replace

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert import exported
from numpy.typing import NDArray

from mobilenas.export import Weights, write_tflite
from mobilenas.export.quantization import quantization
from mobilenas.graph import OpGraph

Arrays = list[NDArray[np.float32]]


def observed_ranges(graph: OpGraph, weights: Weights, batches: list[Arrays]) -> dict[str, tuple[float, float]]:
    """Lowest and highest value of every input and every node in the float32 file."""
    names = [f"input_{i}" for i in range(len(graph.input_shapes))] + [node.name for node in graph.nodes]
    shown = replace(graph, outputs=tuple(range(len(graph.input_shapes), len(names))))
    model = write_tflite(shown, weights)
    runs = [[*inputs, *exported(model, inputs)] for inputs in batches]
    return {
        name: (min(float(run[i].min()) for run in runs), max(float(run[i].max()) for run in runs))
        for i, name in enumerate(names)
    }


def on_the_grid(value: NDArray[np.float32], bounds: tuple[float, float]) -> NDArray[np.float32]:
    """The values nearest to these that int8 of this range can hold."""
    grid = quantization(min(bounds[0], 0.0), max(bounds[1], 0.0))
    stored = grid.stored(value).astype(np.float32)
    return (stored - np.float32(grid.zero_point)) * grid.scale[0]


def int8_outputs(model: bytes, inputs: Arrays) -> list[tuple[NDArray[np.float32], float]]:
    """Each output of an int8 file in real numbers, and its scale."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs, strict=True):
        scale, zero_point = detail["quantization"]
        stored = np.clip(np.rint(value / scale) + zero_point, -128, 127).astype(np.int8)
        interpreter.set_tensor(detail["index"], stored)
    interpreter.invoke()
    found = []
    for detail in interpreter.get_output_details():
        scale, zero_point = detail["quantization"]
        stored = interpreter.get_tensor(detail["index"]).astype(np.float32)
        found.append(((stored - zero_point) * np.float32(scale), float(scale)))
    return found
