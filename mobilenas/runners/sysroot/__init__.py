"""What the emulated aarch64 device runs: a folder with an arm64 Python and LiteRT, and a plugin that counts.

`python -m mobilenas.runners.sysroot` makes one.
"""

from mobilenas.runners.sysroot._sysroot import SET_UP, Sysroot
from mobilenas.runners.sysroot.build import build, is_up_to_date

__all__ = ["SET_UP", "Sysroot", "build", "is_up_to_date"]
