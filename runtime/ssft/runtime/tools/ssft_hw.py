"""``ssft-hw``: the accelerator model as a tool."""

from __future__ import annotations

import faulthandler
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from ssft.compiler.diagnostics import SourceLocation, UserError
from ssft.runtime.tools.hw.arguments import parser
from ssft.runtime.tools.hw.files import check_files


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the tool; returns 0, 1 for a diagnosed failure, 2 for a bad command line."""
    if not faulthandler.is_enabled():
        faulthandler.enable()
    parsed = parser().parse_args(arguments)
    quiet, verbose = getattr(parsed, "quiet", False), getattr(parsed, "verbose", False)
    parsed.progress = verbose or (sys.stderr.isatty() and not quiet)
    module, _, function = parsed.handler.partition(":")
    try:
        check_files(parsed)
        # Commands import what they need: asking for help must not load a compiler.
        status: int = getattr(import_module(f"ssft.runtime.tools.hw.{module}"), function)(parsed)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader has seen enough. Python flushes once more at exit, and must find a place.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        print(f"ssft-hw: error: cannot write: {error.strerror}", file=sys.stderr)
        return 1
    except Exception as error:
        if (known := _diagnosed(error)) is not None:
            from ssft.compiler.tools.console import print_error

            print_error(known, "ssft-hw")
            return known.exit_code
        traceback.print_exc()
        print("ssft-hw: internal error: please report it with the plan", file=sys.stderr)
        return 1


def _diagnosed(error: Exception) -> UserError | None:
    """The error as one that the user can mend, if it is."""
    if isinstance(error, UserError):
        return error
    from ssft.hwmodel.errors import MachineError
    from ssft.hwmodel.isa.assembly import AssemblyError

    if isinstance(error, AssemblyError):
        place = SourceLocation(error.file, error.line, error.column)
        text = error.message.removeprefix(f"{place}: error: ")
        return UserError(text, place, error.notes)
    if isinstance(error, MachineError):
        return UserError(error.message, notes=error.notes)
    return None


if __name__ == "__main__":
    sys.exit(main())
