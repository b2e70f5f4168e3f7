"""Measures whole networks on a device, interleaved."""

from contextlib import suppress
from typing import Annotated

import typer

from mobilenas.cli.arguments import (
    AnyModels,
    BenchmarkBinary,
    DeviceName,
    Dtype,
    Json,
    check_dtype,
    resolve_device,
    resolve_model,
)
from mobilenas.cli.network import read_model_file, resolve_network
from mobilenas.cli.output import note, print_json, print_table
from mobilenas.errors import DeviceError, FieldError, InputError
from mobilenas.export import TfliteFile, random_weights, write_tflite
from mobilenas.latency import steady_runner
from mobilenas.latency.steady import NETWORK_CHUNK
from mobilenas.runners import Failure, TimingProtocol, open_runner

LEAST_VISITS, VISIT_SECONDS, START_SECONDS, MOST_SECONDS = 12, 0.06, 0.03, 3600


def run(
    model: AnyModels,
    device: DeviceName = "host",
    dtype: Dtype = "float32",
    seconds: Annotated[float, typer.Option(help="Time for each network.")] = 8.0,
    benchmark_binary: BenchmarkBinary = None,
    json: Json = False,
) -> None:
    """Prints the measured latency of networks or .tflite files; an architecture gets random weights."""
    if not 0 < seconds <= MOST_SECONDS:
        raise FieldError("seconds", seconds, f"seconds above 0, at most {MOST_SECONDS}")
    target = resolve_device(device, benchmark_binary)
    files = [_file(name, check_dtype(dtype)) for name in model]
    protocol = _protocol(0.8 * seconds, len(files))
    with open_runner(target) as runner:
        steady = steady_runner(target, runner)
        timings = steady.measure(files, protocol)
    if drift := steady.drift():
        note(f"{drift}: these latencies are of a disturbed device, or the table is outdated")
    documents = []
    for name, timing in zip(model, timings, strict=True):
        if isinstance(timing, Failure):
            problem = InputError if "valid Flatbuffer" in timing.reason else DeviceError  # the file's fault, or not
            raise problem(f"{name}: {target.name} does not run it: {timing.reason}")
        unit = timing.unit
        documents.append(
            {
                "name": name,
                f"latency_{unit.shown}": unit.show(timing.latency_us),
                f"p10_{unit.shown}": unit.show(timing.p10_us),
                f"p90_{unit.shown}": unit.show(timing.p90_us),
                "runs": timing.runs,
                "delegates": timing.delegates,
            }
        )
        if timing.delegates not in (1, None):
            note(f"{name}: {timing.delegates} delegate partitions instead of 1: parts of it run on slow kernels")
            _explain(name)
    if json:
        print_json(documents[0] if len(documents) == 1 else documents)
    else:
        print_table(list(documents[0]), [list(document.values()) for document in documents])


def _explain(name: str) -> None:
    """What in a file is not delegated, where the file can be read as a network."""
    with suppress(InputError):
        for remark in resolve_network(name).remarks():
            note(remark)


def _protocol(seconds: float, files: int) -> TimingProtocol:
    """Many short visits rather than a few long ones: disturbances come in episodes."""
    with_sentinels = 1 + 2 / min(files, NETWORK_CHUNK)
    visit_seconds = max(min(VISIT_SECONDS, seconds / with_sentinels / LEAST_VISITS), 0.001)
    visits = max(LEAST_VISITS, int(seconds / with_sentinels / (visit_seconds + START_SECONDS)))
    return TimingProtocol(visits=visits, runs=1000, visit_seconds=visit_seconds)


def _file(name: str, dtype: str) -> bytes:
    if not name.endswith(".tflite"):
        graph = resolve_model(name).graph()
        return write_tflite(graph, random_weights(graph), dtype=dtype)
    data = read_model_file(name)
    try:
        TfliteFile.parse(data)  # a damaged file is refused before the runtime sees it
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    return data
