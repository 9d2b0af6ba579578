"""Static well-formedness of a program for a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa.check_tables import (
    MachineLike,
    Span,
    contraction_problems,
    span,
    table_problems,
)
from ssft.hwmodel.isa.command_encoding import encode_commands, place_name
from ssft.hwmodel.isa.commands import (
    NO_LIST,
    SEMAPHORES,
    AccumulateScore,
    AdamRows,
    Command,
    CountRowsColumns,
    GatherColumns,
    GatherRows,
    Gemm,
    Load2D,
    Post,
    Queue,
    ScatterAddRows,
    ScatterColumns,
    ScatterRows,
    SgdRows,
    Store2D,
    TopK,
    Vector,
)
from ssft.hwmodel.isa.contraction import Contraction
from ssft.hwmodel.isa.dtypes import ELEMENT_BYTES
from ssft.hwmodel.isa.program import Program
from ssft.hwmodel.isa.progress import semaphore_problems

SHOWN = 8
"""Problems that an error lists; it says how many more there are."""

_INDEX_BYTES = 8
_F32_BYTES = 4

Place = tuple[str, int, int, int]
"""An operand: its field's name, its address, and its first byte and its end relative to that."""


def check(program: Program, machine: MachineLike) -> None:
    """Raises `MachineError` that lists the first problems of a program, if it has any."""
    found = problems(program, machine)
    if not found:
        return
    notes = found[:SHOWN]
    if len(found) > SHOWN:
        notes.append(f"and {len(found) - SHOWN} more")
    count = f"{len(found)} problems" if len(found) > 1 else "a problem"
    raise MachineError(f"the program for '{program.machine}' has {count}", notes)


def problems(program: Program, machine: MachineLike) -> list[str]:
    """Returns what is wrong with a program, one sentence each, naming queue and position.

    Every command must have an encoding and be in a queue that may execute it; what it refers to in
    the tables must be there and well-formed; its operands must lie within the machine's memories;
    and the semaphores must let every queue come to its end. Where index lists lead is not known
    before a run, and what commands do to each other's operands is not looked at.
    """
    found = list(table_problems(program, machine))
    encodable = dict(program.queues)
    checker = _Checker(program, machine)
    for queue, commands in program.queues.items():
        try:
            encode_commands(queue, commands)
        except MachineError as error:
            found.append(error.message)
            del encodable[queue]
            continue
        for position, command in enumerate(commands):
            for problem in checker.command(queue, command):
                found.append(f"{place_name(queue, position, command)}: {problem}")
    if len(encodable) == len(program.queues):
        found += semaphore_problems(program.queues)
    return found


class _Checker:
    def __init__(self, program: Program, machine: MachineLike) -> None:
        self.program = program
        self.spm, self.dram = machine.scratchpad.bytes, machine.dram.bytes
        self.contractions = [_spans(contraction) for contraction in program.contractions]
        self.operands = [
            [
                slot.elements * ELEMENT_BYTES[slot.dtype]
                for slot in micro_program.slots
                if slot.access != "temporary"
            ]
            for micro_program in program.micro_programs
        ]
        self.vectors: dict[tuple[int, int], list[str]] = {}

    def command(self, queue: Queue, command: Command) -> Iterator[str]:
        if queue not in command.QUEUES:
            allowed = ", ".join(q.name.lower() for q in command.QUEUES)
            yield f"only {allowed} may execute it"
        operations = len(self.program.operations)
        if command.tag >= max(operations, 1):  # programs made by hand may have no operations
            yield f"its tag is {command.tag}, but there are {operations} operations"
        check = _CHECKS.get(type(command))
        if check is not None:
            yield from check(self, command)

    def places(self, *places: Place) -> Iterator[str]:
        """Operands that are not in the scratchpad."""
        for name, address, first, end in places:
            if first < end and (address + first < 0 or address + end > self.spm):
                yield (
                    f"'{name}' takes bytes {address + first:#x} to {address + end:#x}, "
                    f"but the scratchpad has {self.spm}"
                )

    def dram_end(self, command: Load2D | Store2D) -> Iterator[str]:
        if not command.rows or not command.row_bytes:
            return
        end = command.dram + (command.rows - 1) * command.pitch + command.row_bytes
        if end > self.dram:
            yield (
                f"it takes DRAM bytes {command.dram:#x} to {end:#x}, but the DRAM has {self.dram}"
            )

    def copy(self, command: Load2D | Store2D) -> Iterator[str]:
        yield from self.dram_end(command)
        yield from self.places(("spm", command.spm, 0, command.rows * command.row_bytes))

    def rows(self, command: GatherRows | ScatterRows) -> Iterator[str]:
        yield from self.indexed(command.dram, command.row_bytes if command.count else 0)
        yield from self.places(
            ("spm", command.spm, 0, command.count * command.row_bytes),
            ("index", command.index, 0, command.count * _INDEX_BYTES),
        )

    def columns(self, command: GatherColumns | ScatterColumns) -> Iterator[str]:
        if command.element_bytes not in ELEMENT_BYTES.values():
            yield f"no element has {command.element_bytes} bytes"
        elements = command.rows * command.count
        size = (command.rows - 1) * command.pitch + command.element_bytes if elements else 0
        yield from self.indexed(command.dram, size)
        yield from self.places(
            ("spm", command.spm, 0, elements * command.element_bytes),
            ("index", command.index, 0, command.count * _INDEX_BYTES),
        )

    def indexed(self, address: int, least: int) -> Iterator[str]:
        """A DRAM matrix that an index list selects from; position 0 at least must be there."""
        if least and address + least > self.dram:
            yield (
                f"it takes DRAM bytes from {address:#x} to {address + least:#x} at least, "
                f"but the DRAM has {self.dram}"
            )

    def gemm(self, command: Gemm) -> Iterator[str]:
        if command.shape >= len(self.contractions):
            yield f"'shape' is {command.shape}, but there are {len(self.contractions)} contractions"
            return
        listed = command.index != NO_LIST
        contraction = self.program.contractions[command.shape]
        if listed != (contraction.indexed is not None):
            has = "has no" if contraction.indexed is None else "has an"
            yield (
                f"it has {'an' if listed else 'no'} index list, but contraction {command.shape} "
                f"{has} indexed dimension"
            )
        if command.accumulate > 1:
            yield f"'accumulate' is {command.accumulate}, expected 0 or 1"
        spans = self.contractions[command.shape]
        if spans is None:  # reported with the tables
            return
        a, b, c, count = spans
        yield from self.places(("a", command.a, *a), ("b", command.b, *b), ("c", command.c, *c))
        if listed:
            yield from self.places(("index", command.index, 0, count * _INDEX_BYTES))

    def vector(self, command: Vector | AdamRows | SgdRows) -> Iterator[str]:
        key = command.program, command.arguments
        if key not in self.vectors:
            self.vectors[key] = list(self.binding(*key))
        yield from self.vectors[key]

    def binding(self, program: int, arguments: int) -> Iterator[str]:
        """A micro-program on an argument list."""
        if program >= len(self.operands):
            yield f"'program' is {program}, but there are {len(self.operands)} micro-programs"
            return
        if arguments >= len(self.program.arguments):
            yield (
                f"'arguments' is {arguments}, but there are {len(self.program.arguments)} "
                "argument lists"
            )
            return
        addresses, sizes = self.program.arguments[arguments], self.operands[program]
        if len(addresses) != len(sizes):
            yield (
                f"argument list {arguments} has {len(addresses)} addresses, but micro-program "
                f"{program} has {len(sizes)} operands"
            )
            return
        for number, (address, size) in enumerate(zip(addresses, sizes, strict=True)):
            yield from self.places((f"operand {number}", address, 0, size))

    def scatter_add(self, command: ScatterAddRows) -> Iterator[str]:
        row = command.row_elements * _F32_BYTES
        yield from self.places(
            ("target", command.target, 0, command.rows * row),
            ("source", command.source, 0, command.count * row),
            ("index", command.index, 0, command.count * _INDEX_BYTES),
        )

    def score(self, command: AccumulateScore) -> Iterator[str]:
        if command.square > 1:
            yield f"'square' is {command.square}, expected 0 or 1"
        size = command.elements * _F32_BYTES
        yield from self.places(
            ("gradient", command.gradient, 0, size), ("score", command.score, 0, size)
        )

    def count(self, command: CountRowsColumns) -> Iterator[str]:
        if command.by_column > 1:
            yield f"'by_column' is {command.by_column}, expected 0 or 1"
        counts = command.columns if command.by_column else command.rows
        yield from self.places(
            ("score", command.score, 0, command.rows * command.columns * _F32_BYTES),
            ("counts", command.counts, 0, counts * _F32_BYTES),
        )

    def top_k(self, command: TopK) -> Iterator[str]:
        if command.k > command.count:
            yield f"'k' is {command.k}, but there are {command.count} values"
        yield from self.places(
            ("values", command.values, 0, command.count * _F32_BYTES),
            ("index", command.index, 0, command.k * _INDEX_BYTES),
        )

    def post(self, command: Post) -> Iterator[str]:
        if command.semaphore >= SEMAPHORES:
            yield f"'semaphore' is {command.semaphore}, expected 0 to {SEMAPHORES - 1}"


_CHECKS: dict[type[Command], Callable[..., Iterator[str]]] = {
    Load2D: _Checker.copy,
    Store2D: _Checker.copy,
    GatherRows: _Checker.rows,
    ScatterRows: _Checker.rows,
    GatherColumns: _Checker.columns,
    ScatterColumns: _Checker.columns,
    Gemm: _Checker.gemm,
    Vector: _Checker.vector,
    AdamRows: _Checker.vector,
    SgdRows: _Checker.vector,
    ScatterAddRows: _Checker.scatter_add,
    AccumulateScore: _Checker.score,
    CountRowsColumns: _Checker.count,
    TopK: _Checker.top_k,
    Post: _Checker.post,
}


def _spans(contraction: Contraction) -> tuple[Span, Span, Span, int] | None:
    """Bytes of a, b and c around their addresses, and the length of the index list."""
    if any(True for _ in contraction_problems(contraction)):
        return None
    selected = {"m": "a", "n": "b"}
    spans = []
    for operand in "abc":
        element = ELEMENT_BYTES[getattr(contraction, f"{operand}_dtype")]
        extents, strides = [], []
        for number, dim in enumerate(contraction.dims):
            by_list = number == contraction.indexed and selected[dim.kind] == operand
            extents.append(1 if by_list else dim.extent)  # the list's entries are not known
            strides.append(getattr(dim, operand))
        first, end = span(extents, strides)
        spans.append((first * element, end * element))
    indexed = contraction.indexed
    count = 0 if indexed is None else contraction.dims[indexed].extent
    return spans[0], spans[1], spans[2], count
