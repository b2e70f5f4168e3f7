"""Looks like benchmark_model and times with LiteRT; `phone.py` puts an interpreter's path before it."""

import statistics
import sys
import time

import numpy as np
from ai_edge_litert.interpreter import Interpreter

with open("/data/phone/style") as chosen:
    STYLE = chosen.read()
FLAGS = ("graph", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs", "num_threads")
OWN = ("use_cpu", "use_gpu") if STYLE == "results" else ("use_xnnpack", "enable_op_profiling")


def timed(interpreter, runs, seconds):
    times, end = [], time.perf_counter() + seconds
    while len(times) < runs or time.perf_counter() < end:
        start = time.perf_counter()
        interpreter.invoke()
        times.append((time.perf_counter() - start) * 1e6)
    return times


def summary(times):
    median, low, high = (round(value) for value in np.percentile(times, [50, 5, 95]))
    more = f" p5={low} median={median} p95={high}" if STYLE == "median" else ""
    first, last, least, most = (round(value) for value in (times[0], times[-1], min(times), max(times)))
    return (
        f"count={len(times)} first={first} curr={last} min={least} max={most} "
        f"avg={statistics.fmean(times):.6g} std={round(statistics.pstdev(times))}{more}"
    )


def main():
    given = dict(argument.lstrip("-").partition("=")[::2] for argument in sys.argv[1:])
    if "help" in given:
        print("usage: benchmark_model\nFlags:")
        print("\n".join(f"\t--{name}=x\tstring\toptional" for name in (*FLAGS, *OWN)))
        sys.exit(1)
    unknown = set(given) - {*FLAGS, *OWN}
    if unknown:
        print(f"ERROR: Unrecognized commandline flags: {unknown}")
        sys.exit(1)
    with open(given["graph"], "rb") as file:
        content = file.read()
    interpreter = Interpreter(model_content=content, num_threads=int(given["num_threads"]))
    interpreter.allocate_tensors()
    prefix = "INFO: " if STYLE == "median" else ""
    warmup = timed(interpreter, int(given["warmup_runs"]), float(given["warmup_min_secs"]))
    times = timed(interpreter, int(given["num_runs"]), float(given["min_secs"]))
    if STYLE == "results":
        print("========== BENCHMARK RESULTS ==========")
        print(f"Model initialization: 1.00 ms\nWarmup (avg):   {statistics.fmean(warmup):.2f} us ({len(warmup)} runs)")
        print(f"Inference (avg): {statistics.fmean(times) / 1e3:.4f} ms ({len(times)} runs)")
        print("=======================================")
        return
    applied = "Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate."
    print(f"{prefix}{applied}")
    for block, runs in ((warmup, given["warmup_runs"]), (times, given["num_runs"])):
        print(f"{prefix}Running benchmark for at least {runs} iterations and at least 0 seconds but terminate if")
        print(f"{prefix}{summary(block)}\n")
    print(f"Timings (microseconds): {summary(warmup)}\nMemory (bytes): count=0\n1 nodes observed")


if __name__ == "__main__":
    main()
