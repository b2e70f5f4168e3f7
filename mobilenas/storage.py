"""Where the program keeps what it writes, and how it writes so that nothing is ever half there."""

import errno
import getpass
import json
import logging
import math
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from mobilenas.errors import InputError, MobilenasError, StorageError, shorten

LOG = logging.getLogger(__name__)
SOON_S = 0.5
"""A lock that is free so soon is not spoken of: who trains has the one of this machine for an instant every step."""
FULL = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where there is no room."""


def home() -> Path:
    """The user's folder: `$MOBILENAS_HOME`, or the platform's place for user data."""
    return Path(os.environ.get("MOBILENAS_HOME") or platformdirs.user_data_path("mobilenas", appauthor=False))


def shipped(folder: str) -> Path:
    """A folder of read-only package data (`devices`, `latency_tables`), in a wheel or in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "_data" / folder
    return inside if inside.is_dir() else package.parent / folder


def write_atomically(path: Path, data: bytes | str) -> None:
    """Writes a file so that at any moment either the old or the whole new content is there.

    Raises:
        InputError: If something else has its name.
        StorageError: If the folder cannot be written or the disk is full.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"cannot write {path}: a folder or a device has this name; give the path of a file")
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def set_aside(path: Path) -> Path | None:
    """Renames a file that would be replaced to `<name>.old`; gives where it went, None where there is none.

    Raises:
        StorageError: If the folder cannot be written.
    """
    old = path.with_name(path.name + ".old")
    try:
        path.replace(old)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unwritable(path, error) from error
    return old


def write_json(path: Path, document: Any) -> None:
    """Writes a JSON document atomically, indented, without NaN."""
    write_atomically(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def read_text(path: Path, noun: str = "file") -> str:
    """Reads a text file; a byte order mark at its start is no part of the text.

    Raises:
        InputError: If it is absent, unreadable or no UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        what = f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
        raise InputError(f"cannot read {noun} {path}: {_reason(path, error)}; give the path of {what}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {noun} {path}: not UTF-8 ({error.reason} at byte {error.start})") from error


def read_json(path: Path, noun: str = "file") -> Any:
    """Reads a JSON document; NaN and infinities are refused.

    Raises:
        InputError: If it is absent, no valid JSON or has a field twice; the text names line and column, or the field.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen = dict(pairs)
        if len(seen) < len(pairs):
            twice = next(key for i, (key, _) in enumerate(pairs) if key in dict(pairs[:i]))
            raise InputError(f"{path}: the field {shorten(twice)} stands there twice; remove one of them")
        for key, value in pairs:
            finite(value, f"the field {shorten(key)}: ")
        return seen

    def finite(value: Any, where: str = "") -> None:
        if isinstance(value, list):
            for each in value:
                finite(each, where)
        elif isinstance(value, float) and not math.isfinite(value):
            raise InputError(f"{path}: {where}{json.dumps(value)} is not accepted; give a finite number")

    try:
        document = json.loads(read_text(path, noun), object_pairs_hook=once)
        finite(document)
        return document
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        raise InputError(f"{path}: not valid JSON: {what} at line {error.lineno} column {error.colno}") from error
    except ValueError as error:
        raise InputError(f"{path}: a number has too many digits; give a number below 1e308") from error
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply; give a file in the documented format") from error


@contextmanager
def exclusive(
    path: Path, what: str, *, wait_seconds: float = 0, busy: type[MobilenasError] = InputError
) -> Iterator[None]:
    """Holds the lock file `path` while the body runs.

    Args:
        path: The lock file; it stays behind, empty.
        what: What is locked, for the error.
        wait_seconds: How long to wait for a process that measures it; a warning in the log says so.
        busy: What is raised if another process still holds the lock.

    Raises:
        InputError: If the lock file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=min(SOON_S, wait_seconds))
        except Timeout:
            if wait_seconds > SOON_S:
                LOG.warning("waiting for another process that measures %s, at most %g s", what, wait_seconds)
            lock.acquire(timeout=max(wait_seconds - SOON_S, 0))
    except Timeout as error:
        raise busy(f"{what} is in use by another process (lock {path}); wait for it or stop it") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def exclusive_folder(path: Path, what: str) -> Iterator[None]:
    """Holds a folder while the body runs, making it where it is not there; what it made and left empty goes again.

    Raises:
        InputError: If another process holds it, or it cannot be written.
    """
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    lock, held = path / ".lock", False
    try:
        with exclusive(lock, what):
            held = True
            yield
    finally:
        with suppress(OSError):  # something was written there, or it could not be made at all
            if made and held and list(path.iterdir()) == [lock]:
                lock.unlink()
            for folder in made:
                folder.rmdir()


def machine_lock(name: str) -> Path:
    """The lock file that stands for something of which there is one a machine, for all of this user's processes."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return Path(tempfile.gettempdir()) / f"mobilenas-{user}.{name}.lock"


def _unwritable(path: Path, error: OSError) -> StorageError:
    helps = "free space there" if error.errno in FULL else _what_helps(path)
    return StorageError(f"cannot write {path}: {_reason(path, error)}; {helps}")


def _reason(path: Path, error: OSError) -> str:
    """Why a path cannot be used, in the system's words, or which part of it is a file instead of a folder."""
    if isinstance(error, NotADirectoryError | FileExistsError):
        for folder in path.parents:
            if folder.is_file():
                return f"{folder} is a file and no folder"
    return error.strerror or str(error)


def _what_helps(path: Path) -> str:
    """What a user changes so that `path` can be written: the folder is theirs to give, or a variable chooses it."""
    if home() in path.parents:
        return "set MOBILENAS_HOME to a folder that can be written"
    if path.parent == Path(tempfile.gettempdir()):
        return "set TMPDIR to a folder that can be written"
    return "give a folder that can be written"
