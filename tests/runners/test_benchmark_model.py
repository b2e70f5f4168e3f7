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
RUNS = "first=7157 curr=7150 min=7001 max=7300 avg=7145.25 std=71"
SAME = PLAIN.replace(RUNS, "curr=7150(all same)")
SAME_MEDIAN = MEDIAN.replace(f"{RUNS} p5=7010 median=7140 p95=7290", "curr=7150(all same) p5=7150 median=7150 p95=7150")
RESULTS_LINES = RESULTS.splitlines(keepends=True)
INFO_RESULTS = "".join(f"INFO: {line}" for line in RESULTS_LINES)
GLOG_RESULTS = "".join(f"I0000 00:00:1.1  123 benchmark.cc:12] {line}" for line in RESULTS_LINES)
OPEN_RESULTS = "".join(RESULTS_LINES[:-1])
BLANK_RESULTS = RESULTS.replace("(14 runs)", "(14 runs)  ")
FORMATS = {
    "plain": PLAIN,
    "profiled": PROFILED,
    "info": INFO,
    "median": MEDIAN,
    "same": SAME,
    "same median": SAME_MEDIAN,
    "results": RESULTS,
    "info results": INFO_RESULTS,
    "glog results": GLOG_RESULTS,
    "open results": OPEN_RESULTS,
    "blank results": BLANK_RESULTS,
}


def read(text):
    return BenchmarkModel.from_usage(USAGE).detected(text).read(text)


@pytest.mark.parametrize(
    ("name", "latency_us", "delegates", "estimator"),
    [
        ("plain", 7145.25, 1, "avg"),
        ("profiled", 7145.25, 1, "avg"),
        ("info", 7145.25, 1, "avg"),
        ("median", 7140.0, 1, "median"),
        ("same", 7150.0, 1, "avg"),
        ("same median", 7150.0, 1, "median"),
        ("results", 71450.0, None, "avg"),
        ("info results", 71450.0, None, "avg"),
        ("glog results", 71450.0, None, "avg"),
        ("open results", 71450.0, None, "avg"),
        ("blank results", 71450.0, None, "avg"),
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
    end = text.index("curr=7150" if "same" in name else "std=71") if "results" not in name else text.index("14 runs")
    for length in range(len(text)):
        try:
            assert benchmark.read(text[:length]).latency_us == whole, text[:length]
        except ValueError:
            refused += 1
    assert refused > end


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(all same)", ""),  # the end of the line is missing, though the line has one
        ("curr=7150(all same)", "curr=7150(all sa"),
        ("count=14 curr=7150(all same)\n", "count=14 curr=71"),
        ("count=14 curr=7150(all same)\n", ""),
    ],
)
def test_a_summary_of_equal_runs_that_is_cut_off_is_refused(old, new):
    profiled = PROFILED.replace(f"{RUNS}\n", "curr=7150(all same)\n")
    benchmark = BenchmarkModel.from_usage(USAGE)
    assert benchmark.read(profiled).latency_us == 7150
    with pytest.raises(ValueError, match=r"cut off|ends before its timing"):
        benchmark.read(profiled.replace(old, new))


def test_equal_runs_of_a_binary_that_prints_medians_have_one_even_where_it_is_left_out():
    assert BenchmarkModel.from_usage(USAGE).detected(MEDIAN).read(SAME).latency_us == 7150
    assert BenchmarkModel.from_usage(USAGE).detected(SAME).estimator == "avg"


def test_one_run_and_a_spread_that_is_no_number_are_read():
    assert read(PLAIN.replace("count=14 " + RUNS, "count=1 curr=9000")).latency_us == 9000
    assert read(PLAIN.replace("std=71", "std=-nan")).latency_us == 7145.25


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
