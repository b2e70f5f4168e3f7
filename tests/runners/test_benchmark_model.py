"""What benchmark_model prints, in its three formats; the texts are made up after its sources and published logs."""

import pytest

from mobilenas.errors import InputError
from mobilenas.runners import TimingProtocol
from mobilenas.runners._benchmark_model import BenchmarkModel, check_abi

USAGE = """usage: ./benchmark_model
Flags:
\t--num_runs=50                  \tint32\toptional\texpected number of runs
\t--graph=                       \tstring\trequired\tgraph file name
\t--min_secs=1                   \tfloat\toptional
\t--max_secs=150                 \tfloat\toptional
\t--warmup_runs=1                \tint32\toptional
\t--warmup_min_secs=0.5          \tfloat\toptional
\t--num_threads=-1               \tint32\toptional
\t--use_xnnpack=false            \tbool\toptional
\t--enable_op_profiling=false    \tbool\toptional
"""
PLAIN = """STARTING!
Explicitly applied XNNPACK delegate, and the model graph will be completely executed by the delegate.
Running benchmark for at least 3 iterations and at least 0 seconds but terminate if exceeding 60 seconds.
count=3 first=9000 curr=8000 min=8000 max=9000 avg=8500.5 std=500

Running benchmark for at least 5 iterations and at least 0.02 seconds but terminate if exceeding 60 seconds.
count=14 first=7157 curr=7150 min=7001 max=7300 avg=7145.25 std=71

Inference timings in us: Init: 12, First inference: 9000, Warmup (avg): 8500.5, Inference (avg): 7145.25
"""
PROFILED = (
    PLAIN
    + """Profiling Info for Benchmark Initialization:
Number of nodes executed: 1
Timings (microseconds): count=1 first=111 curr=111 min=111 max=111 avg=111 std=0
Operator-wise Profiling Info for Regular Benchmark Runs:
count=14 first=99 curr=99 min=99 max=99 avg=99 std=0
Memory (bytes): count=0
"""
)
INFO = PLAIN.replace("count=", "INFO: count=").replace("Running", "INFO: Running")
MEDIAN = INFO.replace("std=500\n", "std=500 p5=8000 median=8400 p95=9000\n").replace(
    "std=71\n", "std=71 p5=7010 median=7140 p95=7290\n"
)
RESULTS = """INFO: [benchmark_litert_model.cc:1] Running
========== BENCHMARK RESULTS ==========
Model initialization: 12.34 ms
Warmup (first):      80.10 ms
Warmup (avg):        72.00 ms (3 runs)
Inference (avg):     71.45 ms (14 runs)
Inference (min):     70.00 ms
=======================================
"""
FORMATS = {"plain": PLAIN, "profiled": PROFILED, "info": INFO, "median": MEDIAN, "results": RESULTS}


def read(text):
    return BenchmarkModel.from_usage(USAGE).detected(text).read(text)


@pytest.mark.parametrize(
    ("name", "latency_us", "delegates", "estimator"),
    [
        ("plain", 7145.25, 1, "avg"),
        ("profiled", 7145.25, 1, "avg"),
        ("info", 7145.25, 1, "avg"),
        ("median", 7140.0, 1, "median"),
        ("results", 71450.0, None, "avg"),
    ],
)
def test_the_timing_after_warm_up_is_read(name, latency_us, delegates, estimator):
    reading = read(FORMATS[name])
    assert reading.latency_us == pytest.approx(latency_us)
    assert (reading.runs, reading.delegates, reading.estimator) == (14, delegates, estimator)


@pytest.mark.parametrize("name", FORMATS)
def test_an_output_that_is_cut_anywhere_gives_the_whole_figure_or_none(name):
    text = FORMATS[name]
    benchmark, whole = BenchmarkModel.from_usage(USAGE).detected(text), read(text).latency_us
    refused = 0
    for length in range(len(text)):
        try:
            assert benchmark.read(text[:length]).latency_us == whole, text[:length]
        except ValueError:
            refused += 1
    assert refused > text.rindex("14") if name == "results" else refused > text.index("std=71")


@pytest.mark.parametrize(
    ("text", "delegates"),
    [
        ("Explicitly applied XNNPACK delegate, and the model graph will be partially executed by the delegate w/ 3 "
         "delegate kernels.", 4),
        ("Though XNNPACK delegate is explicitly applied, the model graph will not be executed by the delegate.", 0),
        ("", None),
    ],
)  # fmt: skip
def test_delegate_partitions_are_read_where_they_are_printed(text, delegates):
    completely = PLAIN.splitlines()[1]
    assert read(PLAIN.replace(completely, text)).delegates == delegates


def test_times_are_given_and_nothing_that_disturbs_is_asked_for():
    protocol = TimingProtocol(visits=1, runs=40, visit_seconds=0.02, warmup_runs=2, timeout_seconds=30)
    arguments = BenchmarkModel.from_usage(USAGE).arguments(protocol, threads=2, delegate="xnnpack")
    assert arguments == [
        "--num_runs=5",
        "--min_secs=0.02",
        "--max_secs=30",
        "--warmup_runs=2",
        "--warmup_min_secs=0",
        "--num_threads=2",
        "--use_xnnpack=true",
    ]


def test_flags_that_a_binary_does_not_know_are_left_out():
    newer = BenchmarkModel(frozenset({"graph", "num_runs", "use_cpu", "use_gpu", "use_npu"}), "results")
    assert newer.arguments(TimingProtocol(), threads=1, delegate="xnnpack") == ["--num_runs=5", "--use_cpu=true"]
    with pytest.raises(InputError, match=r"delegate 'nnapi': this benchmark_model has no --use_nnapi"):
        newer.arguments(TimingProtocol(), threads=1, delegate="nnapi")


@pytest.mark.parametrize("usage", ["", "sh: not found", "--help=x --graph=x"])
def test_what_is_no_benchmark_model_is_refused(usage):
    with pytest.raises(ValueError, match="names no --graph and --num_runs"):
        BenchmarkModel.from_usage(usage)


def test_a_binary_for_another_processor_is_refused_before_it_is_pushed():
    def elf(machine):
        return b"\x7fELF" + bytes(14) + machine.to_bytes(2, "little") + bytes(40)

    check_abi(elf(183), ["arm64-v8a", "armeabi-v7a"], "phone X")
    check_abi(elf(40), ["arm64-v8a", "armeabi-v7a"], "phone X")
    check_abi(b"#!/system/bin/sh\n", ["arm64-v8a"], "phone X")
    with pytest.raises(InputError, match=r"for arm64-v8a, phone X takes armeabi-v7a; .*android_arm_benchmark_model"):
        check_abi(elf(183), ["armeabi-v7a"], "phone X")
    with pytest.raises(InputError, match=r"for x86_64, .*android_aarch64_benchmark_model"):
        check_abi(elf(62), ["arm64-v8a"], "phone X")
