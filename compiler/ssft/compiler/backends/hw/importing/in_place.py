"""Which values of a step live in an argument's own memory: the chains of writes into parameters."""

from __future__ import annotations

from ssft.compiler.analysis import step as step_ir
from ssft.dialects._mlir import ir

_WRITES = {"tensor.insert_slice": 1, "ssft.scatter": 0}
"""Operations that return a changed copy of an operand, and the number of that operand."""

_VIEWS = frozenset(
    [
        "linalg.transpose",
        "ssft.barrier",
        "ssft.gather",
        "tensor.collapse_shape",
        "tensor.expand_shape",
        "tensor.extract",
        "tensor.extract_slice",
    ]
)
"""Operations whose result may be memory of an operand."""


def in_place_values(step: ir.Operation) -> dict[ir.Value, int]:
    """Results of writes that may be done in an argument's memory, with the argument's number.

    A result that updates argument A is followed back through ``tensor.insert_slice`` and
    ``ssft.scatter`` to A. A write may be done in place if nobody reads the memory's former
    contents after it. A slice that is inserted into a gathered part of that memory and then
    scattered back to where it came from is a write of its own, too.
    """
    positions = {op: number for number, op in enumerate(step_ir.operations(step))}
    arguments: dict[ir.Value, int] = {
        value: n for n, value in enumerate(step_ir.body(step).arguments)
    }
    found: dict[ir.Value, int] = {}
    for value, attributes in zip(
        step_ir.terminator(step).operands, step_ir.result_attributes(step), strict=True
    ):
        updated = step_ir.updated_argument(attributes)
        if updated is None:
            continue
        chain = _chain(value)
        if not chain or arguments.get(_target(chain[-1])) != updated:
            continue
        if all(_last_reader(op, positions) for op in chain):
            for op in chain:
                found[op.results[0]] = updated
                _add_gathered_insert(op, updated, found)
    return found


def _chain(value: ir.Value) -> list[ir.Operation]:
    """The writes behind a value, last first."""
    chain: list[ir.Operation] = []
    op = step_ir.owner(value)
    while op is not None and op.name in _WRITES:
        chain.append(op)
        op = step_ir.owner(_target(op))
    return chain


def _target(op: ir.Operation) -> ir.Value:
    return op.operands[_WRITES[op.name]]


def _last_reader(op: ir.Operation, positions: dict[ir.Operation, int]) -> bool:
    """Whether no operation after `op` reads what `op` overwrites.

    Views of the memory are read where they are used, not where they are made.
    """
    pending = [_target(op)]
    while pending:
        for use in pending.pop().uses:
            reader = use.owner.operation
            while reader not in positions:  # within the body of an operation
                reader = reader.parent.operation
            if reader != op and positions[reader] > positions[op]:
                return False
            if reader.name in _VIEWS and reader != op:
                pending += reader.results
    return True


def _add_gathered_insert(op: ir.Operation, updated: int, found: dict[ir.Value, int]) -> None:
    """Marks ``insert_slice(x, gather(target, i))`` whose result `op` scatters to ``target[i]``."""
    if op.name != "ssft.scatter":
        return
    insert = step_ir.owner(op.operands[2])
    if insert is None or insert.name != "tensor.insert_slice":
        return
    gather = step_ir.owner(insert.operands[1])
    if gather is None or gather.name != "ssft.gather":
        return
    same = gather.operands[0] == op.operands[0] and gather.operands[1] == op.operands[1]
    only = len(list(gather.results[0].uses)) == 1 and len(list(insert.results[0].uses)) == 1
    if same and only and gather.attributes["dim"] == op.attributes["dim"]:
        found[insert.results[0]] = updated
