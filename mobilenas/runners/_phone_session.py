"""PhoneSession: a phone that was made ready, the files that are on it, and trips to it."""

import hashlib
import os
import re
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from mobilenas.errors import DeviceError, InputError
from mobilenas.export import write_micro_model
from mobilenas.graph import OpKind, OpSpec
from mobilenas.runners import _phone_script
from mobilenas.runners._adb_options import AdbOptions
from mobilenas.runners._adb_phone import AdbPhone, PhoneFullError, PhoneLostError, RemoteFile, says_full
from mobilenas.runners._benchmark_model import BenchmarkModel, check_abi, where_to_get
from mobilenas.runners._phone_batch import Trip, last_line
from mobilenas.runners._phone_script import BINARY, DONE, PhoneScripts, Section
from mobilenas.runners._phone_state import PhoneState, choose_cores, mask_of
from mobilenas.runners._timing import TimingProtocol
from mobilenas.settings import check_path

BINARY_VARIABLE = "MOBILENAS_BENCHMARK_BINARY"
KEEP_BYTES = 2**30
"""Of models that stay on the phone during a session, so that a model that comes again is not pushed again."""
ANSWER_SECONDS = 30.0
"""Silence, beyond a model's own time-out, after which the connection counts as broken."""
DROP_FILES = 500
"""Names in one script that removes files: a script goes into one argument of the phone's shell."""
CLEAN_SECONDS = 3.0
"""How long a lost phone is waited for to be tidied up."""
TINY = OpSpec(OpKind.ADD, ((4, 4, 8), (4, 4, 8)), 8)
TRY_OUT = TimingProtocol(visits=1, runs=5, visit_seconds=0.001)
CANNOT_EXECUTE = (126, 127)
NOT_EXECUTABLE = re.compile(r"not executable|Exec format error|CANNOT LINK EXECUTABLE|inaccessible or not found")
"""What shells and linkers of several Android versions say; not all of them give an exit code of their own."""


class PhoneSession:
    """One session on a phone: `prepare` begins it (again, after a cut), `clean` ends it.

    Args:
        options: Options of the runner.
        threads: Threads of the runtime.
    """

    def __init__(self, options: AdbOptions, threads: int) -> None:
        self.phone = AdbPhone(serial=options.serial, model=options.model, address=options.address)
        self.properties: Mapping[str, str] = {}
        self.cores: tuple[int, ...] = ()
        self._options, self._threads = options, threads
        self._scripts = PhoneScripts.of_session(options.folder)
        self._kept: dict[str, int] = {}
        self._heard = 0.0
        self._benchmark: BenchmarkModel | None = None

    @cached_property
    def binary(self) -> bytes:
        """The program.

        Raises:
            InputError: If none is given or it cannot be read.
        """
        path = self._options.benchmark_binary or os.environ.get(BINARY_VARIABLE, "")
        hint = f"give it as --benchmark-binary, {BINARY_VARIABLE} or benchmark_binary in the device's [options]"
        if not path:
            raise InputError(f"TFLite's benchmark_model is needed; {where_to_get(self._abis())}; {hint}")
        check_path(BINARY_VARIABLE, path)  # the options have checked theirs
        try:
            found = Path(path).expanduser()
            if found.exists() and not found.is_file():  # a pipe or a device might be read for ever
                raise OSError("it is no regular file")
            return found.read_bytes()
        except OSError as error:
            raise InputError(
                f"cannot read benchmark_model {path}: {error.strerror or error}; {where_to_get(self._abis())}; {hint}"
            ) from error

    @property
    def runtime(self) -> str:
        """Which binary and delegate, as a table keeps it.

        Raises:
            InputError: If there is no binary.
        """
        return f"benchmark_model {hashlib.sha256(self.binary).hexdigest()[:12]} {self._options.delegate}"

    @property
    def estimator(self) -> str:
        """Which figure of a model's runs is kept: "median" or "avg"."""
        return self._ready().estimator

    def prepare(self) -> None:
        """Makes the phone ready: ends what an earlier session left, pushes the program and tries it out.

        Raises:
            DeviceError: If the phone cannot do what is needed.
            InputError: If the program does not run there, or the processors that were asked for are not there.
            PhoneLostError: If the connection breaks.
        """
        self._kept.clear()
        bodies = {section.words: section.body for section in self._whole(self._scripts.prepare())}
        if (said := last_line(bodies["folder",])) != "ok":
            if says_full(said):
                raise self._full(said, "no folder can be made")
            raise DeviceError(
                f"{self._name} cannot use {self._scripts.folder!r}: {said}; give another folder in [options]"
            )
        if lacking := bodies["tools",].split():
            raise DeviceError(f"{self._name} lacks {', '.join(lacking)}: Android 6 or later is needed")
        self.properties = {words[1]: " ".join(body.split()) for words, body in bodies.items() if words[0] == "property"}
        self.cores = choose_cores(bodies["processors",], self._options.cores, self._threads)
        self._try_out()

    def push(self, models: Mapping[str, bytes]) -> None:
        """Sends those models that are not there yet, by the names that `remote_name` gives.

        Raises:
            DeviceError: If the phone has no room even for these alone.
            PhoneLostError: If the connection breaks.
        """
        if time.time() - self._heard > _phone_script.WATCH_SECONDS / 2:
            self.prepare()  # its watchdog may have tidied it up
        new = [name for name in models if name not in self._kept]
        size = sum(len(models[name]) for name in new)
        self._drop(self._surplus(sum(self._kept.values()) + size - KEEP_BYTES, models))
        files = [RemoteFile(f"{self._scripts.folder}/{name}", models[name]) for name in new]
        try:
            self.phone.push(files)
        except PhoneFullError:
            self._drop(set(self._kept) - set(models) | set(new))
            self._send(files)
        self._kept.update((name, len(models[name])) for name in new)

    def trip(self, models: Sequence[tuple[int, str]], protocol: TimingProtocol) -> Trip:
        """Runs models that were pushed, given as number and name, in one script.

        Raises:
            DeviceError: If the process cannot be bound to its processors.
            InputError: If the program does not know the delegate.
            PhoneLostError: If the script could not be started.
        """
        benchmark = self._ready()
        script = self._scripts.batch(
            models,
            benchmark.arguments(protocol, threads=self._threads, delegate=self._options.delegate),
            limit_seconds=protocol.timeout_seconds,
            mask=mask_of(self.cores),
            cores=self.cores or (0,),
        )
        sections, last = self._answer(script, silence_seconds=protocol.timeout_seconds + ANSWER_SECONDS)
        trip = Trip.read(sections, last, benchmark, protocol.timeout_seconds)
        if trip.allowed:
            self._check_pinned(trip.allowed)
        return trip

    def look(self, *, wake: bool = False) -> PhoneState:
        """How the phone is doing; wakes it up first where asked.

        Raises:
            PhoneLostError: If the connection breaks.
        """
        (section,) = self._whole(self._scripts.look(self.cores or (0,), wake=wake))
        return PhoneState.parse(section.body)

    def clean(self) -> None:
        """Removes everything from the phone and gives it its setting back; one that is gone does so itself."""
        if not self.phone.serial:
            return
        with suppress(PhoneLostError, DeviceError):
            try:
                self._whole(self._scripts.clean())
            except PhoneLostError:
                self.phone.wait(CLEAN_SECONDS)
                self._whole(self._scripts.clean())

    def _try_out(self) -> None:
        check_abi(self.binary, self._abis(), self._name)
        tiny = write_micro_model(TINY)
        program = RemoteFile(f"{self._scripts.folder}/{BINARY}", self.binary, 0o755)
        self._send([program, RemoteFile(f"{self._scripts.folder}/{remote_name(tiny)}", tiny)])
        usage, ended = self._whole(self._scripts.usage())
        said = usage.body
        try:
            benchmark = BenchmarkModel.from_usage(usage.body)
            arguments = benchmark.arguments(TRY_OUT, threads=self._threads, delegate=self._options.delegate)
            said = self._whole(self._scripts.try_out(remote_name(tiny), arguments, ANSWER_SECONDS))[0].body
            self._benchmark = benchmark.detected(said)
        except ValueError as error:
            where = where_to_get(self._abis())
            if int(ended.words[1]) in CANNOT_EXECUTE or NOT_EXECUTABLE.search(usage.body):
                raise InputError(
                    f"{self._name} cannot execute this benchmark_model ({last_line(usage.body)}); {where}"
                ) from error
            raise InputError(
                f"this is no benchmark_model that is known: {error} ({last_line(said)}); {where}"
            ) from error

    def _check_pinned(self, allowed: str) -> None:
        found = int(allowed.rpartition(":")[2].strip().replace(",", "") or "0", 16)
        if self.cores and found != mask_of(self.cores):
            raise DeviceError(
                f"{self._name} does not bind to processors {list(self.cores)}: it allows mask {found:x}; "
                "wake it up, or give other cores in [options]"
            )

    def _send(self, files: Sequence[RemoteFile]) -> None:
        try:
            self.phone.push(files)
        except PhoneFullError as error:
            size_mb = sum(len(file.content) for file in files) / 1e6
            raise self._full(str(error), f"{size_mb:.1f} MB are needed") from error

    def _full(self, said: str, what: str) -> DeviceError:
        return DeviceError(
            f"{self._name} is full ({said}): {what} in {self._scripts.folder!r}; make room on it and run this again"
        )

    def _surplus(self, size: int, wanted: Container[str]) -> list[str]:
        """Files of this size together, the newest first: models come in rounds, the oldest come again first."""
        found = []
        for name in reversed(self._kept):
            if size <= 0:
                break
            if name not in wanted:
                found.append(name)
                size -= self._kept[name]
        return found

    def _drop(self, names: Iterable[str]) -> None:
        found = sorted(names)
        for start in range(0, len(found), DROP_FILES):
            self._whole(self._scripts.remove(found[start : start + DROP_FILES]))
        for name in found:
            self._kept.pop(name, None)

    def _answer(self, script: str, silence_seconds: float) -> tuple[list[Section], tuple[str, ...]]:
        output = self.phone.run(script, silence_seconds=silence_seconds)
        self._heard = time.time()  # a clock that goes on while this computer is suspended
        return self._scripts.read(output)

    def _whole(self, script: str) -> list[Section]:
        sections, last = self._answer(script, ANSWER_SECONDS)
        if last != DONE:
            raise PhoneLostError("its answer ends early")
        return sections

    def _ready(self) -> BenchmarkModel:
        if self._benchmark is None:
            raise DeviceError("the phone is not connected")
        return self._benchmark

    def _abis(self) -> list[str]:
        return [abi for abi in self.properties.get("ro.product.cpu.abilist", "").split(",") if abi]

    @property
    def _name(self) -> str:
        return f"phone {self.phone.serial}"


def remote_name(model: bytes) -> str:
    """What a model is called on the phone: equal models have one file, and no name of ours reaches the phone."""
    return f"{hashlib.sha256(model).hexdigest()[:24]}.tflite"
