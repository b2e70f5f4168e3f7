"""build: an arm64 Python and LiteRT from the package registries, and the plugin that counts instructions."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mobilenas.errors import DeviceError, InputError
from mobilenas.runners.sysroot._sysroot import QEMU, Contents, Sysroot
from mobilenas.storage import exclusive

SOURCE = Path(__file__).with_name("instruction_counter.c")
RUNTIME = "ai-edge-litert"
DEBIAN_PACKAGES = ("python3", "libstdc++6")
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)))
PACKAGES_FOLDER = Path("usr/lib/python3/dist-packages")
FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
PROCESSORS = 2
"""LiteRT looks for the processor's features there, and crashes where it finds this machine's."""
Note = Callable[[str], None]


def build(folder: Path, note: Note = lambda text: None) -> Sysroot:
    """Makes a sysroot, or makes it anew.

    Debian's arm64 packages are taken from the sources that this machine's apt knows, and nothing is installed on it;
    the wheels come from where pip takes them. The runtime has the version that is installed here.

    Args:
        folder: Where; what is there is replaced once the new one is complete.
        note: Told what happens, a line each.

    Raises:
        InputError: If a program is missing, or one of the steps fails; the text has its last line.
    """
    _check_programs()
    target = folder.absolute()
    partial = target.with_name(f"{target.name}.partial")
    with exclusive(target.with_name(f"{target.name}.lock"), f"the sysroot {target}"):
        shutil.rmtree(partial, ignore_errors=True)
        note("Debian packages")
        _unpack_debian(partial)
        python = _python(partial)
        note(f"wheels for {python.name}")
        _install_wheels(partial, python.name.removeprefix("python"))
        _write_cpuinfo(partial / "proc")
        note("the plugin")
        plugin = _compile_counter(partial)
        made = Sysroot(
            partial,
            Contents(
                python=str(python.relative_to(partial)),
                runtime=f"{RUNTIME} {_runtime_version(partial)}",
                counter=str(plugin.relative_to(partial)),
                qemu=_qemu_version(),
            ),
            QEMU,
        )
        made.save()
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    return Sysroot.load(target)


def is_up_to_date(folder: Path) -> bool:
    """Whether a sysroot is complete, with the runtime that is installed here and a plugin for this QEMU."""
    try:
        contents = Sysroot.load(folder).contents
    except DeviceError:
        return False
    return contents.qemu == _qemu_version() and contents.runtime == f"{RUNTIME} {_version_here()}"


def _check_programs() -> None:
    packages = {QEMU: "qemu-user", "cc": "gcc libc6-dev", "apt-get": "apt", "dpkg-deb": "dpkg"}
    for program, package in packages.items():
        if shutil.which(program) is None:
            raise InputError(f"{program} is not on PATH; install it (Debian: apt-get install {package})")


def _unpack_debian(root: Path) -> None:
    """Downloads the packages and all they depend on with a private state of apt, and unpacks them."""
    state = root / "apt"
    for name in ("state/lists/partial", "cache/archives/partial"):
        (state / name).mkdir(parents=True)
    (state / "status").touch()  # as if nothing were installed
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures::": "arm64",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "Dir::Cache": state / "cache",
        "Dir::State": state / "state",
        "Dir::State::status": state / "status",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    _run([*apt, "update"], "apt-get update for arm64")
    _run([*apt, "--yes", "--download-only", "install", *DEBIAN_PACKAGES], "apt-get for arm64")
    for archive in sorted((state / "cache/archives").glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(archive), str(root)], f"unpacking {archive.name}")
    if not (root / "lib").exists():
        (root / "lib").symlink_to("usr/lib")
    shutil.rmtree(state)


def _python(root: Path) -> Path:
    found = [path for path in (root / "usr/bin").glob("python3.*") if re.fullmatch(r"python3\.\d+", path.name)]
    if len(found) != 1:
        raise InputError(
            f"apt gave {len(found)} Pythons for arm64, not one; see its sources (apt-cache policy python3)"
        )
    return found[0]


def _install_wheels(root: Path, python_version: str) -> None:
    runtime = f"{RUNTIME}=={_version_here()}"
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    target = ["--target", str(root / PACKAGES_FOLDER), "--implementation", "cp", "--python-version", python_version]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--only-binary", ":all:"]
    _run([*pip, *target, *platforms, "numpy", runtime], "pip for aarch64")


def _version_here() -> str:
    try:
        return version(RUNTIME)
    except PackageNotFoundError as error:
        raise InputError(f"{RUNTIME} is not installed here, so its version is not known; install it") from error


def _runtime_version(root: Path) -> str:
    (found,) = (root / PACKAGES_FOLDER).glob(f"{RUNTIME.replace('-', '_')}-*.dist-info")
    return found.name.removesuffix(".dist-info").rpartition("-")[2]


def _write_cpuinfo(folder: Path) -> None:
    lines = []
    for processor in range(PROCESSORS):
        lines += [
            f"processor\t: {processor}",
            "BogoMIPS\t: 50.00",
            f"Features\t: {FEATURES}",
            "CPU implementer\t: 0x41",
        ]
        lines += ["CPU architecture: 8", "CPU variant\t: 0x4", "CPU part\t: 0xd0b", "CPU revision\t: 1", ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpuinfo").write_text("\n".join(lines) + "\n")


def _compile_counter(root: Path) -> Path:
    plugin = root / "instruction_counter.so"
    accepted = 1 if _qemu_version() < 9 else 2
    command = ["cc", "-shared", "-fPIC", "-O2", f"-DPLUGIN_VERSION={accepted}", "-o", str(plugin), str(SOURCE)]
    _run(command, "compiling the plugin")
    return plugin


def _qemu_version() -> int:
    words = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"version (\d+)", words)
    if found is None:
        raise InputError(f"{QEMU} --version says {words[:60]!r}; install qemu-user 7.2 or later")
    return int(found[1])


def _run(command: Sequence[str], what: str) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        last = lines[-1] if lines else "no word of why"
        raise InputError(f"{what} failed ({done.returncode}): {last}; see that the registries are reachable")
