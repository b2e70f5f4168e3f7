"""A phone behind adb, timed with TFLite's own benchmark_model."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mobilenas.errors import DeviceError, InputError
from mobilenas.runners._adb_options import AdbOptions
from mobilenas.runners._adb_phone import PhoneLostError
from mobilenas.runners._device import Device
from mobilenas.runners._patience import Patience
from mobilenas.runners._phone_batch import Batch
from mobilenas.runners._phone_session import PhoneSession, remote_name
from mobilenas.runners._phone_state import PhoneState
from mobilenas.runners._timing import Failure, Timing, TimingProtocol
from mobilenas.runners.runner import Runner, differences
from mobilenas.storage import exclusive, machine_lock

LOG = logging.getLogger(__name__)
TRIP_RUNS = 200
"""Processes that one script starts at most."""
FRUITLESS_TRIPS = 5
"""Trips in a row that end early and bring nothing, after which the phone is given up."""
MOST_DRIFT = 1.25
CLOCK_US = 1.0
"""What benchmark_model's median counts in."""


class AdbRunner(Runner):
    """Times models on an Android phone.

    A trip pushes the models that the phone lacks, in one connection, and runs one script that starts a process a
    model; nothing is asked of the phone between two models. A phone that is lost is waited for, and what the trip had
    already brought is kept. A trip during which the phone was asleep, hot or throttled is made again.
    """

    def __init__(self, device: Device) -> None:
        self._options = AdbOptions.from_dict(device.options, where="options")
        self._threads = device.threads
        self._session = PhoneSession(self._options, device.threads)
        self._state: PhoneState | None = None
        self._stack = ExitStack()
        self.least_us = 100 * CLOCK_US
        self.patience = Patience(
            pause_seconds=self._poll_seconds, session_seconds=self._options.cool_seconds, most_drift=MOST_DRIFT
        )

    def __enter__(self) -> Self:
        try:
            self._session.phone.connect()
            serial = self._session.phone.serial
            wait_seconds = self._options.wait_seconds
            self._stack.enter_context(
                exclusive(lock_path(serial), f"phone {serial}", wait_seconds=wait_seconds, busy=DeviceError)
            )
            self._stack.callback(self._session.clean)
            self._session.prepare()
            self._state = self._session.look(wake=True)
            if trouble := self._trouble(self._state):
                self._state = self._rest(trouble, time.monotonic() + self._options.cool_seconds)
        except PhoneLostError as error:
            self._stack.close()
            raise DeviceError(f"the phone was lost ({error}); plug it in and run this again") from error
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def environment(self) -> Mapping[str, str]:
        cores = self._session.cores
        pinning = f"{self._options.cores} cores {list(cores)}" if cores else "none"
        return {
            "cpu": self._cpu,
            "runtime": f"{self._session.runtime} {self._session.estimator}",
            "threads": str(self._threads),
            "pinning": f"{pinning}, cpuset {self._state.cpuset if self._state else 'unknown'}",
            "governor": self._state.governor if self._state else "unknown",
        }

    def answers(self) -> bool:
        return self._session.phone.answers()

    def mismatch(self, measured: Mapping[str, str]) -> str:
        now = {"cpu": self._cpu} if self._session.properties else {}
        with suppress(InputError):  # who only predicts needs no binary
            now["runtime"] = self._session.runtime
        return differences(measured, {key: text for key, text in now.items() if not measured[key].startswith(text)})

    def measure(self, models: Sequence[bytes], protocol: TimingProtocol) -> list[Timing | Failure]:
        names = [remote_name(model) for model in models]
        batch = Batch(list(range(len(models))) * protocol.visits)
        cool_until: float | None = None
        fruitless = 0
        while batch.todo:
            numbers = batch.todo[:TRIP_RUNS]
            try:
                self._session.push({names[i]: models[i] for i in numbers})
                trip = self._session.trip([(i, names[i]) for i in numbers], protocol)
                LOG.debug("phone %s: %s", self._session.phone.serial, trip.states)
                if trouble := next(filter(None, map(self._trouble, trip.states)), ""):
                    cool_until = cool_until or time.monotonic() + self._options.cool_seconds
                    self._rest(f"{trouble} while it measures", cool_until)
                    continue
                cool_until = None
                before = len(batch.todo)
                batch.take(trip)
                fruitless = 0 if len(batch.todo) < before else fruitless
                if not trip.is_whole:
                    raise PhoneLostError("its output ends early")
            except PhoneLostError as error:
                fruitless = self._recovered(str(error), fruitless + 1)
        return [batch.result(i) for i in range(len(models))]

    def _recovered(self, why: str, fruitless: int) -> int:
        """Waits for a phone that was lost and makes it ready again; gives the count back.

        Raises:
            DeviceError: If it does not come back, or is lost again and again.
        """
        LOG.warning("phone %s was lost (%s); waiting for it", self._session.phone.serial, why)
        end = time.monotonic() + self._options.reconnect_seconds
        while True:
            if fruitless >= FRUITLESS_TRIPS:
                raise DeviceError(
                    f"phone {self._session.phone.serial} was lost {fruitless} times in a row ({why}); "
                    "try another cable or port, and run the same command again: it goes on after the last row"
                )
            self._session.phone.wait(max(end - time.monotonic(), 0.0))
            try:
                self._session.prepare()
            except PhoneLostError:
                fruitless += 1
                continue
            return fruitless

    def _trouble(self, state: PhoneState) -> str:
        return state.trouble(most_celsius=self._options.most_celsius, least_percent=self._options.least_percent)

    def _rest(self, trouble: str, until: float) -> PhoneState:
        """Lets a phone that is in trouble rest until it is awake, cool, charged and not throttled.

        Raises:
            DeviceError: If that takes too long.
            PhoneLostError: If the connection breaks.
        """
        while True:
            if time.monotonic() > until:
                raise DeviceError(
                    f"phone {self._session.phone.serial} is {trouble}, and was for {self._options.cool_seconds:g} s; "
                    "let it rest (unlocked, plugged in, out of its case) and run the same command again"
                )
            LOG.info("phone %s is %s; waiting", self._session.phone.serial, trouble)
            time.sleep(self._poll_seconds)
            state = self._session.look(wake=True)
            if not (trouble := self._trouble(state)):
                return state

    @property
    def _poll_seconds(self) -> float:
        return min(5.0, self._options.cool_seconds / 20)

    @property
    def _cpu(self) -> str:
        found = self._session.properties
        chip = found.get("ro.soc.model") or found.get("ro.board.platform") or "unknown"
        return f"{found.get('ro.product.model', 'unknown')} ({chip}, Android {found.get('ro.build.version.release')})"


def lock_path(serial: str) -> Path:
    """The lock file that stands for a phone; its serial may hold anything."""
    return machine_lock(f"adb-{hashlib.sha256(serial.encode()).hexdigest()[:16]}")
