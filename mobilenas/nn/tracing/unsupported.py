"""UnsupportedError: an operator of a traced program that the graph cannot express."""

import re
import sys
from pathlib import Path

from torch.fx import Node

from mobilenas.errors import InputError

INSTEAD = "for a file alone, the converter of litert-torch may do: mobilenas export --via litert-torch"
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in .*\n\s*(?P<code>.*)')


class UnsupportedError(InputError):
    """An operator that the graph cannot express; the text has its source line.

    Args:
        node: The operator in the traced program.
        why: What of it cannot be expressed; empty where nothing of it can.
        source: Its source where more is known than the program has.

    Attributes:
        node, why: As given.
        operator: Its name, such as `aten.gelu`.
        source: Its source as `file:line: code`, empty where torch recorded none.
    """

    def __init__(self, node: Node, why: str = "", source: str = "") -> None:
        self.node, self.why = node, why
        self.operator = operator_name(node)
        self.source = source or source_line(node)
        at = f" at {self.source}" if self.source else ""
        reason = f": {why}" if why else ""
        super().__init__(f"{self.operator} cannot be expressed in an op graph{reason}{at}\n{INSTEAD}")


def operator_name(node: Node) -> str:
    """`aten.relu` of any overload, in place or not."""
    schema = getattr(node.target, "_schema", None)
    name = str(schema.name).replace("::", ".") if schema else getattr(node.target, "__name__", str(node.target))
    return name.removesuffix("_")


def works_in_place(node: Node) -> bool:
    """Whether an operator changes its first argument."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and str(schema.name).endswith("_")


def source_line(node: Node) -> str:
    """Where in somebody's code an operator comes from: the innermost frame outside torch itself."""
    frames = list(_FRAME.finditer(node.meta.get("stack_trace") or ""))
    if not frames:
        return ""
    frame = ([frame for frame in frames if is_own(frame["file"])] or frames)[-1]
    return f"{importable(frame['file'])}:{frame['line']}: {frame['code'].strip()}"


def is_own(file: str) -> bool:
    """Whether a file is somebody's code, not torch's and not ours that calls it."""
    path = Path(file)
    return "torch" not in path.parts and path.parent != Path(__file__).parent and not file.startswith("<")


def importable(file: str) -> str:
    """A path as seen from where it was imported, such as `timm/models/ghostnet.py`."""
    roots = [root.rstrip("/\\") for root in sys.path if root and file.startswith(root.rstrip("/\\"))]
    return file[len(max(roots, key=len, default="")) :].lstrip("/\\") if roots else file
