"""Writes MLIR operations as text, one by one, in the dialects that need no further lowering.

Loops and arithmetic are ``scf`` and ``arith`` on ``i64``; memory is addressed through ``!llvm.ptr``
with offsets in bytes, because sizes and strides are arguments of the functions that are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ssft.compiler.backends.cpu.gemm.isa import ITEM

PTR = "!llvm.ptr"


class Text:
    """The lines of one function; methods that compute something return the name of the result."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def __call__(self, operation: str) -> str:
        """Writes an operation with one result."""
        self._count += 1
        self.lines.append(f"%v{self._count} = {operation}")
        return f"%v{self._count}"

    def do(self, operation: str) -> None:
        """Writes an operation without results."""
        self.lines.append(operation)

    def number(self, value: int) -> str:
        """A constant."""
        return self(f"arith.constant {value} : i64")

    def binary(self, operation: str, left: str, right: str | int) -> str:
        """``arith.<operation>`` on i64."""
        right = self.number(right) if isinstance(right, int) else right
        return self(f"arith.{operation} {left}, {right} : i64")

    def add(self, left: str, right: str | int) -> str:
        """The sum of two numbers."""
        return self.binary("addi", left, right)

    def sub(self, left: str, right: str | int) -> str:
        """The difference of two numbers."""
        return self.binary("subi", left, right)

    def mul(self, left: str, right: str | int) -> str:
        """The product of two numbers."""
        return self.binary("muli", left, right)

    def least(self, left: str, right: str | int) -> str:
        """The lesser of two signed numbers."""
        return self.binary("minsi", left, right)

    def compare(self, predicate: str, left: str, right: str | int) -> str:
        """Whether `predicate` (``slt``, ``eq``, …) holds."""
        return self.binary(f"cmpi {predicate},", left, right)

    def both(self, left: str, right: str) -> str:
        """Whether both of two conditions hold."""
        return self(f"arith.andi {left}, {right} : i1")

    def either(self, left: str, right: str) -> str:
        """Whether one of two conditions holds."""
        return self(f"arith.ori {left}, {right} : i1")

    def negated(self, value: str) -> str:
        """Whether a condition does not hold."""
        return self(f"arith.xori {value}, {self('arith.constant true')} : i1")

    def select(self, condition: str, yes: str, no: str, type_: str = "i64") -> str:
        """One of two values."""
        return self(f"arith.select {condition}, {yes}, {no} : {type_}")

    def at(self, pointer: str, offset: str | int) -> str:
        """`pointer` moved by `offset` bytes."""
        if isinstance(offset, int):
            if offset == 0:
                return pointer
            return self(f"llvm.getelementptr {pointer}[{offset}] : ({PTR}) -> {PTR}, i8")
        return self(f"llvm.getelementptr {pointer}[{offset}] : ({PTR}, i64) -> {PTR}, i8")

    def load(self, pointer: str, type_: str, alignment: int) -> str:
        """A value from memory."""
        return self(f"llvm.load {pointer} {{alignment = {alignment} : i64}} : {PTR} -> {type_}")

    def store(self, value: str, pointer: str, type_: str, alignment: int) -> None:
        """Writes a value to memory."""
        self.do(f"llvm.store {value}, {pointer} {{alignment = {alignment} : i64}} : {type_}, {PTR}")

    def prefetch(self, pointer: str, level: int, write: bool = False) -> None:
        """Asks for a cache line; `level` is that of the cache that shall have it."""
        self.do(
            f'"llvm.intr.prefetch"({pointer}) <{{rw = {int(write)} : i32, '
            f"hint = {4 - level} : i32, cache = 1 : i32}}> : ({PTR}) -> ()"
        )

    def splat(self, scalar: str, element: str, lanes: int) -> str:
        """A vector with `scalar` in every lane."""
        vector = f"vector<{lanes}x{element}>"
        empty = self(f"llvm.mlir.poison : {vector}")
        one = self(f"llvm.insertelement {scalar}, {empty}[{self.number(0)} : i64] : {vector}")
        return self(f"llvm.shufflevector {one}, {one} [{', '.join(['0'] * lanes)}] : {vector}")

    def shuffle(self, left: str, right: str, lanes: Sequence[int], type_: str) -> str:
        """A vector of some lanes of two vectors, numbered through both."""
        return self(f"llvm.shufflevector {left}, {right} [{', '.join(map(str, lanes))}] : {type_}")

    def mask(self, count: str, lanes: int) -> str:
        """A mask of the first `count` of `lanes` lanes; `count` may be larger or negative."""
        limit = self.splat(self(f"arith.trunci {count} : i64 to i32"), "i32", lanes)
        numbers = ", ".join(map(str, range(lanes)))
        each = self(f"arith.constant dense<[{numbers}]> : vector<{lanes}xi32>")
        return self(f"arith.cmpi slt, {each}, {limit} : vector<{lanes}xi32>")

    def masked_load(self, pointer: str, mask: str, element: str, lanes: int) -> str:
        """The lanes in `mask` from memory, zeros in the others."""
        vector = f"vector<{lanes}x{element}>"
        number = "0" if element.startswith("i") else "0.0"
        zero = self(f"arith.constant dense<{number}> : {vector}")
        item = ITEM[element]
        return self(
            f"llvm.intr.masked.load {pointer}, {mask}, {zero} {{alignment = {item} : i32}} : "
            f"({PTR}, vector<{lanes}xi1>, {vector}) -> {vector}"
        )

    def masked_store(self, value: str, pointer: str, mask: str, element: str, lanes: int) -> None:
        """Writes the lanes in `mask` to memory."""
        item = ITEM[element]
        self.do(
            f"llvm.intr.masked.store {value}, {pointer}, {mask} {{alignment = {item} : i32}} : "
            f"vector<{lanes}x{element}>, vector<{lanes}xi1> into {PTR}"
        )

    def call(self, function: str, arguments: Sequence[tuple[str, str]]) -> None:
        """Calls a function without results; `arguments` are values and their types."""
        values = ", ".join(value for value, _ in arguments)
        types = ", ".join(type_ for _, type_ in arguments)
        self.do(f"llvm.call @{function}({values}) : ({types}) -> ()")

    @contextmanager
    def loop(self, low: str | int, high: str, step: str | int = 1) -> Iterator[str]:
        """``for i in range(low, high, step)``; gives the name of i."""
        low = self.number(low) if isinstance(low, int) else low
        step = self.number(step) if isinstance(step, int) else step
        self._count += 1
        name = f"%i{self._count}"
        self.do(f"scf.for {name} = {low} to {high} step {step} : i64 {{")
        yield name
        self.do("}")

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """What is written inside is done if `condition` holds."""
        self.do(f"scf.if {condition} {{")
        yield
        self.do("}")

    def otherwise(self) -> None:
        """Begins the other branch of the innermost `when`."""
        self.do("} else {")

    def function(self, name: str, parameters: Sequence[tuple[str, str]], attributes: str) -> str:
        """The finished function, whose parameters are names and types; ends what was written."""
        signature = ", ".join(f"%{parameter}: {type_}" for parameter, type_ in parameters)
        head = f"llvm.func internal @{name}({signature}) attributes {{{attributes}}} {{"
        return "\n".join([head, *self.lines, "llvm.return", "}"])
