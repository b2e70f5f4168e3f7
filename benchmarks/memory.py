"""Predicted peak activation memory against what a fresh process grows by when it allocates and runs the network.

    python benchmarks/memory.py [--dtype float32]

Anonymous resident memory (Linux: RssAnon) of a process that opens the file by its path, so that the file itself is
mapped and not counted; what the smallest model grows by and the weights, which XNNPACK packs into memory of its own,
are taken off. What remains beyond the activations is the runtime's own: a copy of the input, and XNNPACK's indirection
buffers, eight bytes for each position of a window at each output pixel (depthwise: each row shares its columns).
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from _record import record
from strangers import stranger

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.export import random_weights, write_micro_model, write_tflite
from mobilenas.graph import OpGraph, OpKind, OpSpec
from mobilenas.latency.calibration_set import PUBLISHED

CHILD = """
import json, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter

def anonymous_bytes():
    line = next(line for line in open("/proc/self/status") if line.startswith("RssAnon"))
    return 1024 * int(line.split()[1])

def run(path):
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], np.ones(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    return interpreter

warm = run(sys.argv[1])
before = anonymous_bytes()
kept = run(sys.argv[2])
print(json.dumps(anonymous_bytes() - before))
"""


def growth_bytes(null: Path, model: bytes, folder: Path) -> int:
    """Median growth of three fresh processes."""
    path = folder / "model.tflite"
    path.write_bytes(model)
    grown = [
        int(
            json.loads(
                subprocess.run([sys.executable, "-c", CHILD, null, path], check=True, capture_output=True).stdout
            )
        )
        for _ in range(3)
    ]
    return int(np.median(grown))


def runtime_bytes(graph: OpGraph) -> int:
    """Copy of the input, and indirection buffers of convolutions larger than 1x1."""
    total = 4 * math.prod(graph.input_shapes[0])
    for op in (node.spec for node in graph.nodes):
        height, width, _ = op.out_shape
        rows, columns = op.kernel_size
        if op.kind is OpKind.CONV2D and rows * columns > 1:
            total += 8 * height * width * rows * columns
        elif op.kind is OpKind.DEPTHWISE_CONV2D:
            total += 8 * height * rows * (columns + (width - 1) * min(columns, op.stride[1]))
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32")
    dtype = parser.parse_args().dtype
    graphs: dict[str, OpGraph] = {name: models.get(name).graph() for name in PUBLISHED}
    graphs |= {f"stranger_{i}": Arch.from_dict(stranger(3000 + i)).graph() for i in range(20)}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        null = folder / "null.tflite"
        null.write_bytes(write_micro_model(OpSpec(OpKind.ADD, ((1, 1, 8), (1, 1, 8)), 8), dtype=dtype))
        nothing = growth_bytes(null, null.read_bytes(), folder)
        for label, graph in graphs.items():
            model = write_tflite(graph, random_weights(graph), dtype=dtype)
            grown = growth_bytes(null, model, folder) - nothing - graph.weight_bytes(dtype)
            sizes = {
                "predicted_mb": graph.peak_memory_bytes(dtype),
                "runtime_mb": runtime_bytes(graph),
                "grown_mb": grown,
            }
            rows.append({"network": label, **{key: round(size / 1e6, 3) for key, size in sizes.items()}})
            print(rows[-1], flush=True)
    large = [row for row in rows if row["predicted_mb"] >= 2]
    predicted, runtime, grown_mb = np.array([[r["predicted_mb"], r["runtime_mb"], r["grown_mb"]] for r in large]).T
    slopes = np.linalg.lstsq(np.stack([predicted, runtime, np.ones(len(large))], 1), grown_mb, rcond=None)[0]
    ratios = (predicted + runtime) / grown_mb
    record(
        f"memory.{dtype}",
        {
            "null_model_grows_mb": round(nothing / 1e6, 3),
            "networks_above_2_mb": len(large),
            "fit": "grown = {:.3f} predicted + {:.3f} runtime + {:.3f} MB".format(*slopes),
            "predicted_alone_by_grown_median": round(float(np.median(predicted / grown_mb)), 3),
            "predicted_and_runtime_by_grown_median": round(float(np.median(ratios)), 3),
            "predicted_and_runtime_within_15_percent": f"{int((np.abs(ratios - 1) <= 0.15).sum())} of {len(large)}",
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
