"""The journal of a profiling run: every visit is on disk before the next begins."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mobilenas.errors import InputError
from mobilenas.graph import OpSpec
from mobilenas.latency.op_columns import read_op, write_op
from mobilenas.latency.sentinel import Visit
from mobilenas.storage import set_aside


def path_beside(table: Path) -> Path:
    """Where the journal of a table stands."""
    return table.with_name(table.name + ".partial")


class Journal:
    """Visits of ops and networks, one JSON line each; a torn last line is dropped.

    Args:
        path: The file, `<table>.partial`. One of another device, runtime, of other cores or other forms of ops
            (`lowering.FORMS`), or one that cannot be read, is set aside and begun anew; a governor or cpuset that
            changed is no other device.
        environment: What is measured where, and in which `forms`; 1 where it does not say.

    Attributes:
        aside: Where a journal went that was set aside; None if none was.
    """

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.ops: dict[OpSpec, list[Visit]] = {}
        self.networks: dict[str, list[Visit]] = {}
        self.aside: Path | None = None
        self._path, self._environment = path, dict(environment)
        if not self._read():
            self.ops, self.networks = {}, {}
            self.aside = set_aside(path)
            self._start()

    def add_op(self, op: OpSpec, visit: Visit) -> None:
        """Writes down one visit of an op."""
        self._append({"op": write_op(op)} | visit._asdict())
        self.ops.setdefault(op, []).append(visit)

    def add_network(self, name: str, visit: Visit) -> None:
        """Writes down one visit of a network."""
        self._append({"network": name} | visit._asdict())
        self.networks.setdefault(name, []).append(visit)

    def remove(self) -> None:
        """Deletes the file: everything in it has gone into the table. What comes after begins a new one."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> bool:
        """Whether the file is a journal of this environment; its visits are taken over."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        try:
            lines = [json.loads(line) for line in whole.splitlines()]
            if not lines or _place(lines[0]["environment"]) != _place(self._environment):
                return False
            for line in lines[1:]:
                self._take(line)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, InputError):
            return False
        if len(whole) != len(data):
            os.truncate(self._path, len(whole))
        return True

    def _take(self, line: dict[str, Any]) -> None:
        if "op" in line:
            self.ops.setdefault(read_op([str(column) for column in line["op"]]), []).append(_visit(line))
        else:
            self.networks.setdefault(line["network"], []).append(_visit(line))

    def _start(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_bytes(b"")
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}; set MOBILENAS_HOME") from error
        self._write({"environment": self._environment})

    def _append(self, line: dict[str, Any]) -> None:
        if not self._path.exists():
            self._start()
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        try:
            with self._path.open("ab") as file:
                file.write(json.dumps(line).encode() + b"\n")
        except OSError as error:
            raise InputError(f"cannot write {self._path}: {error.strerror}; free the disk and run it again") from error


def _visit(line: Mapping[str, Any]) -> Visit:
    """A line's visit; journals of before did not say how slow the gate was, and of networks not how many runs."""
    us, beside_us, slowness = float(line["us"]), float(line["beside_us"]), float(line.get("slowness", 1.0))
    if not (us >= 0 and beside_us > 0 and slowness >= 1 and math.isfinite(us + beside_us + slowness)):
        raise ValueError(f"no visit takes {us:g} beside {beside_us:g}")
    return Visit(us, beside_us, slowness, int(line.get("runs", 0)))


def _place(environment: Mapping[str, str]) -> tuple[str, ...]:
    """What of an environment makes it another place; the system's own choices, which may change, do not."""
    pinning, _, _ = environment["pinning"].partition(", cpuset")
    forms = environment.get("forms", "1")
    return environment["cpu"], environment["runtime"], environment["threads"], pinning, forms
