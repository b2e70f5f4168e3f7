"""Runs and times TFLite models in a process of its own; it needs numpy and a TFLite runtime, nothing of mobilenas.

It reads requests on standard input and answers on standard output: one JSON line each, followed by `bytes` raw bytes
where the line says so. It ends when its input ends. Python 3.8 and later, so that old boards can run it.

    {"command": "hello", "threads": 1, "pin": true, "counter": ""} -> {"runtime", "runtime_version", "cpu", ...}
    {"command": "load", "id": 7, "bytes": N} + model      -> {}
    {"command": "watch", "bytes": N} + model              -> {}
    (a short model for `Gate`; without one, and with a counter, visits are not watched)
    {"command": "visit", "id": 7, "warmup_runs": 3, "runs": 40, "seconds": 0.1, "waits": true, "wait_seconds": 2.0,
     "gate_us": 0.0}
        -> {"times": [...], "quiet": [...], "slowness": 1.0, "waited": 0.3, "gate_us": 29.1, "delegates": 1}
    (a visit that does not wait is not watched; "gate_us" is what the gate takes at its best, 0.0 where nobody knows;
    all of them are microseconds, but where "counter" names a file, counts of the number in its first eight bytes)
    {"command": "inspect", "id": 7}                       -> {"operators", "undelegated", "inputs", "outputs"}
    {"command": "invoke", "id": 7, "bytes": N} + input    -> {"shape", "bytes"} + output
    (both float32, batch after batch; int8 inputs are quantized and int8 outputs dequantized here)
    {"command": "drop", "id": 7}                          -> {}

An answer with "error" says what went wrong.
"""

import collections
import contextlib
import gc
import json
import mmap
import os
import platform
import sys
import time

if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]  # the script's folder must not shadow modules of the same name

import numpy as np

try:
    import ai_edge_litert as runtime
    from ai_edge_litert.interpreter import Interpreter
except ImportError:
    import tflite_runtime as runtime
    from tflite_runtime.interpreter import Interpreter

NORMAL = np.random.RandomState(0).standard_normal(65521).astype(np.float32)
QUIET = 1.05
"""Times its best that the gate may take in a quiet moment."""
BURST_NS, WINDOW_NS, FIRST_LOOKS_NS = 5 * 10**6, 20 * 10**9, 3 * 10**8
LEAST_RUNS = 5
ENOUGH = 0.15
"""Of a visit's time, what is enough where all of it was quiet."""
WHOLE = np.random.RandomState(0).randint(0, 100, 65521)


class Agent:
    """The models that were loaded and the settings of `hello`."""

    def __init__(self):
        self.models = {}
        self.threads = 1
        self.clock, self.ticks = time.perf_counter_ns, 1000
        self.open_id, self.open_interpreter = None, None
        self.gate = None

    def hello(self, request, payload):
        self.threads = request["threads"]
        cores = pin(self.threads) if request["pin"] else None
        if request["counter"]:
            self.clock, self.ticks = counter(request["counter"]), 1
        return {
            "runtime": runtime.__name__.replace("_", "-"),
            "runtime_version": getattr(runtime, "__version__", "unknown"),
            "python": platform.python_version(),
            "cpu": cpu(),
            "cores": cores,
            "governor": governor(cores),
        }, b""

    def load(self, request, payload):
        self.models[request["id"]] = payload
        return {}, b""

    def drop(self, request, payload):
        self.models.pop(request["id"], None)
        self.open_id, self.open_interpreter = None, None
        return {}, b""

    def watch(self, request, payload):
        self.models["gate"] = payload
        interpreter = self.interpreter("gate")
        fill_inputs(interpreter)
        self.gate = Gate(bare_invoke(interpreter))
        return {}, b""

    def visit(self, request, payload):
        interpreter = self.interpreter(request["id"])
        invoke = bare_invoke(interpreter)
        fill_inputs(interpreter)
        for _ in range(request["warmup_runs"]):
            invoke()
        with no_garbage_collection():
            if self.gate is None or not request["waits"]:
                times = quiet = timed_runs(self.clock, invoke, request["runs"], request["seconds"])
                slowness, waited_ns, gate_us = 1.0, 0, 0.0
            else:
                self.gate.usual_ns = 1e3 * request["gate_us"]
                times, quiet, slowness, waited_ns = watched_runs(self.gate, invoke, request)
                gate_us = self.gate.best_ns() / 1e3
        return {
            "times": [time / self.ticks for time in times],
            "quiet": [time / self.ticks for time in quiet],
            "slowness": slowness,
            "waited": waited_ns / 1e9,
            "gate_us": gate_us,
            "delegates": operators(interpreter).count("DELEGATE"),
        }, b""

    def inspect(self, request, payload):
        interpreter = self.interpreter(request["id"])
        return {
            "operators": operators(interpreter),
            "undelegated": undelegated(interpreter),
            "inputs": [tensor(detail) for detail in interpreter.get_input_details()],
            "outputs": [tensor(detail) for detail in interpreter.get_output_details()],
        }, b""

    def invoke(self, request, payload):
        if self.open_id != request["id"]:
            self.open_interpreter, self.open_id = self.interpreter(request["id"]), request["id"]
        interpreter = self.open_interpreter
        details = interpreter.get_input_details()
        shape = [int(size) for size in details[0]["shape"]]
        values = np.frombuffer(payload, np.float32).reshape([-1] + shape[1:])
        outputs = []
        for image in values:
            interpreter.set_tensor(details[0]["index"], stored(image[None], details[0]))
            interpreter.invoke()
            detail = interpreter.get_output_details()[0]
            outputs.append(real(interpreter.get_tensor(detail["index"]), detail))
        result = np.concatenate(outputs).astype(np.float32)
        return {"shape": list(result.shape)}, result.tobytes()

    def interpreter(self, model_id):
        interpreter = Interpreter(model_content=self.models[model_id], num_threads=self.threads)
        interpreter.allocate_tensors()
        return interpreter


class Gate:
    """A short model that is run before and after others, to see whether the processor is at its best.

    Its best is the fastest of the last twenty seconds: a processor that throttles has a new one after that. What an
    earlier session knows to be faster, `usual_ns`, takes its place: else one that begins while others use the processor
    takes that for its best.
    """

    def __init__(self, invoke):
        self.invoke, self.usual_ns = invoke, 0.0
        self.fastest = collections.deque()  # (when, what it took), the fastest first, each faster than all before it
        end = time.perf_counter_ns() + FIRST_LOOKS_NS
        while time.perf_counter_ns() < end:
            self.slowness()

    def slowness(self):
        """How many times its best it takes now: the faster of two runs, since the first finds its data away."""
        clock = time.perf_counter_ns
        start = clock()
        self.invoke()
        middle = clock()
        self.invoke()
        end = clock()
        took = max(min(middle - start, end - middle), 1)
        while self.fastest and self.fastest[-1][1] >= took:
            self.fastest.pop()
        self.fastest.append((end, took))
        while self.fastest[0][0] < end - WINDOW_NS:
            self.fastest.popleft()
        return took / min(self.best_ns(), self.usual_ns or took)

    def best_ns(self):
        """The fastest of the last twenty seconds."""
        return self.fastest[0][1]


def watched_runs(gate, invoke, request):
    """Runs in bursts between looks at the gate: all of them, those that count, how slow it was for these, time waited.

    What shares the processor without showing, other threads of a core or other machines on the same hardware, comes and
    goes within fractions of a second. A burst counts where the gate was at its best before and after it; for that one
    waits up to `wait_seconds`. Where there were too few such bursts, the least slow ones count.
    """
    clock = time.perf_counter_ns
    seconds_ns, wait_ns = request["seconds"] * 1e9, request["wait_seconds"] * 1e9
    start, quiet_runs, quiet_ns, runs, bursts = clock(), 0, 0, 0, []
    before = gate.slowness()
    while True:
        passed = clock() - start - quiet_ns
        if before > QUIET and passed < wait_ns:
            before = gate.slowness()
            continue
        times = burst(clock, invoke, request["runs"])
        after = gate.slowness()
        slowness = max(before, after)
        bursts.append((slowness, times))
        before = after
        runs += len(times)
        if slowness <= QUIET:
            quiet_runs += len(times)
            quiet_ns += sum(times)
        if quiet_runs >= request["runs"] or (quiet_runs >= LEAST_RUNS and quiet_ns >= ENOUGH * seconds_ns):
            break
        if runs >= LEAST_RUNS and clock() - start >= seconds_ns + wait_ns:
            break
    chosen, worst = [], 1.0
    for slowness, times in sorted(bursts, key=lambda each: each[0]):
        if slowness > QUIET:
            if len(chosen) >= LEAST_RUNS:
                break
            worst = slowness
        chosen.extend(times)
    waited_ns = max(clock() - start - sum(sum(times) for _, times in bursts), 0)
    return [one for _, times in bursts for one in times], chosen, worst, waited_ns


def burst(clock, invoke, most):
    """What runs of five milliseconds take, `most` at most; the first of several finds its data away and is left out."""
    times = []
    end = clock() + BURST_NS
    while True:
        start = clock()
        invoke()
        stop = clock()
        times.append(stop - start)
        if stop > end or len(times) > most:
            return times[1:] or times


def timed_runs(clock, invoke, runs, seconds):
    """What each run takes on the clock: `runs` of them, fewer when `seconds` are over, but five at least."""
    times = []
    end = clock() + int(seconds * 1e9)
    while len(times) < runs:
        start = clock()
        invoke()
        stop = clock()
        times.append(stop - start)
        if stop > end and len(times) >= LEAST_RUNS:
            break
    return times


@contextlib.contextmanager
def no_garbage_collection():
    """Python collects no garbage meanwhile."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def bare_invoke(interpreter):
    """What runs the model with the least around it."""
    return getattr(getattr(interpreter, "_interpreter", None), "Invoke", interpreter.invoke)


def counter(path):
    """A clock that gives what another process counts: the first eight bytes of a file that both map."""
    with open(path, "rb") as file:
        number = memoryview(mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)).cast("Q")
    return lambda: number[0]


def fill_inputs(interpreter):
    """Random values in every input; drawing them anew would take longer than most ops."""
    for detail in interpreter.get_input_details():
        shape, dtype = [int(size) for size in detail["shape"]], np.dtype(detail["dtype"])
        values = NORMAL if dtype.kind == "f" else WHOLE
        interpreter.set_tensor(detail["index"], np.resize(values, shape).astype(dtype))


def stored(values, detail):
    """Real numbers as a tensor holds them."""
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f":
        return values.astype(dtype)
    scale, zero_point = detail["quantization"]
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values / scale) + zero_point, limits.min, limits.max).astype(dtype)


def real(values, detail):
    """What a tensor holds as real numbers."""
    if values.dtype.kind == "f":
        return values
    scale, zero_point = detail["quantization"]
    return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def operators(interpreter):
    """Names of the operators in the file, and a DELEGATE for each partition; what a delegate runs stays in the list."""
    details = getattr(interpreter, "_get_ops_details", list)()
    return [detail["op_name"] for detail in details]


def undelegated(interpreter):
    """Names of the operators that the outputs need and that no delegate runs."""
    makers = {}
    for detail in getattr(interpreter, "_get_ops_details", list)():  # delegates come last and take the place of others
        makers.update((int(index), detail) for index in detail["outputs"])
    names, seen = [], set()
    needed = [detail["index"] for detail in interpreter.get_output_details()]
    while needed:
        maker = makers.get(needed.pop())
        if maker is not None and maker["index"] not in seen:
            seen.add(maker["index"])
            needed.extend(int(index) for index in maker["inputs"])
            if maker["op_name"] != "DELEGATE":
                names.append(maker["op_name"])
    return names


def tensor(detail):
    """What a caller needs to know of an input or output."""
    return {
        "name": str(detail["name"]),
        "shape": [int(size) for size in detail["shape"]],
        "dtype": np.dtype(detail["dtype"]).name,
    }


def pin(threads):
    """Binds this process to its last `threads` processors; None where the system cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    try:
        cores = sorted(os.sched_getaffinity(0))[-threads:]
        os.sched_setaffinity(0, cores)
        return sorted(os.sched_getaffinity(0))
    except OSError:
        return None


def cpu():
    """What this machine calls itself: the board, or the model of its processor."""
    for path, name in (("/proc/device-tree/model", ""), ("/proc/cpuinfo", "model name")):
        try:
            with open(path, "rb") as file:
                lines = file.read().decode(errors="replace").strip("\0\n").splitlines()
        except OSError:
            continue
        for line in lines:
            if line.startswith(name):
                return line.partition(":")[2].strip() if name else line.strip()
    return platform.processor() or platform.machine()


def governor(cores):
    """Frequency governor of the first core; "unknown" where it cannot be read."""
    try:
        path = "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor" % (cores or [0])[0]
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def main(agent):
    """Answers requests until the input ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not end up among the answers
    while True:
        line = requests.readline()
        if not line:
            return
        request = json.loads(line.decode())
        payload = requests.read(request.get("bytes", 0))
        try:
            answer, data = getattr(agent, request["command"])(request, payload)
        except Exception as error:  # every failure of one model is an answer, not the end
            answer, data = {"error": "%s: %s" % (type(error).__name__, str(error)[:500])}, b""
        answer["bytes"] = len(data)
        answers.write(json.dumps(answer).encode() + b"\n" + data)
        answers.flush()


if __name__ == "__main__":
    main(Agent())
