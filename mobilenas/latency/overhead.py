"""What starting an inference costs."""

from dataclasses import replace

import numpy as np

from mobilenas.errors import DeviceError
from mobilenas.export import write_tflite
from mobilenas.graph import GraphBuilder
from mobilenas.runners import Runner, Timing, TimingProtocol

VISITS = 15


def overhead_us(runner: Runner, protocol: TimingProtocol) -> float:
    """The cost of an inference that no op accounts for: what a chain of tiny ops takes as its length goes to 0.

    Raises:
        DeviceError: If the device does not run it.
    """
    lengths = (1, 33)
    timings = runner.measure([_chain(length) for length in lengths], replace(protocol, visits=VISITS))
    short, long = (t.latency_us if isinstance(t, Timing) else np.nan for t in timings)
    if not np.isfinite([short, long]).all():
        raise DeviceError(f"the device does not run the simplest model: {timings[0]}")
    return max(float(short - (long - short) / (lengths[1] - lengths[0])), 0.0)


def _chain(length: int) -> bytes:
    builder = GraphBuilder((1, 1, 8))
    x = builder.inputs[0]
    for i in range(length):
        x = builder.add(x, x, name=f"add_{i}")
    graph = builder.finish(x)
    return write_tflite(graph, {})
