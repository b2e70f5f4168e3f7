"""Truncated, random and hostile files through every reader: a clear error or a valid object, and nothing else.

    python benchmarks/fuzz_readers.py [--cases 2000] [--seed 0]

`--cases` is per reader. Case i of a reader is the same in every run with the same seed. Readers run in child processes
with 2 GiB of memory beyond their libraries' and 5 s of a processor a case; what
ends a child is a finding too (Linux and macOS).
"""

import argparse
import contextlib
import json
import os
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from _mutations import damaged, hostile_csv, hostile_json, hostile_safetensors, hostile_tflite
from _record import record

LIMIT_BYTES, LIMIT_SECONDS = 2 * 2**30, 5
WAITING = 12
"""Times as long it may take by the clock: other programs may run."""
LONGEST_ERROR = 1000


@dataclass(frozen=True)
class Reader:
    """What is fuzzed.

    Attributes:
        name: Name of the file that is read.
        samples: Good files.
        read: Reads the file; it lies alone in a folder of its own.
        hostile: Damage that keeps the format.
    """

    name: str
    samples: list[bytes]
    read: Callable[[Path], object]
    hostile: Callable[[bytes, Random], bytes]


def readers() -> dict[str, Reader]:
    """Every reader of a file that users or other programs give us."""
    import numpy as np
    from safetensors.numpy import save

    from mobilenas import models
    from mobilenas.arch import Arch
    from mobilenas.cli.info import describe
    from mobilenas.cli.network import resolve_network
    from mobilenas.export import random_weights, read_weights, write_micro_model, write_tflite
    from mobilenas.graph import OpKind, OpSpec
    from mobilenas.history import History, Trial
    from mobilenas.latency import LatencyPredictor, LatencyTable, Measurement, TableInfo
    from mobilenas.latency.journal import Journal
    from mobilenas.latency.sentinel import Visit
    from mobilenas.runners import Device

    archs = [models.get(name, resolution=32, num_classes=4) for name in ("mobilenet_v2_0.35", "mobilenet_v3_small")]
    part = [{**arch.to_dict(), "stages": arch.to_dict()["stages"][:2]} for arch in archs]
    small = [Arch.from_dict(document) for document in part]
    graphs = [arch.graph() for arch in small]
    files = [
        write_tflite(g, random_weights(g), dtype=dtype) for g in graphs for dtype in ("float32", "float16", "int8")
    ]
    pools = [
        OpSpec(kind, ((9, 8, 4),), 4, kernel_size=(3, 3), stride=(2, 2), padding=((1, 1), (1, 2)))
        for kind in (OpKind.MAX_POOL2D, OpKind.AVG_POOL2D)
    ]
    joined = [
        OpSpec(OpKind.UPSAMPLE, ((3, 4, 4),), 4, stride=(2, 7)),
        OpSpec(OpKind.CONCAT, ((3, 4, 4),) * 12, 48),
        OpSpec(OpKind.CHANNEL_SHUFFLE, ((3, 4, 6),), 6, groups=2),
        OpSpec(OpKind.CONV2D, ((8, 8, 4),), 4, kernel_size=(3, 3), padding=((1, 1), (1, 1))),
        OpSpec(OpKind.GELU, ((3, 4, 6),), 6),
        OpSpec(OpKind.DEPTHWISE_CONV2D, ((9, 8, 4),), 4, kernel_size=(7, 7)),
        replace(pools[0], stride=(4, 4)),
    ]
    files += [write_micro_model(spec, dtype=dtype) for spec in (*pools, *joined) for dtype in ("float32", "int8")]
    rows = {op: Measurement(float(i + 1), 0.1, 40, 3) for i, op in enumerate(graphs[1].op_counts())}
    table = LatencyTable(TableInfo(device="host", date="2026-01-01", overhead_us=1.0), rows)
    weights = random_weights(graphs[0])
    trial = Trial(
        index=0,
        genotype=(1, 2, 3),
        status="ok",
        latency_ms=1.0,
        low_ms=0.9,
        high_ms=1.1,
        macs=10,
        params=5,
        accuracy=0.5,
        reward=0.4,
    )
    lines = b"".join(replace(trial, index=i).to_line() for i in range(4))
    settings = json.dumps({"settings": {"target_ms": 1.0, "device": "host"}, "versions": {"python": "3"}}).encode()
    answers = b"".join(json.dumps({"key": f"measure {i}", "answer": {"ms": i}}).encode() + b"\n" for i in range(4))
    device = b'name = "board"\nrunner = "host"\nthreads = 1\n[options]\npin = false\nwait_seconds = 5.0\n'

    def text(change: Callable[[str, Random], str]) -> Callable[[bytes, Random], bytes]:
        return lambda data, random: change(data.decode(), random).encode(errors="replace")

    def line_by_line(data: bytes, random: Random) -> bytes:
        found = data.splitlines()
        at = random.randrange(len(found))
        found[at] = hostile_json(found[at].decode(), random).encode(errors="replace")
        return b"\n".join(found) + b"\n"

    def a_run(path: Path) -> None:
        from mobilenas.run.folder import RunFolder  # here: it brings torch, and its address space

        good = {"run.json": settings, "journal.jsonl": answers}
        for name, content in good.items():
            if name != path.name:
                (path.parent / name).write_bytes(content)
        with RunFolder(path.parent, None):
            pass

    def a_table(path: Path) -> None:
        prediction = LatencyPredictor(LatencyTable.load(path)).predict(graphs[1])
        json.dumps(prediction.ms)

    def a_network(path: Path) -> None:
        json.dumps(describe(resolve_network(str(path))))

    def a_history(path: Path) -> None:
        for found in History(path):
            found.to_line()

    environment = {"cpu": "x", "runtime": "y", "threads": "1", "pinning": "none", "governor": "unknown", "forms": "2"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.partial"
        journal = Journal(path, environment)
        for op in list(rows)[:3]:
            journal.add_op(op, Visit(1.0, 2.0, 1.0, 40))
        journal.add_network("net", Visit(100.0, 2.0, 1.0, 40))
        visited = path.read_bytes()
    return {
        "tflite": Reader("x.tflite", files, a_network, hostile_tflite),
        "architecture": Reader("x.json", [json.dumps(p).encode() for p in part], a_network, text(hostile_json)),
        "table": Reader("x.csv", [table.to_csv().encode()], a_table, text(hostile_csv)),
        "weights": Reader(
            "x.safetensors",
            [save(weights), save({k: v.astype(np.float16) for k, v in weights.items()})],
            lambda path: read_weights(path, graphs[0]),
            hostile_safetensors,
        ),
        "history": Reader("trials.jsonl", [lines], a_history, line_by_line),
        "run": Reader("run.json", [settings], a_run, text(hostile_json)),
        "run_journal": Reader("journal.jsonl", [answers], a_run, line_by_line),
        "profile_journal": Reader("x.partial", [visited], lambda path: Journal(path, environment), line_by_line),
        "device": Reader("x.toml", [device], lambda path: Device.load(str(path)), text(hostile_csv)),
    }


def case(reader: Reader, name: str, seed: int, index: int) -> bytes:
    """The file of one case."""
    random = Random(f"{seed}:{name}:{index}")
    sample, other = random.choice(reader.samples), random.choice(reader.samples)
    if random.random() < 0.5:
        with contextlib.suppress(struct.error, TypeError, OverflowError, AttributeError, UnicodeError, IndexError):
            return reader.hostile(sample, random)  # what cannot even be packed is damaged instead
    return damaged(sample, random, other)


def outcome(reader: Reader, data: bytes, seconds: float = LIMIT_SECONDS) -> str:
    """What became of one file: "accepted", "refused", or what is wrong."""
    from mobilenas.errors import MobilenasError

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / reader.name
        path.write_bytes(data)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, WAITING * seconds)
        try:
            reader.read(path)
        except MobilenasError as error:
            text = str(error)
            if len(text.splitlines()) > 2 or len(text) > LONGEST_ERROR:
                return f"an error of {len(text.splitlines())} lines and {len(text)} characters"
            return "refused"
        except TimeoutError:
            return f"longer than {seconds} s"
        except BaseException as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
    return "accepted"


def mapped_bytes() -> int:
    """What the libraries have mapped already; torch alone maps more than a reader may use."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 0


def child(name: str, seed: int, start: int, stop: int) -> None:
    """Runs cases and prints a line for each, before and after it."""
    reader = readers()[name]

    def too_long(number: int, frame: object) -> None:
        raise TimeoutError

    signal.signal(signal.SIGPROF, too_long)
    signal.signal(signal.SIGALRM, too_long)
    for sample in reader.samples:
        whole = outcome(reader, sample, seconds=300)  # the first loads the libraries
        if whole != "accepted":
            raise SystemExit(f"an undamaged file is not accepted: {whole}")
    limit = LIMIT_BYTES + mapped_bytes()
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for index in range(start, stop):
        data = case(reader, name, seed, index)
        began = time.process_time()
        found = outcome(reader, data)
        print(json.dumps([index, found, round(time.process_time() - began, 3)]), flush=True)


def cases(name: str, seed: int, count: int) -> Iterator[tuple[int, str, float]]:
    """(case, outcome, seconds) of all cases; a child that ends before its time is a finding, and another goes on."""
    start = 0
    while start < count:
        command = [sys.executable, __file__, "--child", name, "--seed", str(seed), "--range", str(start), str(count)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            for line in process.stdout:
                index, found, seconds = json.loads(line)
                yield index, found, seconds
                start = index + 1
            last = process.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
        if start < count:
            yield start, f"the process ended with {process.returncode}: {last}", 0.0
            start += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one reader")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--range", type=int, nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child, given.seed, *given.range)
        return
    rows, problems = [], []
    for name in [given.only] if given.only else readers():
        found = list(cases(name, given.seed, given.cases))
        kinds = Counter(text if text in ("accepted", "refused") else "problem" for _, text, _ in found)
        bad = [
            {"reader": name, "case": i, "problem": text} for i, text, _ in found if text not in ("accepted", "refused")
        ]
        problems += bad
        rows.append({"reader": name, "cases": len(found), **kinds, "slowest_s": max(seconds for *_, seconds in found)})
        print(rows[-1], *bad[:10], sep="\n", flush=True)
    if not given.only:
        figures = {"seed": given.seed, "cases": sum(row["cases"] for row in rows), "problems": len(problems)}
        record("fuzz_readers", {**figures, "readers": rows, "found": problems[:50]})


if __name__ == "__main__":
    main()
