"""A signal ends a command as an interrupt does, with an exit code of its own."""

import os
import pty
import signal
import subprocess
import sys
import threading

import pytest

from mobilenas.cli.signals import ended_by_signals

COMMAND = """
import sys, time
from mobilenas.cli import main

def wait(name):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(0.3)  # a second signal does not end this
        print("tidied up", flush=True)

main.info.resolve_network = wait
main.main(["info", "mobilenet_v2"])
"""


def start(**how):
    command = [sys.executable, "-c", COMMAND]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **how)
    assert process.stdout.readline() == "begun\n"
    return process


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (signal.SIGTERM, 143, "error: ended by SIGTERM\n"),
        (signal.SIGHUP, 129, "error: ended by SIGHUP\n"),
        (signal.SIGINT, 130, "error: interrupted\n"),
    ],
)
def test_a_signal_ends_a_command_in_order_and_in_one_line(sent, code, said):
    process = start()
    process.send_signal(sent)
    if sent != signal.SIGINT:
        process.send_signal(sent)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, "tidied up\n", said)


def test_a_terminal_that_is_closed_ends_a_command_in_order():
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # which makes it the session's terminal
    ) as process:
        os.close(theirs)
        assert process.stdout.readline() == b"begun\n"
        os.close(ours)
        assert process.stdout.read() == b"tidied up\n"
    assert process.returncode == 129


def test_a_hang_up_that_is_ignored_stays_ignored():
    process = start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))  # as nohup does
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    process.communicate()


def test_signals_are_left_as_they_were_and_alone_in_other_threads():
    before = signal.getsignal(signal.SIGTERM)
    with ended_by_signals() as received:
        assert signal.getsignal(signal.SIGTERM) is not before
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGHUP)
    assert list(received) == [signal.SIGTERM, signal.SIGHUP]
    assert signal.getsignal(signal.SIGTERM) is before
    found = []

    def elsewhere():
        with ended_by_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [before]
