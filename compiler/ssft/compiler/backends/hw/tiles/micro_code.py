"""Turns lookups of the graph into positions in a slot."""

from __future__ import annotations

from collections.abc import Sequence

from ssft.compiler.backends.hw.graph import Lookup
from ssft.hwmodel.isa import MicroOp


def with_lookups(
    code: Sequence[MicroOp],
    results: Sequence[int],
    lookups: Sequence[Lookup],
    slots: Sequence[int],
    first: int,
) -> tuple[list[MicroOp], list[int]]:
    """Code in which each ``extract`` has one operand, the position in the slot of its lookup.

    `first` is the number of registers that inputs and outputs take.
    """
    if not lookups:
        return list(code), list(results)
    moved = list(range(first))
    out: list[MicroOp] = []

    def emit(op: MicroOp) -> int:
        out.append(op)
        return first + len(out) - 1

    for op in code:
        operands = tuple(moved[r] if r >= 0 else r for r in op.operands)
        if op.name != "extract":
            moved.append(emit(MicroOp(op.name, operands, op.dtype, op.immediate)))
            continue
        number = int(op.immediate or 0)  # type: ignore[arg-type]
        lookup = lookups[number]
        position = emit(MicroOp("constant", (), "i64", lookup.offset))
        for register, loop, stride in zip(operands, lookup.loops, lookup.strides, strict=True):
            if loop is not None:
                register = emit(MicroOp("index", (), "i64", loop))
            scale = emit(MicroOp("constant", (), "i64", stride))
            term = emit(MicroOp("muli", (register, scale), "i64"))
            position = emit(MicroOp("addi", (position, term), "i64"))
        moved.append(emit(MicroOp("extract", (position,), op.dtype, slots[number])))
    return out, [moved[r] for r in results]
