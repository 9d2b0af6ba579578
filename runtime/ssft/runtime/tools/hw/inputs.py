"""What ``ssft-hw`` reads: plans, programs, assembly and saved reports."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ssft.compiler.diagnostics import UserError

if TYPE_CHECKING:
    from ssft.hwmodel.config import Machine
    from ssft.hwmodel.isa import Program
    from ssft.hwmodel.timing.events import Simulation

Kind = Literal["plan", "program", "assembly", "module", "report"]
"""A module is a program in the dialect ``ssft_hw``, as text or bytecode."""
Report = dict[str, Any]
Stage = Callable[[str], None]

DEFAULT_MACHINE = "ssft-server"
CHANGED = ", changed"
"""How the compiler marks a preset that was not taken as it is."""
_PROGRAM, _ASSEMBLY = b"SSFT-HW\n", b"ssft-hw assembly"


@dataclass(slots=True)
class Loaded:
    """A program, the machine it is for, and what to call it.

    `stitch`: whether repetitions may be timed together.
    """

    name: str
    program: Program
    machine: Machine
    stitch: bool = True


def kind_of(path: str) -> Kind:
    """What a file holds, by its first bytes."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(4096)
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from None
    if head.startswith(_PROGRAM[: max(len(head), 1)]) and head:
        return "program"
    text = head.lstrip()
    if any(line.strip().startswith(_ASSEMBLY) for line in text.splitlines()[:20]):
        return "assembly"
    if text.startswith(b"{") and not text.startswith((b"{-#", b"{#")):
        return "report"
    if path.endswith(".py"):
        raise UserError(
            f"'{path}' is a model file, not a plan",
            notes=[f"compile it first: ssftc {path} -o plan.mlir --recipe …"],
        )
    return "module" if _is_program_module(path) else "plan"


def _is_program_module(path: str) -> bool:
    with open(path, "rb") as stream:
        return b"ssft_hw.program" in stream.read()


def machine_of(parsed: argparse.Namespace, name: str | None = None) -> Machine:
    """The machine of ``--machine`` (or `name`), with ``--set`` applied."""
    from ssft.hwmodel.config import load_machine

    return load_machine(name or parsed.machine or DEFAULT_MACHINE, parsed.set or [])


def load_program(
    path: str, parsed: argparse.Namespace, stage: Stage, machine: str | None = None
) -> Loaded:
    """The program in a file, or the one that the compiler makes of a plan.

    `machine` overrides ``--machine``. A program is run on the machine that it was scheduled for
    unless another one is given.

    Raises UserError or MachineError for what is wrong with it.
    """
    kind = kind_of(path)
    if kind == "report":
        raise UserError(f"'{path}' is a saved report, not a plan or program")
    wanted = machine or parsed.machine
    if kind == "plan":
        compiled = compile_plan(path, machine_of(parsed, wanted), parsed, stage)
        return Loaded(path, *compiled, parsed.stitch)
    if getattr(parsed, "precision", None):
        raise UserError(
            f"--precision cannot be used with '{path}', which is a program already",
            notes=["it belongs to `ssft-hw schedule PLAN`"],
            exit_code=2,
        )
    from ssft.hwmodel.isa.check import check

    stage(f"reading {path}")
    program = read_program(path)
    known = program.machine.removesuffix(CHANGED) if parsed.set else program.machine
    config = machine_of(parsed, wanted or _preset_of(path, known))
    check(program, config)
    return Loaded(path, program, config, parsed.stitch)


def read_program(path: str) -> Program:
    """The program in a file of bytes, of assembly, or in a module."""
    from ssft.hwmodel.isa import assembly, encoding

    kind = kind_of(path)
    if kind == "program":
        return encoding.load(path)
    if kind == "module":
        from ssft.compiler.backends.hw.dialect.program import from_mlir
        from ssft.compiler.driver import parse_module

        _, module = parse_module(path)
        return from_mlir(module)
    return assembly.from_text(read_text(path), path)


def _preset_of(path: str, name: str) -> str:
    """The preset that a program's machine is; `name` is what the program calls it."""
    from ssft.hwmodel.config import preset_names

    if name in preset_names():
        return name
    raise UserError(
        f"'{path}' was scheduled for '{name}', which is no preset",
        notes=["say which machine that is: --machine FILE.toml, or the --set that changed it"],
    )


def compile_plan(
    path: str, machine: Machine, parsed: argparse.Namespace, stage: Stage
) -> tuple[Program, Machine]:
    """Schedules a plan on a machine."""
    from ssft.compiler.backends.hw import compile_program
    from ssft.compiler.driver import is_plan, parse_module

    stage(f"reading {path}")
    context, module = parse_module(path)
    if not is_plan(module):
        raise UserError(
            "the file is a module, but not a plan",
            path,
            ["a plan is what `ssftc MODEL -o plan.mlir` writes"],
        )
    stage(f"scheduling {path} for {machine.name}")
    precision = getattr(parsed, "precision", None) or "bf16"
    program = compile_program(module, machine, precision, stitch=parsed.stitch)
    del module, context
    return program, machine


def read_text(path: str) -> str:
    """A text file in UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"'{path}' is not text in UTF-8") from None


def read_report(path: str) -> Report:
    """A report that ``simulate --json`` saved."""
    try:
        report = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"'{path}' is not JSON: {error}") from None
    from ssft.hwmodel.report.report import REPORT_VERSION

    if not isinstance(report, dict) or "report_version" not in report:
        raise UserError(
            f"'{path}' is no report of a simulation",
            notes=["write one with `ssft-hw simulate PLAN --json FILE`"],
        )
    if report["report_version"] != REPORT_VERSION:
        raise UserError(
            f"'{path}' is a report of version {report['report_version']}, "
            f"but this is a reader of version {REPORT_VERSION}",
            notes=["simulate again"],
        )
    return report


def simulated(loaded: Loaded, tokens: int | None, stage: Stage) -> tuple[Simulation, Report]:
    """Times a program; the report has the array formulas of other simulators beside ours."""
    from ssft.hwmodel.experiments.cross_check import gemm_cycles
    from ssft.hwmodel.report import report
    from ssft.hwmodel.timing.events import simulate

    commands = sum(map(len, loaded.program.queues.values()))
    stage(f"simulating {commands:,} commands on {loaded.machine.name}")
    simulation = simulate(loaded.program, loaded.machine, stitch=loaded.stitch)
    stage("counting")
    tokens = tokens or tokens_of(loaded.program)
    found = report(simulation, tokens=tokens)
    found["source"] = {"file": loaded.name, "tokens": tokens}
    found["gemm_cycles"] = gemm_cycles(simulation)
    return simulation, found


def tokens_of(program: Program) -> int | None:
    """Tokens of a step: elements of the largest integer input, else samples of the first one.

    None if the program has no inputs.
    """
    inputs = [buffer for buffer in program.dram if buffer.purpose == "input" and buffer.shape]
    integers = [prod(buffer.shape) for buffer in inputs if buffer.dtype.startswith("i")]
    return max(integers) if integers else next((buffer.shape[0] for buffer in inputs), None)
