"""What the way to a device costs beside the measuring, on devices whose every inference takes 20 ms.

    python benchmarks/transport_overhead.py

Profiles 64 ops over adb and over SSH. The phone and the board are those of the tests: the real adb client and server
with a daemon on loopback (it needs mksh, toybox and user namespaces), and a real sshd, which starts the agent with an
inference that sleeps. Every packet takes 2 ms on the way. Overhead is the whole time less that of the inferences and
warm-ups: pushing, scripts, starting processes or interpreters, looking after battery and heat.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _record import record

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "runners"))
from loopback_board import SSHD, Cable, LoopbackBoard
from phone import AdbServer, FakePhone, why_not

from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.latency import Profiler, table_path
from mobilenas.latency.profiling import OP_PROTOCOL
from mobilenas.runners import Device, _ssh_transport, open_runner

INFERENCE_MS, PACKET_MS = 20, 2
OPS = [OpSpec(OpKind.CONV2D, ((28, 28, channels),), 64) for channels in range(8, 8 + 64)]
RUNS_A_VISIT = 5 + OP_PROTOCOL.warmup_runs
"""An inference that is longer than the protocol's time for a visit runs as often as the least is."""
Visits = Callable[[], int]
"""How many visits the device has had."""


@contextmanager
def phone(folder: Path) -> Iterator[tuple[Device, Visits]]:
    """A phone behind the real adb."""
    server = AdbServer(folder)
    os.environ.update(server.environment)
    made = FakePhone(folder)
    made.write("data/phone/takes", str(INFERENCE_MS))
    made.tell(delay_ms=PACKET_MS)
    try:
        yield made.device(), lambda: len(made.ran())
    finally:
        made.close()
        server.command("kill-server")


@contextmanager
def board(folder: Path) -> Iterator[tuple[Device, Visits]]:
    """A board behind a real sshd; its agent sleeps instead of inferring, and writes down every visit."""
    agent, log = _ssh_transport.AGENT, folder / "visits"
    source, infer, visit = agent.read_text(), "        invoke()\n", "        fill_inputs(interpreter)\n"
    assert infer in source
    assert visit in source
    slow = source.replace(infer, f"        time.sleep({INFERENCE_MS / 1e3})\n")
    slow = slow.replace(visit, visit + f"        with open({str(log)!r}, 'a') as log:\n            log.write('.')\n")
    _ssh_transport.AGENT = folder / "agent.py"
    _ssh_transport.AGENT.write_text(slow)
    log.touch()
    with LoopbackBoard(folder) as made:
        cable = Cable(made.port, delay_ms=PACKET_MS)
        made.trust_at(cable.port)
        try:
            yield Device(name="board", runner="ssh", options=made.options(port=cable.port)), lambda: log.stat().st_size
        finally:
            cable.close()
            _ssh_transport.AGENT = agent


def overhead(visits: Visits, measure: Callable[[], object]) -> dict[str, float]:
    """Seconds that `measure` took, seconds of inferences in it, and the rest as a share of these."""
    before, start = visits(), time.monotonic()
    measure()
    seconds = time.monotonic() - start
    made = visits() - before
    measuring = made * RUNS_A_VISIT * INFERENCE_MS / 1e3
    return {
        "visits": made,
        "seconds": round(seconds, 2),
        "seconds_of_inferences": round(measuring, 2),
        "overhead_percent": round(100 * (seconds / measuring - 1), 1),
    }


def both_ways(device: Device, visits: Visits) -> dict[str, Any]:
    """Profiling, and the same ops sent one at a time."""
    models = [write_micro_model(op) for op in OPS]
    with open_runner(device) as runner:
        path = table_path(device, "float32")
        profiling = overhead(
            visits, lambda: Profiler(device=device, dtype="float32", runner=runner, path=path).measure(OPS)
        )
    with open_runner(device) as runner:
        one_by_one = overhead(visits, lambda: [runner.measure([model], OP_PROTOCOL) for model in models])
    return {"profiling_in_batches": profiling, "the_same_models_one_by_one": one_by_one}


def main() -> None:
    if reason := why_not() or ("" if SSHD else "no sshd"):
        sys.exit(f"no simulated devices here: {reason}")
    found = {}
    for name, simulated in (("adb", phone), ("ssh", board)):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["MOBILENAS_HOME"] = f"{folder}/home"
            with simulated(Path(folder)) as (device, visits):
                found[name] = both_ways(device, visits)
    record("transport_overhead", {"inference_ms": INFERENCE_MS, "packet_ms": PACKET_MS, "ops": len(OPS), **found})


if __name__ == "__main__":
    main()
