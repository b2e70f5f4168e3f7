"""Seconds to profile and calibrate the MnasNet space at 224 pixels, and the speed of its compiled predictor.

python benchmarks/profile_speed.py
"""

import os
import tempfile
import time

import numpy as np
from _record import record

from mobilenas.latency import CompiledLatency, LatencyPredictor, up_to_date_table
from mobilenas.runners import Device
from mobilenas.spaces import open_space

GENOTYPES = 1_000_000


def main() -> None:
    space = open_space("mnasnet", resolution=224, num_classes=1000)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOBILENAS_HOME"] = folder
        start = time.monotonic()
        table = up_to_date_table(Device.load("host"), "float32", space.distinct_ops(), space=space, note=print)
        profiling_s = time.monotonic() - start
    predictor = LatencyPredictor(table)
    start = time.monotonic()
    compiled = CompiledLatency(predictor, space)
    compiling_s = time.monotonic() - start
    genotypes = space.sample_batch(GENOTYPES, np.random.default_rng(0))
    start = time.monotonic()
    latency_ms = compiled.latency_ms(genotypes)
    looking_up_s = time.monotonic() - start
    decoded = [predictor.predict(space.decode(genotype).graph()).ms for genotype in genotypes[:100]]
    record(
        "profile_speed",
        {
            "distinct_ops": len(space.distinct_ops()),
            "networks_in_space": f"{space.size:.2g}",
            "seconds_profiling_and_calibrating": round(profiling_s, 1),
            "held_out_error_percent": round(100 * table.calibration.error, 2),
            "seconds_compiling": round(compiling_s, 2),
            "genotypes_a_second": round(GENOTYPES / looking_up_s),
            "largest_difference_to_predict": float(np.abs(np.array(decoded) / latency_ms[:100] - 1).max()),
        },
    )


if __name__ == "__main__":
    main()
