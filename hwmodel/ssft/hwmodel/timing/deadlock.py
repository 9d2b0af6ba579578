"""What stands still when a program cannot end."""

from __future__ import annotations

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Program, Queue
from ssft.hwmodel.isa.commands import SEMAPHORES
from ssft.hwmodel.timing.stream import UNITS, CommandStream


def check_semaphores(stream: CommandStream) -> None:
    """Refuses a program that names a semaphore which the machine lacks."""
    for array in (stream.wait, stream.post, stream.extra_post):
        for i in (array >= SEMAPHORES).nonzero()[0].tolist():
            unit = UNITS[Queue(int(stream.queue[i]))]
            raise MachineError(
                f"command {i - stream.first[int(stream.queue[i])]} of {unit} names semaphore"
                f" {array[i]}, and the machine has semaphores 0 to {SEMAPHORES - 1}"
            )


def deadlock(
    program: Program, stream: CommandStream, heads: list[int], counts: list[int]
) -> MachineError:
    """The error that names each queue's blocked command, what it waits for and its source."""
    notes = []
    for queue in Queue:
        i = heads[queue]
        if i == stream.first[queue + 1]:
            continue
        command, semaphore = stream.commands[i], int(stream.wait[i])
        tag = command.tag
        source = program.operations[tag].name if tag < len(program.operations) else f"tag {tag}"
        notes.append(
            f"{UNITS[queue]} stands at command {i - stream.first[queue]}, {command.MNEMONIC} of"
            f" {source}, which waits for semaphore {semaphore} to reach {stream.wait_value[i]};"
            f" it is at {counts[semaphore]}"
        )
    blocked = ", ".join(note.partition(" ")[0] for note in notes)
    return MachineError(f"deadlock: {blocked} wait for posts that never come", notes)
