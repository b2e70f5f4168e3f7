"""What a phone is left like, however a session ends, and how it is let rest."""

import re
import signal
import subprocess
import sys
import textwrap
import time
from types import SimpleNamespace

import pytest
from phone_models import MODELS, QUICK, assert_all_measured, wait_for

from mobilenas.errors import DeviceError
from mobilenas.runners import open_runner
from mobilenas.runners._phone_session import remote_name


def stay_on(phone):
    return phone.read("data/phone/settings/stay_on_while_plugged_in").strip()


def watchdogs(phone):
    return [words for words in phone.processes() if re.search(r"watch \d", words)]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_phone_whose_computer_died_between_two_scripts_tidies_itself_up(phone, tmp_path, end):
    phone.write("data/phone/settings/stay_on_while_plugged_in", "3")
    script = tmp_path / "session.py"
    script.write_text(
        textwrap.dedent(f"""
        import time
        from mobilenas.runners import Device, _phone_script, open_runner
        _phone_script.WATCH_SECONDS = 0.6
        with open_runner(Device.from_dict({phone.device().to_dict()!r})):
            print("open", flush=True)
            time.sleep(60)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert (stay_on(phone), phone.is_clean()) == ("7", False)
        process.send_signal(end)
    wait_for(phone.is_clean)
    assert stay_on(phone) == "3"


def test_a_phone_that_is_cut_off_during_a_push_tidies_itself_up(phone, monkeypatch):
    monkeypatch.setattr("mobilenas.runners._phone_script.WATCH_SECONDS", 0.6)
    with open_runner(phone.device(reconnect_seconds=0.1)) as runner:
        phone.tell(cut_after=100_000, stays_out=True)
        with pytest.raises(DeviceError, match="lost and not back"):
            runner.measure([bytes(300_000)], QUICK)
    wait_for(phone.is_clean)
    assert stay_on(phone) == "0"


def test_the_watchdog_is_one_and_leaves_a_session_at_work_and_a_newer_one_alone(phone, monkeypatch):
    monkeypatch.setattr("mobilenas.runners._phone_script.WATCH_SECONDS", 1.5)
    phone.write("data/phone/sleep", "20")  # a trip of 18 models takes longer
    with open_runner(phone.device()) as runner:
        runner._session.prepare()  # as after a cut
        assert len(watchdogs(phone)) == 1
        before = len(phone.ran())
        assert_all_measured(runner.measure(MODELS, QUICK))
        assert len(phone.ran()) - before == 2 * len(MODELS)
        assert stay_on(phone) == "7"
        phone.write("data/local/tmp/mobilenas/session", "@another\n")
        wait_for(lambda: not watchdogs(phone))
        runner._session.clean()
        assert phone.read("data/local/tmp/mobilenas/session") == "@another\n"
        assert stay_on(phone) == "7"
        assert_all_measured(runner.measure(MODELS, QUICK))  # the phone is made ready anew
    assert phone.is_clean()
    assert stay_on(phone) == "0"


def test_a_session_that_slept_longer_than_the_watchdog_waits_goes_on(phone, monkeypatch):
    monkeypatch.setattr("mobilenas.runners._phone_script.WATCH_SECONDS", 0.6)
    with open_runner(phone.device()) as runner:
        assert_all_measured(runner.measure(MODELS[:2], QUICK), MODELS[:2])
        wait_for(phone.is_clean)
        assert_all_measured(runner.measure(MODELS, QUICK))
        assert stay_on(phone) == "7"
    assert phone.is_clean()


@pytest.mark.parametrize("folder", ["/proc/none", "/data/phone/behaviour/x"])
def test_a_folder_that_cannot_be_made_leaves_the_setting_alone(phone, folder):
    phone.write("data/phone/settings/stay_on_while_plugged_in", "3")
    with pytest.raises(DeviceError, match=r"cannot use '/.*/mobilenas': .*; give another folder"):
        open_runner(phone.device(folder=folder)).__enter__()
    assert stay_on(phone) == "3"


def test_a_full_phone_leaves_the_setting_alone_and_says_that_it_is_full(make_phone):
    phone = make_phone(full=True)
    phone.write("data/phone/settings/stay_on_while_plugged_in", "3")
    with pytest.raises(DeviceError, match=r"is full .*No space left on device.*; make room on it and run this again"):
        open_runner(phone.device()).__enter__()
    assert phone.is_clean()
    assert stay_on(phone) == "3"


def test_a_setting_that_cannot_be_read_is_not_changed(phone):
    phone.write("data/phone/settings/stay_on_while_plugged_in", "Could not access the provider")
    with open_runner(phone.device()):
        assert stay_on(phone) == "Could not access the provider"
    assert phone.is_clean()
    assert stay_on(phone) == "Could not access the provider"


def be_hot_while_it_measures(phone, celsius=44.5):
    """Its battery is hot whenever a batch runs, and cool a moment later."""
    phone.write(
        "system/bin/dumpsys",
        f"""#!/system/bin/sh
        cat "/data/phone/dumpsys/$1"
        [ "$1" != battery ] || [ ! -e /data/local/tmp/mobilenas/pid ] || echo "  temperature: {round(celsius * 10)}"
        """,
    )
    phone.write("data/phone/dumpsys/battery", "  level: 80\n")


def test_a_phone_that_is_hot_only_while_it_measures_is_given_up_after_the_stated_time(phone):
    with open_runner(phone.device(cool_seconds=1.0)) as runner:
        be_hot_while_it_measures(phone)
        before, start = len(phone.ran()), time.monotonic()
        with pytest.raises(DeviceError, match=r"is hot \(battery at 44.5 C, at most 40 C\) while it measures, and was"):
            runner.measure(MODELS[:1], QUICK)
        seconds = time.monotonic() - start
        assert 1.0 < seconds < 20.0
        assert len(phone.ran()) - before <= 2 * (1 + seconds / 0.05)  # it rests before every retry
    assert phone.is_clean()


def test_the_time_for_which_a_phone_may_rest_counts_anew_after_a_trip_that_went_well(phone, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mobilenas.runners.adb.TRIP_RUNS", 1)
    monkeypatch.setattr("mobilenas.runners.adb.time", SimpleNamespace(monotonic=lambda: now[0], sleep=lambda s: None))
    with open_runner(phone.device(cool_seconds=10.0)) as runner:
        trip, trips = runner._session.trip, []

        def every_other_one_is_hot(models, protocol):
            trips.append(1)
            now[0] += 4.0
            phone.feel(celsius=44.5 if len(trips) % 2 else 25.0)
            found = trip(models, protocol)
            phone.feel()
            return found

        runner._session.trip = every_other_one_is_hot
        assert_all_measured(runner.measure(MODELS[:5], QUICK), MODELS[:5])  # 80 s in all
        assert len(trips) == 20


def test_the_state_is_told_between_models_too(phone, monkeypatch):
    monkeypatch.setattr("mobilenas.runners._phone_script.STATE_SECONDS", 1)
    phone.write("data/phone/sleep", "40")
    with open_runner(phone.device()) as runner:
        runner._session.push({remote_name(model): model for model in MODELS})
        trip = runner._session.trip(list(enumerate(map(remote_name, MODELS))), QUICK)
    assert 2 < len(trip.states) < 2 + len(MODELS)
    assert {state.wakefulness for state in trip.states} == {"Awake"}
    assert {state.frequencies_khz for state in trip.states} == {(1700000,)}
