"""``ssft-hw disasm`` and ``ssft-hw asm``: programs as text, and back."""

from __future__ import annotations

import argparse
import sys

from ssft.compiler.diagnostics import UserError
from ssft.compiler.files import check_directory, write_bytes, write_text
from ssft.compiler.tools.console import Progress
from ssft.runtime.tools.hw.inputs import compile_plan, kind_of, machine_of, read_program, read_text


def disassemble(parsed: argparse.Namespace) -> int:
    """Prints a program, or what a plan is compiled to, as annotated assembly."""
    from ssft.hwmodel.isa.assembly import to_text

    check_directory(parsed.output)
    with Progress(parsed.progress) as progress:
        kind = kind_of(parsed.input)
        if kind == "report":
            raise UserError(f"'{parsed.input}' is a saved report, not a plan or program")
        if kind == "plan":
            machine = machine_of(parsed)
            program, _ = compile_plan(parsed.input, machine, parsed, progress.stage)
        else:
            # Also what does not fit any machine can be looked at.
            program = read_program(parsed.input)
        text = to_text(program)
    if parsed.output in (None, "-"):
        sys.stdout.write(text)
    else:
        write_text(parsed.output, text)
    return 0


def assemble(parsed: argparse.Namespace) -> int:
    """Writes assembly as a program file."""
    from ssft.hwmodel.isa.assembly import from_text
    from ssft.hwmodel.isa.encoding import encode

    check_directory(parsed.output)
    if kind_of(parsed.input) == "program":
        raise UserError(f"'{parsed.input}' is a program already, not assembly")
    program = from_text(read_text(parsed.input), parsed.input)
    data = encode(program)
    if parsed.machine:
        from ssft.hwmodel.isa.check import check

        check(program, machine_of(parsed))
    write_bytes(parsed.output, data)
    return 0
