"""What commands refer to must exist before a program can run."""

from __future__ import annotations

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import AdamRows, Command, Gemm, Post, Program, SgdRows, Vector
from ssft.hwmodel.isa.commands import SEMAPHORES
from ssft.hwmodel.machine.errors import Site


def check_references(program: Program) -> None:
    """Refuses commands on queues, semaphores and tables' entries that they do not have."""
    for queue, commands in program.queues.items():
        for position, command in enumerate(commands):
            problem = _missing(program, command)
            if queue not in command.QUEUES:
                problem = f"is no command of the {queue.name.lower()} queue"
            if problem is not None:
                raise MachineError(f"{Site(queue, position).describe(program)}: {problem}")


def _missing(program: Program, command: Command) -> str | None:
    if isinstance(command, Post) and command.semaphore >= SEMAPHORES:
        return f"there is no semaphore {command.semaphore}"
    if isinstance(command, Gemm) and command.shape >= len(program.contractions):
        return f"the program has no contraction {command.shape}"
    if isinstance(command, Vector | AdamRows | SgdRows):
        if command.program >= len(program.micro_programs):
            return f"the program has no micro-program {command.program}"
        if command.arguments >= len(program.arguments):
            return f"the program has no argument list {command.arguments}"
    return None
