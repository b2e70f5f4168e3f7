"""Seconds to write MobileNetV3-Large, and to write, load and run 2,000 random one-op models.

python benchmarks/export_speed.py
"""

import statistics
import time
from importlib.metadata import version

import numpy as np
from _record import record

from mobilenas import models
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import LiteRTProcess

REPEATS = 15
ONE_OP_MODELS = 2000


def random_op(rng: np.random.Generator) -> OpSpec:
    """A small op of one input, as search spaces have them."""
    size, channels, width = (int(rng.integers(low, high)) for low, high in ((4, 15), (4, 33), (4, 33)))
    kernel, stride = int(rng.choice([3, 5, 7])), int(rng.integers(1, 3))
    window = {
        "kernel_size": (kernel, kernel),
        "stride": (stride, stride),
        "activation": str(rng.choice(["none", "relu"])),
    }
    shape = (size, size, channels)
    kind = rng.choice([OpKind.CONV2D, OpKind.DEPTHWISE_CONV2D, OpKind.FULLY_CONNECTED, OpKind.MEAN, OpKind.HARD_SWISH])
    if kind == OpKind.CONV2D:
        return OpSpec(OpKind.CONV2D, (shape,), width, **(window if rng.random() < 0.3 else {}))
    if kind == OpKind.DEPTHWISE_CONV2D:
        return OpSpec(OpKind.DEPTHWISE_CONV2D, (shape,), channels, **window)
    if kind == OpKind.FULLY_CONNECTED:
        return OpSpec(OpKind.FULLY_CONNECTED, ((1, 1, channels),), width)
    return OpSpec(OpKind(kind), (shape,), channels)


def main() -> None:
    graph = models.get("mobilenet_v3_large").graph()
    weights = random_weights(graph)
    writing_s = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        size = len(write_tflite(graph, weights))
        writing_s.append(time.perf_counter() - start)
    rng = np.random.default_rng(0)
    specs = [random_op(rng) for _ in range(ONE_OP_MODELS)]
    delegates = 0
    with LiteRTProcess() as process:
        process.hello()
        start = time.perf_counter()
        for number, spec in enumerate(specs):
            model = write_micro_model(spec, seed=number)
            answer, _ = process.request("visit", model, timeout_seconds=60, warmup_runs=1, runs=1, seconds=1e-9)
            delegates += answer["delegates"] == 1
        one_op_s = time.perf_counter() - start
    record(
        "export_speed",
        {
            "seconds_writing_mobilenet_v3_large": round(statistics.median(writing_s), 4),
            "seconds_writing_it_the_first_time": round(writing_s[0], 4),
            "bytes": size,
            "one_op_models": ONE_OP_MODELS,
            "of_them_in_one_delegate": delegates,
            "seconds_writing_loading_and_running_them_twice": round(one_op_s, 2),
            "numpy": version("numpy"),
            "flatbuffers": version("flatbuffers"),
        },
    )


if __name__ == "__main__":
    main()
