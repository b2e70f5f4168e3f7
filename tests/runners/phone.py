"""A phone without a phone: an adb daemon in a root of its own, with Android's shell and files, behind the real adb.

`unshare` and `chroot` give it one file system for pushes and for the shell, processes of its own, mksh and toybox as
`/system/bin`, and scripts in place of getprop, dumpsys and settings that read `/data/phone`.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from mobilenas.runners import Device

HERE = Path(__file__).parent
TOOLS = (
    *("cat", "chmod", "date", "grep", "kill", "ls", "mkdir", "pkill", "rm", "setsid", "sleep", "stat", "taskset"),
    "timeout",
)

GETPROP = """#!/system/bin/sh
cat "/data/phone/property/$1" 2>/dev/null || echo
"""
DUMPSYS = """#!/system/bin/sh
cat "/data/phone/dumpsys/$1"
"""
SETTINGS = """#!/system/bin/sh
file="/data/phone/settings/$3"
case "$1" in
  get) cat "$file" 2>/dev/null || echo null ;;
  put) echo "$4" > "$file" ;;
  delete) rm -f "$file" ;;
esac
"""
INPUT = """#!/system/bin/sh
echo "$@" >> /data/phone/keys
[ -e /data/phone/sleeps_on ] || echo mWakefulness=Awake > /data/phone/dumpsys/power
"""
START = r"""
cd "$1"
for each in /*; do
  case "$each" in /data|/proc|/sys|/system) continue ;; esac
  if [ -L "$each" ]; then cp -P "$each" ".$each"
  elif [ -d "$each" ]; then mkdir -p ".$each"; mount --rbind "$each" ".$each"; fi
done
mkdir -p proc
mount -t proc proc proc
if [ "$5" = full ]; then
  mount -t tmpfs -o size=8k none data/local/tmp
  dd if=/dev/zero of=data/local/tmp/full bs=8k count=1 status=none
fi
exec chroot . /usr/bin/env -i PATH=/system/bin "$2" "$3" "$4"
"""


def why_not() -> str:
    """Why there can be no such phone here; empty if there can."""
    missing = [name for name in ("mksh", "toybox", "unshare") if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not installed (.ci/run installs them)"
    if importlib.util.find_spec("adbutils") is None:
        return "adbutils is not installed"
    tried = subprocess.run(["unshare", "-rmpf", "true"], capture_output=True, text=True, check=False)
    return f"no user namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class FakePhone:
    """A phone that answers at `address`.

    Args:
        folder: Where its root is made.
        model: Its model.
        binary: The program that stands for benchmark_model: "fast" (a script, a microsecond a thousand bytes of model)
            or "litert" (LiteRT times it).
        style: How that prints: "count", "median" or "results".
        full: Whether its disk is, from the start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        model: str = "Fake Phone",
        binary: str = "fast",
        style: str = "median",
        full: bool = False,
    ) -> None:
        self.root = folder / "root"
        self._make_root(model)
        self.binary = folder / "benchmark_model"
        self._make_binary(binary, style)
        command = ["unshare", "-rmpf", "--kill-child", "sh", "-e", "-c", START, "sh", str(self.root)]
        self._process = subprocess.Popen(
            [*command, sys.executable, str(HERE / "phone_daemon.py"), model, "full" if full else ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = f"127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"

    def close(self) -> None:
        """Switches it off."""
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()

    def tell(self, **command: object) -> dict[str, int]:
        """Commands of `phone_daemon.py`."""
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def device(self, **options: object) -> Device:
        """What a TOML of this phone holds; tests do not wait long."""
        known = {
            "address": self.address,
            "benchmark_binary": str(self.binary),
            "reconnect_seconds": 10.0,
            "cool_seconds": 2.0,
            "wait_seconds": 0.0,
        }
        return Device(name="pixel", runner="adb", options={**known, **options})

    def write(self, path: str, text: str) -> None:
        """Writes a file of the phone."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """Reads a file of the phone; empty if it is not there."""
        file = self.root / path
        return file.read_text() if file.exists() else ""

    def ran(self) -> list[str]:
        """Models in the order in which they ran, those of the try-out included."""
        return self.read("data/phone/ran").split()

    def is_clean(self) -> bool:
        """Whether nothing of ours is left."""
        return not (self.root / "data/local/tmp/mobilenas").exists() and not self.processes()

    def processes(self) -> list[str]:
        """Command lines of programs of ours that still run there."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(path / "root") == str(self.root) and b"mn_benchmark" in (path / "cmdline").read_bytes():
                    found.append((path / "cmdline").read_bytes().decode())
            except OSError:
                pass  # it has ended
        return found

    def _make_root(self, model: str) -> None:
        tools = self.root / "system/bin"
        tools.mkdir(parents=True)
        (self.root / "data/local/tmp").mkdir(parents=True)
        (tools / "sh").symlink_to(shutil.which("mksh"))
        for name in TOOLS:
            (tools / name).symlink_to(shutil.which("toybox"))
        for name, text in (("getprop", GETPROP), ("dumpsys", DUMPSYS), ("settings", SETTINGS), ("input", INPUT)):
            (tools / name).write_text(text)
            (tools / name).chmod(0o755)
        for name, value in {
            "ro.product.model": model,
            "ro.soc.model": "GS0",
            "ro.product.cpu.abilist": "arm64-v8a,armeabi-v7a",
            "ro.build.version.release": "14",
        }.items():
            self.write(f"data/phone/property/{name}", value + "\n")
        self.write("data/phone/settings/stay_on_while_plugged_in", "0")
        self.write("data/phone/behaviour", "")
        self.feel()
        processors = sorted(os.sched_getaffinity(0))
        for number in range(processors[-1] + 1):
            folder = f"sys/devices/system/cpu/cpu{number}"
            self.write(f"{folder}/cpu_capacity", f"{1024 if number == processors[-1] else 300}\n")
            self.write(f"{folder}/cpufreq/cpuinfo_max_freq", "1800000\n")
            self.write(f"{folder}/cpufreq/scaling_cur_freq", "1700000\n")
            self.write(f"{folder}/cpufreq/scaling_governor", "schedutil\n")

    def feel(self, *, thermal: int = 0, celsius: float = 25.0, percent: int = 80, awake: str = "Awake") -> None:
        """What dumpsys says."""
        self.write("data/phone/dumpsys/battery", f"  level: {percent}\n  temperature: {round(10 * celsius)}\n")
        self.write("data/phone/dumpsys/thermalservice", f"IsStatusOverride: false\nThermal Status: {thermal}\n")
        self.write("data/phone/dumpsys/power", f"POWER MANAGER\n  mWakefulness={awake}\n")

    def _make_binary(self, binary: str, style: str) -> None:
        if binary == "fast":
            text = (HERE / "phone_benchmark.sh").read_text()
        else:
            text = f"#!{sys.executable}\n" + (HERE / "phone_benchmark_model.py").read_text()
        self.binary.write_text(text)
        self.write("data/phone/style", style)


class AdbServer:
    """A real adb server of the tests' own, on a port and in a home of its own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.environment = {
            "ANDROID_ADB_SERVER_PORT": str(port),
            "HOME": str(folder),
            "ADB_MDNS": "0",
            "ADB_MDNS_AUTO_CONNECT": "0",
        }

    def command(self, *arguments: str) -> str:
        """Runs adb itself."""
        import adbutils

        environment = {**os.environ, **self.environment}
        done = subprocess.run(
            [adbutils.adb_path(), *arguments], capture_output=True, text=True, env=environment, timeout=60, check=False
        )
        return done.stdout
