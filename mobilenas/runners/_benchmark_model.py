"""What TFLite's `benchmark_model` is told, and what it prints: three formats, one of which a binary speaks."""

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from mobilenas.errors import InputError
from mobilenas.runners._timing import TimingProtocol

PUBLISHED_AT = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/nightly/latest/"
)
PUBLISHED_NAMES = {"arm64-v8a": "android_aarch64_benchmark_model", "armeabi-v7a": "android_arm_benchmark_model"}
"""What Google calls the binary, by ABI."""
ELF_ABIS = {183: ("arm64-v8a",), 40: ("armeabi-v7a", "armeabi"), 62: ("x86_64",), 3: ("x86",)}
"""ABIs of a program, by the machine in its ELF header."""

LEAST_RUNS = 5
Delegate = Literal["xnnpack", "none", "gpu", "nnapi"]
DELEGATE_FLAGS: Mapping[Delegate, tuple[str, ...]] = {
    "xnnpack": ("use_xnnpack=true", "use_cpu=true"),
    "none": ("use_xnnpack=false",),
    "gpu": ("use_gpu=true",),
    "nnapi": ("use_nnapi=true",),
}
"""The flag that chooses a delegate; where there are several, the first that the binary knows."""

_LOG = r"^(?:[A-Z]+: )?(?:[IWEF]\d{4,8} [\d:.]+ +\d+ )?(?:\[?[\w./-]+:\d+\] )?"
"""What loggers put before a line: "INFO: ", "I0000 00:00:1.1  123 file.cc:12] ", "INFO: [file.cc:12] "."""
_HEADING = re.compile(_LOG + r"Running benchmark for at least ", re.M)
_AFTER = re.compile(_LOG + r"(?:Inference timings in us|Profiling Info|Operator-wise Profiling|Timings \()", re.M)
_SUMMARY = re.compile(_LOG + r"count=(\d+) (.*)\n", re.M)
_ALL_SAME = re.compile(r"curr=([\d.e+-]+)(\(all same\))?(?: |$)")
_VALUE = re.compile(r"(\w+)=([\d.e+-]+|-?nan)(?= |$)")
_RESULTS = re.compile(_LOG + r"=+ BENCHMARK RESULTS =+[ \t]*$", re.M)
_INFERENCE = re.compile(_LOG + r"\s*Inference \(avg\):\s*([\d.]+) (us|ms|s) \((\d+) runs?\)[ \t]*$", re.M)
_UNIT_US = {"us": 1.0, "ms": 1e3, "s": 1e6}
_PARTIAL = re.compile(r"will be partially executed by the delegate w/ (\d+) delegate kernels")
_FLAG = re.compile(r"^\s*--(\w+)=", re.M)


@dataclass(frozen=True, slots=True)
class Reading:
    """What one run of the binary printed.

    Attributes:
        latency_us: The estimator's value.
        runs: Timed runs.
        delegates: Partitions that went to a delegate; None where the binary does not say. A network of which the
            delegate took one part and not the rest counts as two.
        estimator: "median" or "avg".
    """

    latency_us: float
    runs: int
    delegates: int | None
    estimator: str


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """One binary: the flags that it knows, and how it prints.

    Attributes:
        flags: Names of its flags.
        style: "count" (`count=.. avg=..`), "median" (the same with `median=`) or "results" (a block of its own).
    """

    flags: frozenset[str]
    style: Literal["count", "median", "results"] = "count"

    @classmethod
    def from_usage(cls, usage: str) -> "BenchmarkModel":
        """A binary of which no more is known than its usage text.

        Raises:
            ValueError: If the text names no flags that are needed.
        """
        flags = frozenset(_FLAG.findall(usage))
        if not {"graph", "num_runs"} <= flags:
            raise ValueError("its usage text names no --graph and --num_runs")
        return cls(flags)

    def detected(self, output: str) -> "BenchmarkModel":
        """The same binary, after it was seen what it prints for a model.

        Raises:
            ValueError: If that is none of the known formats.
        """
        if _results(output):
            return replace(self, style="results")
        values = _last_summary(output)[1]
        return replace(self, style="median" if "median" in values else "count")

    @property
    def estimator(self) -> str:
        """The most robust figure that the binary prints of a model's runs."""
        return "median" if self.style == "median" else "avg"

    def arguments(self, protocol: TimingProtocol, *, threads: int, delegate: Delegate) -> list[str]:
        """Flags for a visit: its defaults would cost 1.5 s a model whatever the number of runs.

        The binary makes at least `num_runs` runs, and more until `min_secs` are over. Op profiles and peak memory are
        never asked for: they disturb what is timed.

        Raises:
            InputError: If it knows none of the delegate's flags.
        """
        wanted = {
            "num_runs": str(LEAST_RUNS),
            "min_secs": f"{protocol.visit_seconds:g}",
            "max_secs": f"{protocol.timeout_seconds:g}",
            "warmup_runs": str(protocol.warmup_runs),
            "warmup_min_secs": "0",
            "num_threads": str(threads),
        }
        known = [f"--{name}={value}" for name, value in wanted.items() if name in self.flags]
        return [*known, *self._delegate_flag(delegate)]

    def read(self, output: str) -> Reading:
        """What a run of the binary printed.

        Raises:
            ValueError: If the timing is missing or cut off.
        """
        if self.style == "results":
            found = _results(output)
            if found is None:
                raise ValueError("the output ends before its results")
            latency_us, runs = float(found[1]) * _UNIT_US[found[2]], int(found[3])
        else:
            runs, values = _last_summary(output)
            if self.estimator not in values and values["std"]:
                raise ValueError(f"the output gives no {self.estimator}")
            latency_us = values.get(self.estimator, values["avg"])  # runs that are all the same have one figure
        if not (runs > 0 and 0 <= latency_us < float("inf")):
            raise ValueError(f"the output gives {latency_us:g} us over {runs} runs")
        return Reading(latency_us, runs, _delegates(output), self.estimator)

    def _delegate_flag(self, delegate: Delegate) -> list[str]:
        choices = DELEGATE_FLAGS[delegate]
        found = [flag for flag in choices if flag.partition("=")[0] in self.flags]
        if not found:
            names = " or ".join(f"--{flag.partition('=')[0]}" for flag in choices)
            raise InputError(f"delegate {delegate!r}: this benchmark_model has no {names}; give another delegate")
        return [f"--{found[0]}"]


def check_abi(binary: bytes, abis: Iterable[str], phone: str) -> None:
    """Raises `InputError` if a program is for other processors than the phone's; what is no ELF file is not judged."""
    if binary[:4] != b"\x7fELF" or len(binary) < 20:
        return
    (machine,) = struct.unpack("<H", binary[18:20])
    built_for = ELF_ABIS.get(machine, (f"machine {machine}",))
    if not set(built_for) & set(abis):
        raise InputError(
            f"this benchmark_model is for {built_for[0]}, {phone} takes {', '.join(abis)}; {where_to_get(abis)}"
        )


def where_to_get(abis: Iterable[str]) -> str:
    """Where the binary for a phone is published, as the end of an error."""
    names = [PUBLISHED_NAMES[abi] for abi in abis if abi in PUBLISHED_NAMES] or list(PUBLISHED_NAMES.values())
    return f"Google publishes it at {PUBLISHED_AT}{names[0]}"


def _results(output: str) -> re.Match[str] | None:
    """The line of the inference in the block of results."""
    heading = _RESULTS.search(output)
    return _INFERENCE.search(output, heading.end()) if heading else None


def _last_summary(output: str) -> tuple[int, Mapping[str, float]]:
    """Runs and values of the first summary after the last heading.

    Warm-up has a heading of its own before that one; an op profile comes after the line that ends the timing.
    """
    headings = [match.end() for match in _HEADING.finditer(output)]
    after = _AFTER.search(output, headings[-1]) if headings else None
    end = after.start() if after else len(output)
    found = _SUMMARY.search(output, headings[-1], end) if len(headings) >= 2 else None
    if found is None:
        raise ValueError("the output ends before its timing")
    runs, text = int(found[1]), found[2].rstrip()
    values = {name: float(value) for name, value in _VALUE.findall(text)}
    same = _ALL_SAME.match(text)
    if same and (same[2] or runs == 1):  # then the program prints no more than the one value
        values = {"avg": float(same[1]), "std": 0.0, **values}
    if not {"avg", "std"} <= values.keys():
        raise ValueError("the timing is cut off")
    return runs, values


def _delegates(output: str) -> int | None:
    if "will be completely executed by the delegate" in output:
        return 1
    if partial := _PARTIAL.search(output):
        return int(partial[1]) + 1
    return 0 if "will not be executed by the delegate" in output else None
