"""What networks feel of a processor and a memory that others use, and how well what they take is found in spite of it.

    python benchmarks/memory_noise.py [--minutes 8]

Networks are run in turn in this process, on the last core, in bursts of 5 ms. Before and after each burst the gate
looks whether the processor is at its best, and 12 MB are read. Printed and recorded are, of every network, the
quartiles of its runs in all bursts, in those between quiet looks, and in those whose reads were quick as well; the
power with which it follows the time of the reads; and how figures of twelve pairs of quiet bursts differ from minute to
minute: uncorrected, corrected by the median power of the other networks, by a power found from these twelve and held to
that, and by one that is found freely.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from _record import record
from ai_edge_litert.interpreter import Interpreter

from mobilenas.export import random_weights, write_tflite
from mobilenas.latency.calibration_set import networks_for
from mobilenas.runners import _litert_agent as agent
from mobilenas.runners._agent_runner import gate_model
from mobilenas.spaces.mnasnet import MnasNetSpace

Floats = npt.NDArray[np.float64]
NETWORKS = ("mobilenet_v2_1.4@128", "mnasnet_b1@224", "mobilenet_v3_large@224", "mobilenet_v3_small@128")
NETWORKS += ("efficientnet_b0@224", "mobilenet_v2_0.35@224", "mobilenet_v2_0.5@128", "mnasnet_a1@128")
NETWORKS += ("mobilenet_v2@128", "mobilenet_v2_0.75@224")
TURN_SECONDS, MEGABYTES, QUICK = 0.06, 12, 1.1
PAIRS, LEAST_PAIRS, DRAWS = 12, 6, 6
NOISE, HELD = 0.035, 0.05
"""Of a pair of bursts, and how closely a network's power is held to the other networks'."""


class Burst(NamedTuple):
    """One burst: when, what a run took (median), how slow the gate and what the reads were around it."""

    seconds: float
    us: float
    slowness: float
    read_us: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0)
    settings = parser.parse_args()
    if settings.minutes < 2:
        parser.error("--minutes must be 2 or more: what differs between them is the question")
    agent.pin(1)
    bursts = _watch(60 * settings.minutes)
    quiet = {name: [each for each in seen if each.slowness <= agent.QUIET] for name, seen in bursts.items()}
    reads = np.array([each.read_us for seen in quiet.values() for each in seen])
    quick_us, usual_us = QUICK * float(np.percentile(reads, 3)), float(np.median(reads))
    powers = {name: _power(_logs(seen), usual_us, prior=0.0, held=np.inf) for name, seen in quiet.items()}
    rows = [
        {
            "network": name,
            "quartiles_us": _quartiles(bursts[name]),
            "quiet_quartiles_us": _quartiles(quiet[name]),
            "quick_quartiles_us": _quartiles([each for each in quiet[name] if each.read_us <= quick_us]),
            "power": round(powers[name], 2),
            **_repeats(quiet[name], usual_us, float(np.median([p for other, p in powers.items() if other != name]))),
        }
        for name in bursts
    ]
    for row in rows:
        print(row, flush=True)
    minutes = [[each.read_us for each in seen] for seen in _by_minute([b for seen in bursts.values() for b in seen])]
    kinds = [key for key in rows[0] if key.endswith("sd_percent")]
    record(
        "memory_noise",
        {
            "minutes": settings.minutes,
            "quiet_share": round(sum(map(len, quiet.values())) / sum(map(len, bursts.values())), 3),
            "quickest_read_us": round(float(reads.min()), 1),
            "median_read_us_by_minute": [round(float(np.median(seen)), 1) for seen in minutes],
            "mean": {kind: _mean([row[kind] for row in rows]) for kind in kinds},
            "networks": rows,
        },
    )


def _watch(seconds: float) -> dict[str, list[Burst]]:
    graphs = networks_for(MnasNetSpace(resolution=224))
    files = {name: write_tflite(graphs[name], random_weights(graphs[name])) for name in NETWORKS}
    interpreters = {name: _loaded(file) for name, file in files.items()}
    gate_interpreter = _loaded(gate_model())
    gate = agent.Gate(agent.bare_invoke(gate_interpreter))
    data = np.ones(MEGABYTES * 250_000, np.float32)

    def read_us() -> float:
        start = time.perf_counter_ns()
        data.max()
        return (time.perf_counter_ns() - start) / 1e3

    found: dict[str, list[Burst]] = {name: [] for name in NETWORKS}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name, interpreter in interpreters.items():
            invoke = agent.bare_invoke(interpreter)
            until = time.monotonic() + TURN_SECONDS
            while time.monotonic() < until:
                found[name].append(_burst(invoke, gate.slowness, read_us))
    return found


def _burst(invoke: Callable[[], None], slowness: Callable[[], float], read_us: Callable[[], float]) -> Burst:
    before_us, before = read_us(), slowness()
    invoke()  # finds its data away
    times = agent.burst(time.perf_counter_ns, invoke, 1000)
    after, after_us = slowness(), read_us()
    return Burst(time.monotonic(), float(np.median(times)) / 1e3, max(before, after), (before_us + after_us) / 2)


def _loaded(file: bytes) -> Interpreter:
    interpreter = Interpreter(model_content=file, num_threads=1)
    interpreter.allocate_tensors()
    agent.fill_inputs(interpreter)
    return interpreter


def _quartiles(bursts: Sequence[Burst]) -> list[float]:
    return np.percentile([each.us for each in bursts], [25, 50, 75]).round(1).tolist() if bursts else []


def _by_minute(bursts: Sequence[Burst]) -> list[list[Burst]]:
    start = min((each.seconds for each in bursts), default=0.0)
    minutes: dict[int, list[Burst]] = {}
    for each in bursts:
        minutes.setdefault(int((each.seconds - start) / 60), []).append(each)
    return [minutes[number] for number in sorted(minutes)]


def _logs(bursts: Sequence[Burst]) -> Floats:
    """Logarithms of what pairs of bursts took and of their reads, shape (pairs, 2)."""
    pairs = zip(bursts[::2], bursts[1::2], strict=False)
    return np.log([(np.percentile([a.us, b.us], 25), (a.read_us + b.read_us) / 2) for a, b in pairs] or np.ones((0, 2)))


def _power(logs: Floats, usual_us: float, prior: float, held: float) -> float:
    """With what power a network follows the reads: least squares, outliers counting linearly."""
    if len(logs) < 2:
        return prior
    took, read = logs[:, 0], logs[:, 1] - np.log(usual_us)
    weights, power = np.ones(len(logs)), prior
    for _ in range(8):
        x, y = read - np.average(read, weights=weights), took - np.average(took, weights=weights)
        power = (np.sum(weights * x * y) / NOISE**2 + prior / held**2) / (
            np.sum(weights * x * x) / NOISE**2 + 1 / held**2
        )
        rest = took - power * read
        weights = 1 / np.maximum(1, np.abs(rest - np.median(rest)) / NOISE)
    return float(np.clip(power, 0, 1))


def _mean(figures: Sequence[float | None]) -> float | None:
    known = [each for each in figures if each is not None]
    return round(float(np.mean(known)), 2) if known else None


def _repeats(quiet: Sequence[Burst], usual_us: float, prior: float) -> dict[str, float | None]:
    """How figures of a minute differ from each other, by how they are corrected."""
    rng = np.random.default_rng(0)
    figures: dict[str, list[float]] = {"uncorrected": [], "by_others": [], "held": [], "free": []}
    for minute in _by_minute(quiet):
        logs = _logs(minute)
        if len(logs) < LEAST_PAIRS:
            continue
        for _ in range(DRAWS):
            seen = logs[np.sort(rng.permutation(len(logs))[:PAIRS])]
            powers = (0.0, prior, _power(seen, usual_us, prior, HELD), _power(seen, usual_us, prior, np.inf))
            for kind, power in zip(figures, powers, strict=True):
                figures[kind].append(float(np.median(seen[:, 0] - power * (seen[:, 1] - np.log(usual_us)))))
    return {
        f"{kind}_sd_percent": round(100 * float(np.std(found)), 2) if len(found) > DRAWS else None
        for kind, found in figures.items()
    }


if __name__ == "__main__":
    main()
