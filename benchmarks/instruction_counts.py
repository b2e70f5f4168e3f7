"""Do the instructions of isolated ops add up to those of whole networks, and does a count repeat?

    python benchmarks/predictor_data.py --device aarch64_emulated --own-ops --most-macs 100 \
        --fresh 40 --odd 20 --calibration 4
    python benchmarks/instruction_counts.py

Reads the counts that the first command recorded, and counts six of its networks again in an emulation of its own.
"""

import statistics
import time
from typing import Any

import numpy as np
from _record import record
from predictor_error import GRAPHS, Data

from mobilenas.export import random_weights, write_tflite
from mobilenas.runners import Device, Timing, TimingProtocol, open_runner

REPEATED = 6


def main() -> None:
    data = Data("float32.aarch64_emulated")
    overhead = data.table.info.overhead_us
    errors = {n.name: (n.op_sum_us + overhead) / (n.measured_us + overhead) - 1 for n in data.table.networks}
    worst = max(errors, key=lambda name: abs(errors[name]))
    record(
        "instruction_counts",
        {
            "runtime": data.table.info.runtime,
            "cpu": data.table.info.cpu,
            "ops": len(data.table),
            "networks": len(errors),
            "instructions_of_networks": [round(f(data.measured_us.values()), -6) for f in (min, max)],
            "sum_of_ops_against_whole_percent": {
                "mean": round(100 * statistics.mean(errors.values()), 3),
                "root_mean_square": round(100 * float(np.sqrt(np.mean(np.square(list(errors.values()))))), 3),
                "worst": round(100 * errors[worst], 3),
                "worst_network": worst,
                "within_half_a_percent": sum(abs(error) <= 0.005 for error in errors.values()),
            },
            **again(data),
        },
    )


def again(data: Data) -> dict[str, Any]:
    """How far counts of another emulation are from the recorded ones."""
    names = sorted(data.measured_us, key=lambda name: data.measured_us[name])[:: len(data.measured_us) // REPEATED]
    files = [write_tflite(GRAPHS[name], random_weights(GRAPHS[name])) for name in names]
    start = time.monotonic()
    with open_runner(Device.load("aarch64_emulated")) as runner:
        opened_s = time.monotonic() - start
        timings = runner.measure(files, TimingProtocol())
    counts = [timing.latency_us for timing in timings if isinstance(timing, Timing)]
    changes = [abs(count / data.measured_us[name] - 1) for name, count in zip(names, counts, strict=True)]
    return {
        "counted_again": len(changes),
        "largest_change_percent": round(100 * max(changes), 5),
        "seconds_to_open": round(opened_s, 1),
        "seconds_a_network": round((time.monotonic() - start - opened_s) / len(files), 1),
    }


if __name__ == "__main__":
    main()
