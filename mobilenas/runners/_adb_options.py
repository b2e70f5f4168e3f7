"""Options of the adb runner."""

from dataclasses import dataclass

from mobilenas.runners._benchmark_model import Delegate
from mobilenas.runners._phone_state import CoreName
from mobilenas.settings import Settings, check, check_path


@dataclass(frozen=True, kw_only=True)
class AdbOptions(Settings):
    """Options of the adb runner.

    Attributes:
        serial: Which phone, as `adb devices` prints it; empty: `$ANDROID_SERIAL`, or the only one.
        model: Or which model, such as "Pixel 7".
        address: `host:port` of a phone on Wi-Fi, which is connected first.
        benchmark_binary: TFLite's benchmark_model for the phone; empty: `$MOBILENAS_BENCHMARK_BINARY`.
        delegate: What runs the model.
        cores: Processors that it is bound to: as many as threads, the last ones of a class.
        folder: Where the phone's shell user may write and execute.
        most_celsius: A battery that is hotter is waited for; so is a phone that says it is throttled or asleep.
        least_percent: Likewise a battery that is emptier.
        cool_seconds: How long, before the device is given up.
        reconnect_seconds: How long a phone that was lost is waited for.
        wait_seconds: How long to wait while another process measures it.
    """

    serial: str = ""
    model: str = ""
    address: str = ""
    benchmark_binary: str = ""
    delegate: Delegate = "xnnpack"
    cores: CoreName = "big"
    folder: str = "/data/local/tmp"
    most_celsius: float = 40.0
    least_percent: int = 15
    cool_seconds: float = 300.0
    reconnect_seconds: float = 60.0
    wait_seconds: float = 600.0

    def __post_init__(self) -> None:
        check_path("benchmark_binary", self.benchmark_binary)
        good = self.folder.startswith("/") and "\0" not in self.folder
        check(good, "folder", self.folder, "an absolute path on the phone")
        for name in ("cool_seconds", "reconnect_seconds", "wait_seconds"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "seconds from 0")
        check(0 < self.most_celsius <= 100, "most_celsius", self.most_celsius, "degrees above 0, at most 100")
        check(0 <= self.least_percent <= 100, "least_percent", self.least_percent, "a whole number from 0 to 100")
