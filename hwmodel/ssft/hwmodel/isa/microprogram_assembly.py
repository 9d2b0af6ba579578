"""Micro-programs as assembly, and back; `assembly` says what it looks like."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa.assembly_tokens import REQUIRED, Line, list_text, quoted, scalar_text
from ssft.hwmodel.isa.dtypes import DTYPES
from ssft.hwmodel.isa.microprogram import Access, MicroOp, MicroProgram, Nest, Slot

_NAME = re.compile(r"(?!(?:inf|nan)\b)[A-Za-z_][A-Za-z0-9_.]*")


def micro_program_text(number: int, program: MicroProgram) -> Iterator[str]:
    """The lines of a micro-program."""
    yield f"micro_program {number} {quoted(program.kind)} {{"
    for place, slot in enumerate(program.slots):
        yield f"  slot {place} {slot.dtype} elements={slot.elements} access={slot.access}"
    for nest in program.nests:
        yield from _nest(nest)
    yield "}"


def _nest(nest: Nest) -> Iterator[str]:
    origins = ", ".join(f"[{divisor}, {modulus}]" for divisor, modulus in nest.origins)
    where = f" origins=[{origins}]" if origins else ""
    shape = f"extents={list_text(nest.extents)} reduction={list_text(nest.reduction)}"
    yield f"  nest {shape}{where} {{"
    register = 0
    for kind, accesses in (("input", nest.inputs), ("output", nest.outputs)):
        for access in accesses:
            yield f"    {kind} %{register} {_access(access)}"
            register += 1
    for op in nest.code:
        yield f"    %{register} = {_micro_op(op)}"
        register += 1
    if nest.results:
        yield f"    results {_registers(nest.results)}"
    yield "  }"


def _access(access: Access) -> str:
    initial = "" if access.initial is None else f" initial={scalar_text(access.initial)}"
    return f"slot={access.slot} offset={access.offset} strides={list_text(access.strides)}{initial}"


def _micro_op(op: MicroOp) -> str:
    if not _NAME.fullmatch(op.name):
        raise MachineError(f"micro-operation {op.name!r} has no name that assembly can spell")
    immediate = "" if op.immediate is None else f" {scalar_text(op.immediate)}"
    operands = f" {_registers(op.operands)}" if op.operands else ""
    return f"{op.name}{immediate}{operands} : {op.dtype}"


def _registers(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"%{number}" for number in numbers)


def parse_micro_program(line: Line, block: Callable[[Line], Iterator[Line]]) -> MicroProgram:
    """Reads a micro-program after its number; `block` opens a line's block and gives its lines."""
    kind = line.string()
    slots: list[Slot] = []
    nests: list[Nest] = []
    for inner in block(line):
        if inner.word("line", ("slot", "nest")) == "nest":
            nests.append(_parse_nest(inner, block))
        else:
            inner.numbered(len(slots), "slot")
            slots.append(_parse_slot(inner))
    return MicroProgram(kind, tuple(slots), tuple(nests))


def _parse_nest(line: Line, block: Callable[[Line], Iterator[Line]]) -> Nest:
    values = line.fields(
        {
            "extents": (line.integers, REQUIRED),
            "reduction": (lambda: tuple(map(bool, line.integers())), REQUIRED),
            "origins": (lambda: line.items(line.pair), ()),
        }
    )
    code = _Code()
    for inner in block(line):
        code.add(inner)
    return Nest(**values, **code.parts())


def _parse_slot(line: Line) -> Slot:
    dtype: Any = line.word("element type", DTYPES)
    accesses = ("in", "out", "inout", "temporary")
    values = line.fields(
        {
            "elements": (line.integer, REQUIRED),
            "access": (lambda: line.word("access", accesses), REQUIRED),
        }
    )
    line.finish()
    return Slot(dtype, **values)


class _Code:
    """The lines of a nest: inputs, outputs, micro-operations, results, in this order."""

    ORDER = ("inputs", "outputs", "code", "results")

    def __init__(self) -> None:
        self.found: dict[str, list[Any]] = {part: [] for part in self.ORDER}
        self.now = 0

    def add(self, line: Line) -> None:
        """Takes a line of the nest."""
        token = line.peek()
        part = "code" if token.kind == "register" else ""
        if not part:
            part = line.word("line", ("input", "output", "results")).removesuffix("s") + "s"
        if self.ORDER.index(part) < self.now or (part == "results" and self.found["results"]):
            line.fail(
                f"this line comes after {self.ORDER[self.now]}",
                "a nest has inputs, then outputs, then micro-operations, then one line of results",
                token,
            )
        self.now = self.ORDER.index(part)
        if part == "results":
            self.found[part] += line.registers()
        else:
            self.register(line)
            parse = _parse_micro_op if part == "code" else _parse_access
            self.found[part].append(parse(line))
        line.finish()

    def register(self, line: Line) -> None:
        token = line.peek()
        number, due = line.register(), sum(map(len, self.found.values()))
        if number != due:
            line.fail(
                f"register %{number} stands where %{due} is due",
                "registers are numbered from 0: inputs, then outputs, then micro-operations",
                token,
            )

    def parts(self) -> dict[str, Any]:
        """The nest's fields that the lines gave."""
        return {part: tuple(found) for part, found in self.found.items()}


def _parse_access(line: Line) -> Access:
    return Access(
        **line.fields(
            {
                "slot": (line.integer, REQUIRED),
                "offset": (line.integer, REQUIRED),
                "strides": (line.integers, REQUIRED),
                "initial": (line.scalar, None),
            }
        )
    )


def _parse_micro_op(line: Line) -> MicroOp:
    line.expect("=")
    name = line.word("name of a micro-operation")
    immediate: Any = None
    if line.peek().kind == "string":
        immediate = line.string()
    elif line.peek().kind == "number":
        immediate = line.scalar()
    operands = line.registers()
    line.expect(":")
    dtype: Any = line.word("element type", DTYPES)
    return MicroOp(name, operands, dtype, immediate)
