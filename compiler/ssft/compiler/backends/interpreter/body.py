"""Regions of scalar operations, as straight-line programs on whole arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ssft.compiler.backends.interpreter.constants import constant_array
from ssft.compiler.backends.interpreter.formats import Unsupported
from ssft.compiler.backends.interpreter.scalars import scalar_function
from ssft.compiler.diagnostics import UserError
from ssft.dialects._mlir import ir


@dataclass(frozen=True)
class Step:
    """Register `result` becomes what `function` computes from registers `operands`."""

    name: str
    function: Callable[..., Any]
    operands: tuple[int, ...]
    result: int


@dataclass(frozen=True)
class Body:
    """A block of scalar operations.

    Registers are numbered: the block's `arguments`, the values `captured` from outside, the
    positions along `indexed` loops, then one per step. `yields` are the registers that the
    terminator names.
    """

    arguments: int
    captured: int
    indexed: tuple[int, ...]
    steps: tuple[Step, ...]
    yields: tuple[int, ...]

    @property
    def inputs(self) -> int:
        """Number of registers that a run is given."""
        return self.arguments + self.captured + len(self.indexed)

    def step_of(self, register: int) -> Step | None:
        """The step that computes a register; None for an input."""
        return next((step for step in self.steps if step.result == register), None)

    def sources(self, register: int) -> frozenset[int]:
        """The inputs that a register's value depends on."""
        wanted = self._closure([register])
        return frozenset(r for r in wanted if r < self.inputs)

    def only(self, registers: Sequence[int]) -> Body:
        """A program that computes just `registers`, and yields them."""
        wanted = self._closure(registers)
        steps = tuple(step for step in self.steps if step.result in wanted)
        return replace(self, steps=steps, yields=tuple(registers))

    def _closure(self, registers: Iterable[int]) -> set[int]:
        wanted, waiting = set(), list(registers)
        while waiting:
            register = waiting.pop()
            if register in wanted:
                continue
            wanted.add(register)
            step = self.step_of(register)
            waiting += step.operands if step else ()
        return wanted

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """Computes the yielded values, as arrays that broadcast to the loops' extents."""
        values: dict[int, Any] = dict(enumerate(inputs))
        for step in self.steps:
            values[step.result] = step.function(*(values[r] for r in step.operands))
        return [values[r] for r in self.yields]


def compile_body(block: ir.Block, *, exact: bool) -> tuple[Body, list[ir.Value]]:
    """Compiles a block; also returns the values that it takes from outside, in register order.

    Raises `Unsupported` for operations without a rule.
    """
    operations = [op.operation for op in block.operations]
    outside, loops = _captured(block, operations), _loops(operations)
    inputs = [*block.arguments, *outside]
    registers = {value: number for number, value in enumerate(inputs)}
    first_step = len(inputs) + len(loops)
    steps: list[Step] = []
    for op in operations[:-1]:
        if op.name == "linalg.index":
            registers[op.results[0]] = len(inputs) + loops.index(_loop(op))
            continue
        operands = tuple(registers[value] for value in op.operands)
        step = Step(op.name, _function(op, exact), operands, first_step + len(steps))
        registers[op.results[0]] = step.result
        steps.append(step)
    yields = tuple(registers[value] for value in operations[-1].operands)
    count = len(block.arguments)
    return Body(count, len(outside), tuple(loops), tuple(steps), yields), outside


def _function(op: ir.Operation, exact: bool) -> Callable[..., Any]:
    if op.name == "arith.constant":
        value = constant_array(op.attributes["value"])
        return lambda: value
    if op.name == "tensor.extract":
        return element_at
    return scalar_function(op, exact=exact)


def element_at(tensor: np.ndarray, *indices: Any) -> Any:
    """``tensor[indices]``, where indices are arrays that are broadcast against each other."""
    for axis, (index, extent) in enumerate(zip(indices, tensor.shape, strict=True)):
        index = np.asarray(index)
        if index.size and (index.min() < 0 or index.max() >= extent):
            raise UserError(
                f"tensor.extract: an index of dimension {axis} is outside of 0 to {extent - 1}",
                notes=["compiled code would read memory that belongs to something else"],
            )
    return np.asarray(tensor)[tuple(indices)]


def _loop(op: ir.Operation) -> int:
    return ir.IntegerAttr(op.attributes["dim"]).value


def _loops(operations: Sequence[ir.Operation]) -> list[int]:
    return sorted({_loop(op) for op in operations if op.name == "linalg.index"})


def _captured(block: ir.Block, operations: Sequence[ir.Operation]) -> list[ir.Value]:
    inside: set[ir.Value] = set(block.arguments)
    outside: dict[ir.Value, None] = {}
    for op in operations:
        if len(op.regions):
            raise Unsupported(f"{op.name} in a region")
        outside |= dict.fromkeys(value for value in op.operands if value not in inside)
        inside.update(op.results)
    return list(outside)
