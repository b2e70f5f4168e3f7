"""Our files against litert-torch's of the same network and weights: latency, interleaved, and difference of outputs.

pip install litert-torch    # in an environment of its own, beside mobilenas[train]
python benchmarks/litert_torch.py
"""

# ruff: noqa: E402  # this file has the name of the package that it imports, which must not be found here
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]

import litert_torch
import numpy as np
import torch

from mobilenas import models
from mobilenas.export import Weights, random_weights, write_tflite
from mobilenas.graph import OpGraph
from mobilenas.nn import GraphModule, set_weights
from mobilenas.runners import Device, LiteRTProcess, TimingProtocol
from mobilenas.runners.host import HostRunner
from mobilenas.verification import run_model

sys.path.append(str(Path(__file__).resolve().parent))
from _record import record

NETWORKS = ("mobilenet_v2", "mobilenet_v3_large", "mnasnet_b1", "efficientnet_b0")
PROTOCOL = TimingProtocol(visits=15, runs=200, visit_seconds=0.3)


def converted(graph: OpGraph, weights: Weights) -> bytes:
    """The network in torch as litert-torch converts it, channels last outside."""
    module = GraphModule(graph).eval()
    set_weights(module, weights)
    (shape,) = graph.input_shapes
    sample = torch.randn(1, *shape)
    model = litert_torch.convert(litert_torch.to_channel_last_io(module, args=[0]).eval(), (sample,))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        model.export(str(path))
        return path.read_bytes()


def compare(name: str, padding: str) -> dict[str, float | int | str]:
    """One network, both ways."""
    graph = replace(models.get(name), padding=padding).graph()
    weights = random_weights(graph)
    files = {"ours": write_tflite(graph, weights), "theirs": converted(graph, weights)}
    images = np.random.default_rng(0).standard_normal((4, *graph.input_shapes[0])).astype(np.float32)
    with LiteRTProcess() as process:
        ours, theirs = (run_model(process, model, images) for model in files.values())
    with HostRunner(Device.load("host")) as runner:
        mine, other = runner.measure(list(files.values()), PROTOCOL)
    return {
        "network": name,
        "padding": padding,
        "ours_ms": round(mine.latency_us / 1e3, 4),
        "theirs_ms": round(other.latency_us / 1e3, 4),
        "ratio": round(mine.latency_us / other.latency_us, 4),
        "median_ratio_of_visits": round(float(np.median(np.array(mine.visit_us) / np.array(other.visit_us))), 4),
        "ours_delegates": mine.delegates,
        "theirs_delegates": other.delegates,
        "ours_bytes": len(files["ours"]),
        "theirs_bytes": len(files["theirs"]),
        "difference_of_largest_output": float(np.abs(ours - theirs).max() / np.abs(theirs).max()),
    }


def main() -> None:
    rows = []
    for padding in sys.argv[1:] or ["symmetric", "same"]:
        for name in NETWORKS:
            rows.append(compare(name, padding))
            print(rows[-1], flush=True)
    record("litert_torch", {"litert_torch": version("litert-torch"), "torch": version("torch"), "networks": rows})


if __name__ == "__main__":
    main()
