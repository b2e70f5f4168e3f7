"""Measures networks and all of their ops in one session: what `predictor_error.py` fits and tests predictors on.

    python benchmarks/predictor_data.py [--dtype float32] [--threads 1] [--calibration 40]
        [--held-out 120] [--fresh 120] [--odd 60]
    python benchmarks/predictor_data.py --device aarch64_emulated --own-ops --most-macs 100 \
        --held-out 0 --fresh 40 --odd 20 --calibration 4
    python benchmarks/predictor_data.py --threads 2 --telling float32.1

Writes `results/predictor_data.[<machine>.]<dtype>.<threads, or device>.csv.gz`, a latency table whose calibration
networks are all networks: `space#...` and `published#...` are there to fit, `held#...` (other samples of the MnasNet
space), `fresh#...` (MnasNet-like files of strangers) and `odd#...` (pruned MobileNetV3, odd channels, 128 to 288
pixels, 10 to 1000 classes) to test. The ops of the space are measured first, as `profile` does. An interrupted run goes
on.
"""

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from _record import RESULTS
from strangers import pruned, stranger

from mobilenas import models
from mobilenas.arch import Arch
from mobilenas.graph import OpGraph, OpSpec
from mobilenas.latency import LatencyTable, Profiler, calibration_networks
from mobilenas.latency.calibration_set import PUBLISHED
from mobilenas.latency.support import support_ops
from mobilenas.runners import Device, open_runner
from mobilenas.spaces.mnasnet import MnasNetSpace


def networks(calibration: int, held: int, fresh: int, odd: int) -> dict[str, OpGraph]:
    """All networks by name."""
    space = MnasNetSpace(resolution=224)
    found = {f"space#{name}": graph for name, graph in calibration_networks(space, calibration).items()}
    for size in (224, 128):
        found |= {f"published#{name}@{size}": models.get(name, resolution=size).graph() for name in PUBLISHED}
    rng = np.random.default_rng(3000)  # calibration networks are drawn with 0
    found |= {f"held#{i}": space.decode(space.sample(rng)).graph() for i in range(held)}
    found |= {f"fresh#{i}": Arch.from_dict(stranger(5000 + i)).graph() for i in range(fresh)}
    for i in range(odd):
        document = pruned(7000 + i) if i % 2 else stranger(7000 + i, odd_channels=True)
        found[f"odd#{i}"] = Arch.from_dict(document).graph()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="", help="instead of this machine")
    parser.add_argument("--calibration", type=int, default=40)
    parser.add_argument("--held-out", type=int, default=120)
    parser.add_argument("--fresh", type=int, default=120)
    parser.add_argument("--odd", type=int, default=60)
    parser.add_argument("--own-ops", action="store_true", help="only the networks' ops, not those of the space too")
    parser.add_argument("--telling", default="", help="a record, such as float32.1: only ops that a transfer needs")
    parser.add_argument("--machine", default="", help="a word for this machine, where the results keep another's too")
    parser.add_argument("--most-macs", type=float, default=1e6, help="leave out networks with more millions")
    settings = parser.parse_args()
    graphs = networks(settings.calibration, settings.held_out, settings.fresh, settings.odd)
    graphs = {name: graph for name, graph in graphs.items() if graph.macs <= 1e6 * settings.most_macs}
    ops = dict.fromkeys(op for graph in graphs.values() for op in graph.op_counts())
    space_ops: list[OpSpec] = []
    if not settings.own_ops and not settings.telling:
        space_ops = [*sorted(MnasNetSpace(resolution=224).distinct_ops(), key=str), *support_ops()]
    if settings.telling:
        from predictor_error import Data, telling  # it imports this module

        ops = dict.fromkeys(telling(Data(settings.telling)))
    words = [settings.machine] * bool(settings.machine) + [settings.dtype, settings.device or str(settings.threads)]
    name = ".".join(["predictor_data", *words])
    path = Path(tempfile.gettempdir()) / f"{name}.csv"
    device = Device(name=f"host{settings.threads}", runner="host", threads=settings.threads)
    if settings.device:
        device = Device.load(settings.device)

    def progress(done: int, total: int) -> None:
        print(f"\r{done}/{total} visits", end="", flush=True)

    with open_runner(device) as runner:
        table = LatencyTable.load(path) if path.exists() else None
        profiler = Profiler(
            device=device, dtype=settings.dtype, runner=runner, path=path, table=table, progress=progress
        )
        before = profiler.table
        start = time.monotonic()
        profiler.measure(space_ops)
        space_s = time.monotonic() - start
        with_ops = profiler.measure(ops)
        ops_s = time.monotonic() - start
        start = time.monotonic()
        table = profiler.measure([], graphs, ops_of_networks=not settings.telling)
        networks_s = time.monotonic() - start
    with gzip.open(RESULTS / f"{name}.csv.gz", "wt") as file:
        file.write(table.to_csv())
    seconds = {
        "ops_of_the_space": len(space_ops),
        "seconds_for_these": round(space_s, 1),
        "ops": len(table),
        "networks": len(table.networks),
        "ms_an_op": round(1e3 * ops_s / max(len(with_ops) - len(before), 1), 1),
        "ms_a_network": round(1e3 * networks_s / max(len(table.networks) - len(before.networks), 1), 1),
        "repeated_visits": profiler.steady.repeated_visits,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(seconds) + "\n")
    print("\n" + json.dumps(seconds))


if __name__ == "__main__":
    main()
