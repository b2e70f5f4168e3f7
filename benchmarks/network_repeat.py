"""Networks measured again, minutes or days after `profile`: how far from the table's figures, by what is taken off.

    python benchmarks/network_repeat.py [--visits 14]

The calibration networks of the host's float32 table are visited in turn, MobileNetV2, the sentinel, beside each. Where
others use the machine's memory, the sentinel takes longer than usual, and so do networks: with what power they follow
is the question. Half of the visits make one figure, so that each network has two.
"""

import argparse

import numpy as np
from _record import record

from mobilenas.export import random_weights, write_tflite
from mobilenas.latency.calibration_set import networks_for
from mobilenas.latency.measuring import steady_runner
from mobilenas.latency.steady import NETWORK_STRIDE, Visit
from mobilenas.latency.table import load_table
from mobilenas.runners import Device, Timing, TimingProtocol, open_runner, undisturbed
from mobilenas.spaces.mnasnet import MnasNetSpace

PROTOCOL = TimingProtocol(visits=1, runs=200, visit_seconds=0.12)
POWERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=14)
    visits = parser.parse_args().visits
    if visits < 2:
        parser.error("--visits must be 2 or more: half of them make one figure")
    device = Device.load("host")
    table = load_table(device, "float32")
    if table is None:
        raise SystemExit("host has no float32 table; run: mobilenas profile --device host")
    graphs = networks_for(MnasNetSpace(resolution=224))
    known_us = {each.name: each.measured_us + table.info.overhead_us for each in table.networks if each.name in graphs}
    names = list(known_us)
    if not names:
        raise SystemExit("host's float32 table was not calibrated on the MnasNet space; run: mobilenas profile --fresh")
    files = [write_tflite(graphs[name], random_weights(graphs[name])) for name in names]
    seen: dict[str, list[Visit]] = {name: [] for name in names}
    with open_runner(device) as runner:
        steady = steady_runner(device, runner)
        for number in range(visits):
            for start in range(0, len(files), NETWORK_STRIDE):
                timings = steady.visit(files[start : start + NETWORK_STRIDE], PROTOCOL, steady.network)
                for name, timing in zip(names[start:], timings, strict=False):
                    if not isinstance(timing, Timing):
                        raise SystemExit(f"{name} does not run: {timing.reason}")
                    seen[name].append(Visit.of(timing))
            print(f"\rvisit {number + 1} of {visits}", end="", flush=True)
    usual_us = steady.network.usual_us
    halves = [(known_us[name], seen[name][i::2]) for name in names for i in (0, 1)]
    errors = {
        power: np.array(
            [
                undisturbed([v.us for v in half], [v.slowness * (v.beside_us / usual_us) ** power for v in half]) / us
                - 1
                for us, half in halves
            ]
        )
        for power in POWERS
    }
    everything = [visit for one in seen.values() for visit in one]
    print()
    record(
        "network_repeat",
        {
            "networks": len(names),
            "visits": visits,
            "table_of": table.info.date,
            "sentinel_over_usual_quartiles": np.percentile([v.beside_us / usual_us for v in everything], [25, 50, 75])
            .round(3)
            .tolist(),
            "visits_in_quiet_moments_percent": round(100 * float(np.mean([v.slowness == 1 for v in everything])), 1),
            "by_power": [
                {
                    "power": power,
                    "rms_percent": round(100 * float(np.sqrt(np.mean(found**2))), 2),
                    "bias_percent": round(100 * float(found.mean()), 2),
                    "within_5_percent": round(100 * float(np.mean(np.abs(found) <= 0.05)), 1),
                }
                for power, found in errors.items()
            ],
        },
    )


if __name__ == "__main__":
    main()
