"""The command line: parse, call, print."""

import errno
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from mobilenas.cli import (
    calibrate,
    devices,
    export,
    import_table,
    info,
    measure,
    models,
    predict,
    profile,
    search,
    spaces,
    train,
    verify,
)
from mobilenas.cli.output import LOG, logging_to_stderr, show_log
from mobilenas.cli.signals import ended_by_signals
from mobilenas.errors import InputError, MobilenasError

USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
INTERRUPTED, BUG = 130, 1
OUT_OF_MEMORY = re.compile(r"can't allocate memory|out of memory")
"""What torch's errors of memory say; they are of no type of their own on all devices."""

app = typer.Typer(
    name="mobilenas",
    help="Builds a .tflite that meets a latency budget when measured on the device.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


class Command(TyperCommand):
    """A command that takes, after its own name, what the program takes before it."""

    def get_params(self, ctx: Any) -> Any:  # typer's own types move between its versions
        """The options of the program and the command's own."""
        program = ctx.find_root().command.params
        return [*program, *super().get_params(ctx)]


def _show_log(chosen: bool) -> None:
    if chosen:
        show_log()


@app.callback()
def options(
    verbose: Annotated[
        bool,
        typer.Option("--verbose", help="Log to stderr.", callback=_show_log, expose_value=False, is_eager=True),
    ] = False,
) -> None:
    """What every command takes: `Command` reads it here."""


COMMANDS = (
    *(models, spaces, info, devices, profile, import_table, calibrate),
    *(predict, measure, search, train, export, verify),
)
for command in COMMANDS:
    app.command(command.__name__.rpartition(".")[2].replace("_", "-"), cls=Command, help=command.__doc__)(command.run)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with the code of docs/commands.md; an expected error is one or two lines on stderr."""
    with ended_by_signals() as received:
        code = run(arguments, received)
    sys.exit(code)


def run(arguments: Sequence[str] | None = None, received: Sequence[int] = ()) -> int:
    """Runs one command and returns its exit code; only a bug of ours raises.

    Args:
        arguments: Those of the command line; None: this process' own.
        received: Signals that have come meanwhile, of `ended_by_signals`.
    """
    with logging_to_stderr():
        return _run(arguments, received)


def _run(arguments: Sequence[str] | None, received: Sequence[int]) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = app(args=given or ["--help"], standalone_mode=False)
        if not given:  # help was not asked for
            return InputError.exit_code
        if code == INTERRUPTED:  # what typer makes of a KeyboardInterrupt
            return _interrupted(received)
        return code if isinstance(code, int) else 0
    except USAGE_ERROR as error:
        text = getattr(error, "format_message", error.__str__)()
        return _fail(f"{text.rstrip('.')}; run: mobilenas --help", InputError.exit_code)
    except MobilenasError as error:
        code = _fail(str(error), error.exit_code)
        _log_origin(error)
        return code
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(received)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if received:  # a bar that is taken off a terminal that is gone
            return _interrupted(received)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        return _fail(f"{error.filename or 'a file'}: {error.strerror}; free space or give another folder", 2)
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not OUT_OF_MEMORY.search(str(error)):
            raise
        code = _fail(_out_of_memory(error), InputError.exit_code)
        _log_origin(error)
        return code


def _out_of_memory(error: BaseException) -> str:
    """An error of numpy's or torch's in our words, with how much it wanted where it says so."""
    wanted = re.search(r"allocate ([\d.]+ ?(?:bytes|[KMGTPE]i?B))", str(error))
    much = f"{wanted[1]} more could not be had" if wanted else "no more could be had"
    return f"out of memory: {much}; give a smaller network or --resolution, or a machine with more memory"


def _interrupted(received: Sequence[int]) -> int:
    if not received:
        return _fail("interrupted", INTERRUPTED)
    code = 128 + received[0]
    with suppress(OSError):  # the terminal may be gone
        _fail(f"ended by {signal.Signals(received[0]).name}", code)
    return code


def _fail(text: str, code: int) -> int:
    print(f"error: {text}", file=sys.stderr)
    return code


def _log_origin(error: BaseException) -> None:
    """Where an error was raised, and what it was raised from, a line each."""
    cause: BaseException | None = error
    while cause is not None:
        text = "" if cause is error else f": {cause}"
        for frame in traceback.extract_tb(cause.__traceback__)[-1:]:
            LOG.debug("%s raised in %s line %s%s", type(cause).__name__, frame.filename, frame.lineno, text)
        cause = cause.__cause__


if __name__ == "__main__":
    main()
