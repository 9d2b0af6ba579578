"""How a nest's outputs are computed: which all at once, which as reductions, which step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Access, MicroOp, Nest
from ssft.hwmodel.machine.reductions import ORDER_FREE

OutputKind = Literal["store", "sum", "fold", "step"]


@dataclass(frozen=True, slots=True)
class Output:
    """`kind`: ``store`` one value an iteration; ``sum`` in groups; ``fold`` in any order; ``step``:
    the accumulator's value is carried from iteration to iteration.

    `value` is the register to store or to reduce; `reduced` are the dimensions that the output
    accumulates over; `combine` is the reducing operation's number in the code.
    """

    kind: OutputKind
    value: int
    reduced: tuple[int, ...]
    combine: int | None = None


def reduced_dimensions(nest: Nest, access: Access) -> tuple[int, ...]:
    """The dimensions that an output accumulates over: those that do not move it."""
    found = []
    for number, extent in enumerate(nest.extents):
        if extent > 1 and not access.strides[number]:
            if not nest.reduction[number]:
                raise MachineError(
                    "a micro-program writes an output more than once: dimension "
                    f"{number} does not move it and is no reduction"
                )
            found.append(number)
    return tuple(found)


class NestAnalysis:
    """The outputs of a nest, and which registers are computed step by step.

    Registers: inputs, then the outputs' current values, then one per operation.
    """

    def __init__(self, nest: Nest) -> None:
        self.nest = nest
        self.first_current = len(nest.inputs)
        self.first_code = self.first_current + len(nest.outputs)
        self._uses = self._count_uses()
        self.outputs = [self._classify(number) for number in range(len(nest.outputs))]
        self.carried = self._carried()
        self.sequential = tuple(
            sorted({d for o in self.outputs if o.kind == "step" for d in o.reduced})
        )

    def current_is_used(self, output: int) -> bool:
        """Whether the code, or a result, reads an output's value from before the iteration."""
        return self._uses[self.first_current + output] > 0

    def _count_uses(self) -> list[int]:
        uses = [0] * (self.first_code + len(self.nest.code))
        for position, op in enumerate(self.nest.code):
            for register in op.operands:
                if not 0 <= register < self.first_code + position:
                    raise MachineError(f"a micro-program reads register {register} too early")
                uses[register] += 1
        for register in self.nest.results:
            if not 0 <= register < len(uses):
                raise MachineError(f"a micro-program stores register {register}, which is not one")
            uses[register] += 1
        return uses

    def _classify(self, number: int) -> Output:
        nest, result = self.nest, self.nest.results[number]
        reduced = reduced_dimensions(nest, nest.outputs[number])
        if not reduced:
            return Output("store", result, ())
        current = self.first_current + number
        op = nest.code[result - self.first_code] if result >= self.first_code else None
        if op is not None and self._reduces(op, current) and self._uses[result] == 1:
            term = op.operands[1] if op.operands[0] == current else op.operands[0]
            combine = result - self.first_code
            kind: OutputKind = "sum" if op.name == "addf" else "fold"
            return Output(kind, term, reduced, combine)
        return Output("step", result, reduced)

    def _reduces(self, op: MicroOp, current: int) -> bool:
        """Whether an operation does nothing but combine a term with the accumulator.

        The accumulator must have no other use: then the term is independent of it, too.
        """
        known = op.name == "addf" or op.name in ORDER_FREE
        return known and op.operands.count(current) == 1 and self._uses[current] == 1

    def _carried(self) -> set[int]:
        """The registers that depend on an accumulator that is carried from step to step."""
        carried = {
            self.first_current + number
            for number, output in enumerate(self.outputs)
            if output.kind == "step"
        }
        for position, op in enumerate(self.nest.code):
            if any(operand in carried for operand in op.operands):
                carried.add(self.first_code + position)
        return carried
