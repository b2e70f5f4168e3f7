"""How well figures of networks repeat, by which of their visits count, and how far they are from the table's.

    python benchmarks/network_repeat.py [--visits 24] [--sessions 4] [--pause 60]

The calibration networks of the host's float32 table are visited in turn, MobileNetV2, the sentinel, beside each, in
sessions some time apart. Of every session each network has one figure: a percentile of its visits, which is over the
sentinel's in that session, against what the table says that it usually takes, to some power.
"""

import argparse
import time

import numpy as np
from _record import record

from mobilenas.export import random_weights, write_tflite
from mobilenas.latency.calibration_set import networks_for
from mobilenas.latency.measuring import steady_runner
from mobilenas.latency.steady import NETWORK_STRIDE
from mobilenas.latency.table import load_table
from mobilenas.runners import Device, Timing, TimingProtocol, open_runner
from mobilenas.spaces.mnasnet import MnasNetSpace

PROTOCOL = TimingProtocol(visits=1, runs=40, visit_seconds=0.06, warmup_runs=1, waits=False)
PERCENTILES = (0, 10, 25, 50)
POWERS = (0.0, 0.5, 0.75, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visits", type=int, default=24)
    parser.add_argument("--sessions", type=int, default=4)
    parser.add_argument("--pause", type=float, default=60.0)
    settings = parser.parse_args()
    if settings.sessions < 2:
        parser.error("--sessions must be 2 or more: what differs between them is the question")
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
    visits_us, sentinel_us = [], []
    for number in range(settings.sessions):
        if number:
            time.sleep(settings.pause)
        seen: dict[str, list[float]] = {name: [] for name in names}
        with open_runner(device) as runner:
            steady = steady_runner(device, runner)
            for _ in range(settings.visits):
                for start in range(0, len(files), NETWORK_STRIDE):
                    timings = steady.visit(files[start : start + NETWORK_STRIDE], PROTOCOL, steady.network)
                    for name, timing in zip(names[start:], timings, strict=False):
                        if not isinstance(timing, Timing):
                            raise SystemExit(f"{name} does not run: {timing.reason}")
                        seen[name].append(timing.latency_us)
        visits_us.append([seen[name] for name in names])
        sentinel_us.append(steady.network.session_us)
        print(f"session {number + 1} of {settings.sessions}", flush=True)
    times = np.array(visits_us)  # (sessions, networks, visits)
    slowness = np.array(sentinel_us)[:, None] / table.info.sentinel_network_us
    usual = np.array([known_us[name] for name in names])
    rows = []
    for percentile in PERCENTILES:
        for power in POWERS:
            logs = np.log(np.percentile(times, percentile, axis=2) / slowness**power / usual)
            rows.append(
                {
                    "percentile_of_visits": percentile,
                    "power_of_sentinel": power,
                    "between_sessions_sd_percent": round(100 * float(np.sqrt(np.var(logs, axis=0, ddof=1).mean())), 2),
                    "worst_network_sd_percent": round(100 * float(np.std(logs, axis=0, ddof=1).max()), 2),
                    "from_table_bias_percent": round(100 * float(logs.mean()), 2),
                    "from_table_sd_percent": round(100 * float(logs.std()), 2),
                    "from_table_within_5_percent": round(100 * float(np.mean(np.abs(logs) <= 0.05)), 1),
                }
            )
            print(rows[-1], flush=True)
    record(
        "network_repeat",
        {
            "networks": len(names),
            "sessions": settings.sessions,
            "visits_a_session": settings.visits,
            "pause_seconds": settings.pause,
            "table_of": table.info.date,
            "visits_differ_by_sd_percent": round(100 * float(np.std(np.log(times), axis=(0, 2)).mean()), 1),
            "sentinel_over_usual": slowness[:, 0].round(3).tolist(),
            "figures": rows,
        },
    )


if __name__ == "__main__":
    main()
