"""Reads assembly; `assembly` says what it looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from ssft.hwmodel.isa.assembly_tokens import REQUIRED, AssemblyError, Line
from ssft.hwmodel.isa.command_assembly import parse_command
from ssft.hwmodel.isa.commands import Queue
from ssft.hwmodel.isa.contraction import Contraction, Dim
from ssft.hwmodel.isa.dtypes import DTYPES
from ssft.hwmodel.isa.microprogram import MicroProgram
from ssft.hwmodel.isa.microprogram_assembly import parse_micro_program
from ssft.hwmodel.isa.program import PHASES, PURPOSES, DramBuffer, Program, SourceOp, SpmSlot

_QUEUES = {queue.name.lower(): queue for queue in Queue}
_MEMORY = ("dram_bytes", "spm_bytes", "spm_lower_bound")


def from_text(text: str, file: str = "<assembly>") -> Program:
    """Returns the program that `text` describes; `file` is its name in messages.

    Raises `AssemblyError`, a `MachineError`, whose message starts with ``file:line:column:``.
    """
    return _Parser(text, file).program()


class _Parser:
    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.texts = text.split("\n")
        self.at = 0

    def program(self) -> Program:
        line = self.line()
        for word in ("ssft-hw", "assembly"):
            line.expect(word)
        token = line.peek()
        if line.integer() != 1:
            line.fail(f"unknown version {token.text}", "this is a reader of version 1", token)
        line.finish()
        line = self.line()
        line.expect("machine")
        machine = line.string()
        line.finish()
        line = self.line()
        line.expect("precision")
        precision: Any = line.word("precision", ("bf16", "f32"))
        line.finish()
        line = self.line()
        line.expect("memory")
        memory = line.fields({name: (line.integer, REQUIRED) for name in _MEMORY})
        line.finish()
        program = Program(machine, precision, **memory)
        self.sections(program)
        return program

    def sections(self, program: Program) -> None:
        tables: dict[str, tuple[list[Any], Callable[[Line], Any]]] = {
            "operation": (program.operations, self.operation),
            "contraction": (program.contractions, self.contraction),
            "micro_program": (program.micro_programs, self.micro_program),
            "arguments": (program.arguments, self.arguments),
            "buffer": (program.dram, self.buffer),
            "spm": (program.spm, self.spm_slot),
        }
        filled: set[str] = set()
        while line := self.next_line():
            token = line.peek()
            section = line.word("section", (*tables, "queue"))
            if section == "queue":
                name = line.word("queue", tuple(_QUEUES))
                if name in filled:
                    line.fail(f"queue '{name}' is given twice", "a queue has one block", token)
                filled.add(name)
                program.queues[_QUEUES[name]] = list(map(parse_command, self.block(line)))
            else:
                entries, parse = tables[section]
                line.numbered(len(entries), section)
                entries.append(parse(line))

    # Lines and blocks

    def next_line(self) -> Line | None:
        """The next line that is not empty; None at the end of the text."""
        while self.at < len(self.texts):
            self.at += 1
            text = self.texts[self.at - 1]
            if text.strip() and not text.lstrip().startswith(";"):
                return Line(self.file, self.at, text)
        return None

    def line(self) -> Line:
        line = self.next_line()
        if line is None:
            raise AssemblyError(
                self.file, len(self.texts), 1, "unexpected end of the text",
                "a file starts with 'ssft-hw assembly 1', machine, precision and memory",
            )  # fmt: skip
        return line

    def block(self, line: Line) -> Iterator[Line]:
        """Opens a block at the end of `line`; gives its lines."""
        line.expect("{")
        line.finish()
        opened = line.number
        while True:
            line = self.next_line() or self.unclosed(opened)
            # No look at the tokens: most lines are read without them.
            if line.text.lstrip().startswith("}"):
                line.expect("}")
                line.finish()
                return
            yield line

    def unclosed(self, opened: int) -> NoReturn:
        raise AssemblyError(
            self.file, len(self.texts), 1, "unexpected end of the text",
            f"the block that line {opened} opens is not closed by '}}'",
        )  # fmt: skip

    # Tables

    def operation(self, line: Line) -> SourceOp:
        name = line.string()
        values = line.fields(
            {
                "kind": (line.string, REQUIRED),
                "phase": (lambda: line.word("phase", PHASES), REQUIRED),
                "location": (line.string, ""),
                "macs": (line.integer, 0),
                "masked_macs": (line.integer, 0),
            }
        )
        line.finish()
        return SourceOp(name, **values)

    def contraction(self, line: Line) -> Contraction:
        types: dict[str, Any] = {}
        for operand, mark in (("a_dtype", "*"), ("b_dtype", "->"), ("c_dtype", None)):
            types[operand] = line.word("element type", DTYPES)
            if mark:
                line.expect(mark)
        values = line.fields(
            {
                "multiply": (lambda: line.word("precision", ("bf16", "f32")), "bf16"),
                "lane_tile": (line.pair, (4, 8)),
                "indexed": (line.integer, None),
            }
        )
        return Contraction(tuple(map(_parse_dimension, self.block(line))), **types, **values)

    def micro_program(self, line: Line) -> MicroProgram:
        return parse_micro_program(line, self.block)

    def arguments(self, line: Line) -> tuple[int, ...]:
        addresses = line.items(lambda: line.unsigned(32))
        line.finish()
        return addresses

    def buffer(self, line: Line) -> DramBuffer:
        name = line.string()
        values = line.fields(
            {
                "purpose": (lambda: line.word("purpose", PURPOSES), REQUIRED),
                "dtype": (lambda: line.word("element type", DTYPES), REQUIRED),
                "shape": (line.integers, REQUIRED),
                "order": (line.integers, ()),
                "address": (line.integer, REQUIRED),
                "bytes": (line.integer, REQUIRED),
                "argument": (line.integer, None),
                "result": (line.integer, None),
                "mirror": (line.integer, None),
                "first": (line.integer, None),
                "last": (line.integer, None),
            }
        )
        data = None
        if line.peek().text == "{":
            data = b"".join(self.contents(line))
        else:
            line.finish()
        return DramBuffer(name, **values, data=data)

    def contents(self, buffer: Line) -> Iterator[bytes]:
        """The bytes in a block of hexadecimal digits."""
        for line in self.block(buffer):
            try:
                yield bytes.fromhex(line.text.partition(";")[0])
            except ValueError:
                line.fail(
                    "expected pairs of hexadecimal digits",
                    "the block holds a constant's bytes, e.g. 0000803f, and ends with '}'",
                )

    def spm_slot(self, line: Line) -> SpmSlot:
        name = line.string()
        purpose = (lambda: line.word("purpose", PURPOSES), REQUIRED)
        required = dict.fromkeys(("address", "bytes", "first", "last"), (line.integer, REQUIRED))
        values = line.fields({"purpose": purpose, **required, "buffers": (line.integer, 1)})
        line.finish()
        return SpmSlot(name, **values)


def _parse_dimension(line: Line) -> Dim:
    kind: Any = line.word("kind of dimension", ("batch", "m", "n", "k"))
    extent = line.integer()
    strides = line.fields(dict.fromkeys("abc", (line.integer, REQUIRED)))
    line.finish()
    return Dim(kind, extent, **strides)
