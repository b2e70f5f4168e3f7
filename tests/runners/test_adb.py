"""The adb runner on a phone that is made here, behind the real adb client and server."""

import os
import signal
import socketserver
import subprocess
import sys
import textwrap
import threading

import pytest
from phone import FakePhone
from phone_models import MODELS, QUICK, assert_all_measured, wait_for

from mobilenas.errors import DeviceError, FieldError, InputError
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import Device, Failure, Timing, TimingProtocol, _adb_phone, open_runner
from mobilenas.runners._adb_phone import AdbPhone, PhoneLostError
from mobilenas.runners._phone_session import remote_name

HOSTILE = """a'b"c ;$(touch owned)`touch owned`
&& touch owned #\\"""


def behave(phone, **how):
    phone.write("data/phone/behaviour", "".join(f"{remote_name(MODELS[int(i[1:])])} {v}\n" for i, v in how.items()))


@pytest.mark.parametrize(("style", "estimator"), [("count", "avg"), ("median", "median"), ("results", "avg")])
def test_a_batch_is_timed_in_one_trip_and_nothing_is_left(make_phone, style, estimator):
    phone = make_phone(style=style)
    with open_runner(phone.device()) as runner:
        before = len(phone.ran())
        timings = runner.measure(MODELS, QUICK)
        assert phone.ran()[before:] == [remote_name(model) for model in MODELS] * 2  # interleaved
        assert phone.read("data/phone/settings/stay_on_while_plugged_in").strip() == "7"
        assert not phone.is_clean()
        assert runner.environment()["runtime"].endswith(estimator)
    assert_all_measured(timings)
    assert {(timing.p10_us, timing.p90_us, timing.estimator) for timing in timings} == {(None, None, estimator)}
    assert phone.is_clean()
    assert phone.read("data/phone/settings/stay_on_while_plugged_in").strip() == "0"


@pytest.mark.parametrize("style", ["count", "median", "results"])
def test_litert_itself_is_timed_in_every_format(make_phone, style):
    small, large = (
        write_micro_model(OpSpec(OpKind.CONV2D, ((size, size, 64),), 64)) for size in (14, 56)
    )  # 16 times the work
    with open_runner(make_phone(binary="litert", style=style).device()) as runner:
        a, b, broken = runner.measure([small, large, b"no model"], QUICK)
    assert min(b.visit_us) > 3 * min(a.visit_us) > 3  # the faster visit: what else runs here took the other's core
    assert isinstance(broken, Failure)
    assert "ValueError" in broken.reason


def test_environment_says_what_a_table_needs(phone):
    with open_runner(phone.device()) as runner:
        environment = runner.environment()
        assert set(environment) == {"cpu", "runtime", "threads", "pinning", "governor"}
        assert environment["cpu"] == "Fake Phone (GS0, Android 14)"
        assert environment["runtime"].startswith("benchmark_model ")
        assert environment["pinning"] == f"big cores [{max(os.sched_getaffinity(0))}], cpuset /"
        assert environment["governor"] == "schedutil"
        assert runner.mismatch(environment) == ""
        assert "cpu Other phone, here Fake Phone" in runner.mismatch({**environment, "cpu": "Other phone"})
        assert runner.mismatch({"cpu": "unknown", "runtime": "unknown"}) == ""  # somebody else's figures
    closed = open_runner(phone.device())
    assert closed.mismatch(environment) == ""
    assert "runtime other, here benchmark_model" in closed.mismatch({**environment, "runtime": "other"})
    assert open_runner(Device(name="pixel", runner="adb")).mismatch(environment) == ""


def test_a_model_that_comes_again_is_not_pushed_again(phone):
    with open_runner(phone.device()) as runner:
        runner.measure(MODELS, QUICK)
        before = phone.tell()["bytes"]
        runner.measure(MODELS[::-1], QUICK)
        assert phone.tell()["bytes"] - before < sum(map(len, MODELS)) / 2


def test_bad_models_fail_alone(phone):
    behave(phone, m1="crash", m3="hang", m4="refuse", m5="cut", m6="silent", m7="lost")
    protocol = TimingProtocol(visits=2, runs=5, visit_seconds=0.01, timeout_seconds=1.0)
    with open_runner(phone.device()) as runner:
        timings = runner.measure(MODELS, protocol)
    reasons = {i: timing.reason for i, timing in enumerate(timings) if isinstance(timing, Failure)}
    assert reasons == {
        1: "benchmark_model ended with signal 11",
        3: "no answer in 1 s",
        4: "benchmark_model ended with exit code 1: "
        "ERROR: Model provided has model identifier 'XXXX', should be 'TFL3'",
        5: "the output ends before its timing",
        6: "the output ends before its timing",
    }
    assert_all_measured([timings[i] for i in (0, 2, 7, 8)], [MODELS[i] for i in (0, 2, 7, 8)])
    name = remote_name(MODELS[3])
    assert phone.ran().count(name) == 1  # what hung once is not tried again
    assert phone.is_clean()


def test_a_model_that_takes_the_phone_down_each_time_fails_alone(phone):
    behave(phone, m2="kill")
    with open_runner(phone.device()) as runner:
        timings = runner.measure(MODELS, QUICK)
    assert timings[2] == Failure("the phone was lost 2 times while it ran")
    assert_all_measured(timings[:2] + timings[3:], MODELS[:2] + MODELS[3:])


def test_a_server_that_is_restarted_is_waited_for(phone, adb):
    phone.write("data/phone/sleep", "20")
    with open_runner(phone.device()) as runner:
        thread = threading.Timer(0.5, adb.command, ["kill-server"])
        thread.start()
        timings = runner.measure(MODELS, QUICK)
        thread.join()
    assert_all_measured(timings)
    assert phone.is_clean()


def test_a_phone_that_does_not_come_back_ends_the_session_and_tidies_itself_up(phone):
    phone.write("data/phone/sleep", "20")
    with open_runner(phone.device(reconnect_seconds=0.5)) as runner:
        threading.Timer(0.5, phone.tell, kwargs={"out": True}).start()
        with pytest.raises(DeviceError, match=r"lost and not back after .*it goes on after the last row"):
            runner.measure(MODELS, QUICK)
    wait_for(phone.is_clean)
    assert phone.read("data/phone/settings/stay_on_while_plugged_in").strip() == "0"


def test_a_phone_whose_computer_died_tidies_itself_up(phone, tmp_path):
    phone.write("data/phone/sleep", "20")
    script = tmp_path / "session.py"
    script.write_text(
        textwrap.dedent(f"""
        from mobilenas.runners import Device, TimingProtocol, open_runner
        with open_runner(Device.from_dict({phone.device().to_dict()!r})) as runner:
            runner.measure([b"x" * 1000 * i for i in range(1, 200)], TimingProtocol(visits=1))
        """)
    )
    process = subprocess.Popen([sys.executable, str(script)])
    wait_for(lambda: len(phone.ran()) > 3, 60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(phone.is_clean)
    assert phone.read("data/phone/settings/stay_on_while_plugged_in").strip() == "0"


def test_what_an_earlier_session_left_is_removed_and_its_setting_restored(phone):
    phone.write("data/local/tmp/mobilenas/old.tflite", "x")
    phone.write("data/local/tmp/mobilenas/stay_on", "3")
    phone.write("data/phone/settings/stay_on_while_plugged_in", "7")
    with open_runner(phone.device()):
        assert phone.read("data/local/tmp/mobilenas/old.tflite") == ""
    assert phone.is_clean()
    assert phone.read("data/phone/settings/stay_on_while_plugged_in").strip() == "3"


def test_no_phone_and_an_unknown_one_are_named(adb, phone):
    with pytest.raises(DeviceError, match=r"no phone; connected: none; plug it in and turn on USB debugging"):
        open_runner(Device(name="pixel", runner="adb")).__enter__()
    assert not open_runner(Device(name="pixel", runner="adb")).answers()
    adb.command("connect", phone.address)
    with pytest.raises(DeviceError, match=r"phone 'nobody' is not connected; connected: 127.0.0.1:\d+ \(Fake_Phone\)"):
        open_runner(phone.device(serial="nobody", address="")).__enter__()
    assert open_runner(phone.device()).answers()


def test_of_two_phones_one_must_be_named(adb, make_phone, monkeypatch):
    first, second = make_phone(), make_phone(model="Pixel 7 (pro)")
    for phone in (first, second):
        adb.command("connect", phone.address)
    with pytest.raises(DeviceError, match=r"2 phones are connected: .* give one as serial or model"):
        open_runner(first.device(address="")).__enter__()
    for options in ({"serial": second.address, "address": ""}, {"model": "Pixel 7 (pro)", "address": ""}):
        with open_runner(first.device(**options)) as runner:
            assert runner.environment()["cpu"].startswith("Pixel 7 (pro) ")
    monkeypatch.setenv("ANDROID_SERIAL", first.address)
    with open_runner(first.device(address="")) as runner:
        assert runner.environment()["cpu"].startswith("Fake Phone ")


def test_a_phone_that_does_not_trust_the_computer_says_so(adb, phone):
    phone.tell(trust=False)
    threading.Thread(target=adb.command, args=("connect", phone.address)).start()
    wait_for(lambda: "unauthorized" in adb.command("devices"), 20)
    with pytest.raises(DeviceError, match=r"does not trust this computer; unlock it and accept"):
        open_runner(phone.device(address="")).__enter__()


def test_a_phone_that_is_offline_says_so(adb, phone):
    adb.command("connect", phone.address)
    phone.tell(out=True)
    wait_for(lambda: "offline" in adb.command("devices"))
    with pytest.raises(DeviceError, match=r"is offline; unplug it and plug it in again"):
        open_runner(phone.device(address="", serial=phone.address)).__enter__()
    assert not open_runner(phone.device()).answers()


def test_a_full_phone_drops_what_it_can_and_then_says_so(phone):
    with open_runner(phone.device()) as runner:
        runner.measure(MODELS[:3], QUICK)
        phone.tell(disk_bytes=0)
        with pytest.raises(DeviceError, match=r"is full .*MB are needed in '/data/local/tmp/mobilenas'; make room"):
            runner.measure(MODELS[3:], QUICK)
        phone.tell(disk_bytes=None)
        assert_all_measured(runner.measure(MODELS[3:], QUICK), MODELS[3:])
    assert phone.is_clean()


def test_models_are_dropped_when_too_many_stay(phone, monkeypatch):
    monkeypatch.setattr("mobilenas.runners._phone_session.KEEP_BYTES", len(MODELS[0]) + len(MODELS[1]) + 1)
    folder = phone.root / "data/local/tmp/mobilenas"
    with open_runner(phone.device()) as runner:
        for model in (*MODELS[:3], MODELS[0]):
            assert_all_measured(runner.measure([model], QUICK), [model])
            assert (folder / remote_name(model)).exists()
        assert not (folder / remote_name(MODELS[1])).exists()


def test_a_binary_that_cannot_be_used_says_where_there_is_one(phone, tmp_path, monkeypatch):
    def refused(path):
        with pytest.raises(InputError) as caught:
            open_runner(phone.device(benchmark_binary=str(path))).__enter__()
        assert phone.is_clean()
        return str(caught.value)

    published = "nightly/latest/android_aarch64_benchmark_model"
    absent = refused("")
    assert published in absent
    assert "--benchmark-binary, MOBILENAS_BENCHMARK_BINARY or benchmark_binary" in absent
    assert "cannot read benchmark_model" in refused(tmp_path / "absent")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):  # reading them would never end
        assert f"cannot read benchmark_model {path}: it is no regular file" in refused(path)
    other = tmp_path / "elf"
    other.write_bytes(b"\x7fELF" + bytes(14) + (62).to_bytes(2, "little") + bytes(100))
    assert "is for x86_64, phone" in refused(other)
    other.write_bytes(b"\x7fELF" + bytes(14) + (183).to_bytes(2, "little") + bytes(100))
    assert "cannot execute this benchmark_model" in refused(other)
    other.write_text("#!/system/bin/sh\necho hello\n")
    assert "no benchmark_model that is known: its usage text names no --graph and --num_runs (hello)" in refused(other)
    monkeypatch.setenv("MOBILENAS_BENCHMARK_BINARY", str(phone.binary))
    with open_runner(phone.device(benchmark_binary="")):
        pass


def test_a_phone_that_falls_asleep_is_woken_and_measured_again(phone):
    with open_runner(phone.device()) as runner:
        phone.feel(awake="Asleep")
        before = len(phone.ran())
        assert_all_measured(runner.measure(MODELS, QUICK))
        assert len(phone.ran()) - before == 4 * len(MODELS)  # what was found asleep does not count
    assert "keyevent KEYCODE_WAKEUP" in phone.read("data/phone/keys")


@pytest.mark.parametrize(
    ("feeling", "words"),
    [
        ({"awake": "Asleep"}, r"asleep \(mWakefulness=Asleep\)"),
        ({"thermal": 2}, r"throttled \(thermal status 2\)"),
        ({"celsius": 44.5}, r"hot \(battery at 44.5 C, at most 40 C\)"),
        ({"percent": 5}, r"low on charge \(5 %, at least 15 %\)"),
    ],
)
def test_a_phone_that_stays_unfit_is_given_up_after_the_stated_time(phone, feeling, words):
    phone.write("data/phone/sleeps_on", "")
    with open_runner(phone.device(cool_seconds=0.5)) as runner:
        phone.feel(**feeling)
        with pytest.raises(DeviceError, match=rf"is {words}, and was for 0.5 s; let it rest"):
            runner.measure(MODELS, QUICK)
    with pytest.raises(DeviceError, match=words):
        open_runner(phone.device(cool_seconds=0.5)).__enter__()
    assert phone.is_clean()


def test_a_hot_phone_is_waited_for(phone):
    with open_runner(phone.device(cool_seconds=20.0)) as runner:
        phone.feel(thermal=3)
        threading.Timer(0.5, phone.feel).start()
        assert_all_measured(runner.measure(MODELS, QUICK))


def test_processors_that_cannot_be_had_are_named(phone):
    last = max(os.sched_getaffinity(0))
    phone.write(f"sys/devices/system/cpu/cpu{last + 60 - last % 60}/cpu_capacity", "2048\n")
    for number in range(last + 1, last + 60 - last % 60):
        phone.write(f"sys/devices/system/cpu/cpu{number}/cpu_capacity", "300\n")
    with open_runner(phone.device()) as runner, pytest.raises(DeviceError, match=r"does not bind to processors"):
        runner.measure(MODELS[:1], QUICK)


def test_one_phone_is_measured_by_one_process_at_a_time(phone):
    with open_runner(phone.device()), pytest.raises(DeviceError, match="in use by another process"):
        open_runner(phone.device()).__enter__()


def test_hostile_words_reach_no_shell_unquoted(make_phone):
    phone = make_phone(model=HOSTILE)
    folder = f"/data/local/tmp/{HOSTILE}"
    (phone.root / folder.lstrip("/")).mkdir(parents=True)
    with open_runner(phone.device(folder=folder)) as runner:
        assert_all_measured(runner.measure(MODELS, QUICK))
        assert (phone.root / folder.lstrip("/") / "mobilenas").is_dir()
        assert runner.environment()["cpu"].startswith("a'b")
        assert "\n" not in runner.environment()["cpu"]  # a table has a line for it, and is compared with it later
    assert not list((phone.root / folder.lstrip("/")).iterdir())
    with pytest.raises(DeviceError, match=r"phone .* is not connected"):
        open_runner(phone.device(serial=HOSTILE)).__enter__()
    with pytest.raises(DeviceError, match=r"phone .* is not connected"):
        open_runner(phone.device(model=HOSTILE + "x", address="")).__enter__()
    with pytest.raises(DeviceError):
        open_runner(phone.device(address=HOSTILE)).__enter__()
    for name in ("x;touch owned", "$(touch owned)", "a\nb", "a b", "a'b"):
        with pytest.raises(FieldError, match="name"):
            Device(name=name, runner="adb")
    assert not list(phone.root.rglob("owned"))


def test_a_phone_on_wifi_that_cannot_be_reached(phone, adb):
    with pytest.raises(
        DeviceError,
        match=r"phone '127.0.0.1:1' is not connected \(.*connect.*\); .*; turn on Wi-Fi debugging on it and try: "
        r"adb connect 127.0.0.1:1",
    ):
        open_runner(phone.device(address="127.0.0.1:1")).__enter__()
    with pytest.raises(DeviceError, match=r"phone '127.0.0.1:5555' is not connected"):  # adb's port where none is given
        open_runner(phone.device(address="127.0.0.1")).__enter__()


def test_wrong_options_are_named():
    for options, message in (
        ({"folder": "data"}, "options.folder: 'data'"),
        ({"cores": "huge"}, "options.cores: 'huge'"),
        ({"cool_seconds": -1.0}, "options.cool_seconds"),
        ({"serail": "x"}, "unknown field 'serail'"),
    ):
        with pytest.raises(InputError, match=message):
            open_runner(Device(name="x", runner="adb", options=options))


def test_adbutils_is_asked_for_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "adbutils", None)
    with pytest.raises(InputError, match=r'pip install "mobilenas\[adb\]"'):
        open_runner(Device(name="x", runner="adb")).__enter__()


def test_timings_are_what_the_helper_says(phone):
    assert isinstance(phone, FakePhone)
    with open_runner(phone.device()) as runner:
        (timing,) = runner.measure(MODELS[:1], QUICK)
    assert isinstance(timing, Timing)
    assert (timing.runs, timing.visits, timing.delegates, timing.unit) == (10, 2, 1, "us")


@pytest.fixture
def deaf_server(monkeypatch):
    """An adb server that takes requests and answers none but the first `deaf_server.deaf` it gets."""
    phones = b"0123456789 device product:p model:M device:d transport_id:1\n"

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        deaf, asked = 1, 0

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            if not (size := self.request.recv(4)):
                return
            self.request.recv(int(size, 16))
            self.server.asked += 1
            if self.server.asked <= self.server.deaf:
                self.request.recv(1)  # until the other side gives up
                return
            self.request.sendall(b"OKAY%04x" % len(phones) + phones)

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(server.server_address[1]))
        monkeypatch.setattr(_adb_phone, "ANSWER_SECONDS", 0.3)
        yield server
        server.shutdown()


def test_a_server_that_does_not_answer_once_is_asked_again(deaf_server):
    phone = AdbPhone(serial="0123456789")
    phone.connect()
    assert phone.serial == "0123456789"
    assert deaf_server.asked == 2


def test_a_server_that_never_answers_is_an_error(deaf_server):
    deaf_server.deaf = 100
    with pytest.raises(PhoneLostError, match="timeout"):
        AdbPhone(serial="0123456789").connect()
    assert not AdbPhone(serial="0123456789").answers()
