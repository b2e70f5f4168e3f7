"""What a trip to a phone costs beside the measuring: profiling a simulated phone whose every inference takes 20 ms.

python benchmarks/adb_overhead.py

The phone is that of the tests (the real adb client and server, a daemon on loopback; it needs mksh, toybox and user
namespaces), with a cable on which every packet takes 2 ms. Overhead is the whole time less that of the inferences and
warm-ups: pushing, scripts, starting processes, looking after battery and heat.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _record import record

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "runners"))
from phone import AdbServer, FakePhone, why_not

from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Profiler, table_path
from mobilenas.latency.profiling import OP_PROTOCOL
from mobilenas.runners import open_runner

INFERENCE_MS, PACKET_MS = 20, 2
OPS = [OpSpec(OpKind.CONV2D, ((28, 28, channels),), 64) for channels in range(8, 8 + 64)]
RUNS_A_VISIT = 5 + OP_PROTOCOL.warmup_runs


def overhead(phone: FakePhone, measure: Callable[[], object]) -> dict[str, float]:
    """Seconds that `measure` took, seconds of inferences in it, and the rest as a share of these."""
    before, start = len(phone.ran()), time.monotonic()
    measure()
    seconds = time.monotonic() - start
    processes = len(phone.ran()) - before
    measuring = processes * RUNS_A_VISIT * INFERENCE_MS / 1e3
    return {
        "processes": processes,
        "seconds": round(seconds, 2),
        "seconds_of_inferences": round(measuring, 2),
        "overhead_percent": round(100 * (seconds / measuring - 1), 1),
    }


def main() -> None:
    if reason := why_not():
        sys.exit(f"no simulated phone here: {reason}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["MOBILENAS_HOME"] = str(folder / "home")
        server = AdbServer(folder)
        os.environ.update(server.environment)
        phone = FakePhone(folder)
        phone.write("data/phone/takes", str(INFERENCE_MS))
        phone.tell(delay_ms=PACKET_MS)
        device = phone.device()
        models = [write_micro_model(op) for op in OPS]
        try:
            with open_runner(device) as runner:
                one_by_one = overhead(phone, lambda: [runner.measure([model], OP_PROTOCOL) for model in models])
            with open_runner(device) as runner:
                path = table_path(device, "float32")
                profiling = overhead(
                    phone,
                    lambda: Profiler(device=device, dtype="float32", runner=runner, path=path).measure(OPS),
                )
        finally:
            phone.close()
            server.command("kill-server")
    record(
        "adb_overhead",
        {
            "inference_ms": INFERENCE_MS,
            "packet_ms": PACKET_MS,
            "ops": len(OPS),
            "profiling_in_batches": profiling,
            "the_same_models_one_by_one": one_by_one,
        },
    )


if __name__ == "__main__":
    main()
