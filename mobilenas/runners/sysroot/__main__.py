"""python -m mobilenas.runners.sysroot [FOLDER]: sets up what the emulated aarch64 device needs."""

import argparse
import sys
from pathlib import Path

from mobilenas.errors import MobilenasError
from mobilenas.runners.sysroot import Sysroot, build, is_up_to_date


def main() -> int:
    """Makes the sysroot, unless there is one already."""
    parser = argparse.ArgumentParser(prog="python -m mobilenas.runners.sysroot", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=Sysroot.default_folder(), help="by default %(default)s")
    parser.add_argument("--fresh", action="store_true", help="make it anew")
    arguments = parser.parse_args()
    try:
        if arguments.fresh or not is_up_to_date(arguments.folder):
            build(arguments.folder, note=lambda text: print(text, file=sys.stderr))
    except MobilenasError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(arguments.folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
