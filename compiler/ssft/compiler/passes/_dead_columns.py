"""Which columns of a block a mask makes irrelevant, so that nobody needs to compute them.

A causal mask adds minus infinity to the scores of later tokens: their probabilities are zero, and
so is all that the products around make of them. Nothing here knows of attention: a column is *dead*
where an operation on what a product makes yields minus infinity whatever the product yields, and
what the other operations make of that is followed through, from one to the next. If reductions
leave it out and products only meet zeros, rows and products may run over the other columns alone.
Which those are is found out at run time, from the mask: it may depend on the batch.

Numbers that are not computed count as finite, as in every implementation that skips them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ssft.compiler.analysis.step import owner
from ssft.compiler.passes._nests import Access, Task
from ssft.compiler.passes._product_blocks import Blocks
from ssft.compiler.passes._row_groups import used_only_by
from ssft.dialects._mlir import ir

ZERO, LOWEST, TRUE, OTHER = "zero", "-inf", "true", "other"
"""What is known of a number in a dead column."""

CHUNK = 128
"""About so many columns are computed or left out together."""

_KEEPING = frozenset({"arith.extf", "arith.truncf"})
_ODD = frozenset({"arith.extf", "arith.truncf", "arith.negf", "math.erf", "math.tanh"})
_NEUTRAL = {
    "arith.addf": ZERO,
    "arith.maximumf": LOWEST,
    "arith.maxnumf": LOWEST,
    "arith.andi": TRUE,
}
"""What leaves a sum, a maximum, a conjunction as it is."""


@dataclass
class Mask:
    """How to find the columns of a block that are needed.

    `task` is the operation of the core that masks its operand number `operand`; `test` is what its
    body adds to that or selects instead of it, which is minus infinity in dead columns. If
    `condition` is not None, that is selected where its value is its truth value. `columns` gives the column loop of every task
    that has one. There are `size` columns, `chunk` of which are treated alike.
    """

    task: Task
    operand: int
    test: ir.Value
    condition: tuple[ir.Value, bool] | None
    columns: dict[int, int] = field(default_factory=dict)
    size: int = 0

    @property
    def chunk(self) -> int:
        """Columns of a chunk: a divisor of all columns."""
        return max(part for part in range(1, CHUNK + 1) if self.size % part == 0)


def find_mask(blocks: Blocks) -> Mask | None:
    """The mask of `blocks`; None if there is none, or if something needs what it hides."""
    columns = _columns(blocks)
    if columns is None:
        return None
    found, size, strides = columns
    made = {task.accesses[-1].root for task in blocks.makers}
    for task in blocks.core.members:
        mask = _mask_of(task, made) if task.position in found else None
        if mask is not None:
            mask.columns, mask.size = found, size
            hidden = _Hidden(blocks, mask, strides)
            return mask if mask.chunk < size and hidden.is_unneeded() else None
    return None


def _columns(blocks: Blocks) -> tuple[dict[int, int], int, dict[ir.Value, int]] | None:
    """The column loop of each task, their number, and the stride of columns in each buffer."""
    strides: dict[ir.Value, int] = {}
    size = 0
    for task in blocks.makers:
        output = task.accesses[-1]
        assert output.strides is not None
        rows = blocks.rows_of[task.position]
        inner = [loop for loop in output.strides if loop not in rows and task.sizes[loop] > 1]
        if len(inner) != 1 or size not in (0, task.sizes[inner[0]]):
            return None
        size = task.sizes[inner[0]]
        strides[output.root] = output.strides[inner[0]]
    found: dict[int, int] = {}
    fills = {task.position for task in blocks.fills.values()}
    for task in (*blocks.makers, *blocks.core.members, *blocks.users):
        if task.position in fills:
            continue
        loops = set(_column_loops(blocks, task, strides, size))
        if len(loops) > 1 or -1 in loops:
            return None
        for loop in loops:
            found[task.position] = loop
            for access in task.accesses:
                step = (access.strides or {}).get(loop, 0)
                if step and access.written and strides.setdefault(access.root, step) != step:
                    return None
    return (found, size, strides) if found else None


def _column_loops(
    blocks: Blocks, task: Task, strides: dict[ir.Value, int], size: int
) -> Iterator[int]:
    """The loops of `task` over columns of buffers in `strides`; -1 if it reads them otherwise."""
    rows = blocks.rows_of.get(task.position) or blocks.core.row_loops(task)
    for access in task.accesses:
        if access.root not in strides:
            continue
        loops = [
            loop
            for loop, step in (access.strides or {}).items()
            if step == strides[access.root] and task.sizes[loop] == size and loop not in rows
        ]
        yield loops[0] if len(loops) == 1 else -1


def _mask_of(task: Task, made: set[ir.Value]) -> Mask | None:
    """The mask that `task` applies to what a product made, if it does nothing else afterwards."""
    if task.op.name != "linalg.generic" or len(task.accesses) != len(task.op.operands):
        return None
    block = task.op.regions[0].blocks[0]
    *_, result = block.operations
    producer = owner(result.operation.operands[0])
    if producer is None or len(result.operation.operands) != 1:
        return None
    operands = [access.operand for access in task.accesses if access.root in made]
    masked = {block.arguments[number] for number in operands}
    if not masked or not all(task.parallel):
        return None
    if producer.name == "arith.addf":
        free = [value for value in producer.operands if not _depends(value, masked)]
        if len(free) == 1:
            return Mask(task, operands[0], free[0], None)
    if producer.name == "arith.select":
        condition, *values = producer.operands
        free = [value for value in values if not _depends(value, masked)]
        if len(free) == 1 and not _depends(condition, masked):
            return Mask(task, operands[0], free[0], (condition, free[0] == values[0]))
    return None


def _depends(value: ir.Value, arguments: set[ir.Value]) -> bool:
    if value in arguments:
        return True
    producer = owner(value)
    return producer is not None and any(_depends(each, arguments) for each in producer.operands)


@dataclass
class _Hidden:
    """What the tasks of a block make of dead columns."""

    blocks: Blocks
    mask: Mask
    strides: dict[ir.Value, int]
    states: dict[ir.Value, str] = field(default_factory=dict)

    def is_unneeded(self) -> bool:
        """Whether everything comes out the same if dead columns are not computed."""
        core = {task.op for task in self.blocks.core.members}
        for task in self.blocks.core.members:
            if task.position not in self.mask.columns:
                continue
            if not self._follow(task):
                return False
            for access in task.accesses:
                private = access.root in self.blocks.scratch or used_only_by(access.root, core)
                if access.written and access.root in self.strides and not private:
                    return False
        made = all(task.accesses[-1].root in self.blocks.scratch for task in self.blocks.makers)
        return made and all(map(self._sees_zeros, self.blocks.users))

    def _sees_zeros(self, task: Task) -> bool:
        """Whether dead columns add nothing to what a product computes."""
        loop = self.mask.columns.get(task.position)
        if loop is None:
            return True
        rows = self.blocks.rows_of[task.position]
        if task.parallel[loop] and all(task.parallel[row] for row in rows if row >= 0):
            return False
        return any(
            self.states.get(access.root) == ZERO
            for access in task.accesses
            if not access.written and (access.strides or {}).get(loop)
        )

    def _follow(self, task: Task) -> bool:
        """Notes what `task` makes of dead columns; whether its reductions leave them out."""
        if task.op.name == "memref.copy":
            self.states[task.accesses[1].root] = self._state(task, task.accesses[0])
            return True
        if task.op.name != "linalg.generic":
            return False
        block = task.op.regions[0].blocks[0]
        by_operand = {access.operand: access for access in task.accesses}
        if -1 in by_operand:
            by_operand.pop(-1)
        known = {
            argument: self._state(task, by_operand[number]) if number in by_operand else OTHER
            for number, argument in enumerate(block.arguments)
        }
        *_, result = block.operations
        outputs = list(task.op.operands)[-len(result.operation.operands) :]
        first = len(task.op.operands) - len(outputs)
        column = self.mask.columns[task.position]
        for number, value in enumerate(result.operation.operands):
            access = by_operand[first + number]
            if (access.strides or {}).get(column):
                state = LOWEST if task is self.mask.task else _evaluate(value, known)
                self.states[access.root] = state
            elif not _leaves_out(value, block.arguments[first + number], known):
                return False
        return True

    def _state(self, task: Task, access: Access) -> str:
        column = self.mask.columns[task.position]
        moves = (access.strides or {}).get(column)
        return self.states.get(access.root, OTHER) if moves else OTHER


def _leaves_out(value: ir.Value, sum_: ir.Value, known: dict[ir.Value, str]) -> bool:
    """Whether a reduction of `sum_` to `value` leaves `sum_` as it is in a dead column."""
    producer = owner(value)
    if producer is None or producer.name not in _NEUTRAL:
        return False
    others = [operand for operand in producer.operands if operand != sum_]
    return len(others) == 1 and _evaluate(others[0], known) == _NEUTRAL[producer.name]


def _evaluate(value: ir.Value, known: dict[ir.Value, str]) -> str:
    """What is known of `value` in the body of an operation, from what is known of others."""
    if value not in known:
        producer = owner(value)
        known[value] = OTHER if producer is None else _result(producer, known)
    return known[value]


def _result(op: ir.Operation, known: dict[ir.Value, str]) -> str:
    if op.name == "arith.constant":
        return _constant(op.attributes["value"])
    operands = [_evaluate(value, known) for value in op.operands]
    rule = _RULES.get(op.name)
    return rule(op, operands) if rule is not None else OTHER


def _constant(value: ir.Attribute) -> str:
    if isinstance(value, ir.FloatAttr):
        if value.value == 0:
            return ZERO
        return LOWEST if value.value == -math.inf else OTHER
    if isinstance(value, ir.IntegerAttr) and str(value.type) == "i1":
        return TRUE if value.value else OTHER
    return OTHER


def _sum(op: ir.Operation, operands: Sequence[str]) -> str:
    if LOWEST in operands:
        return LOWEST
    return ZERO if set(operands) == {ZERO} else OTHER


def _difference(op: ir.Operation, operands: Sequence[str]) -> str:
    left, right = operands
    if left == LOWEST and right != LOWEST:
        return LOWEST
    return ZERO if left == right == ZERO else OTHER


def _product(op: ir.Operation, operands: Sequence[str]) -> str:
    return ZERO if ZERO in operands and LOWEST not in operands else OTHER


def _quotient(op: ir.Operation, operands: Sequence[str]) -> str:
    return ZERO if operands[0] == ZERO and operands[1] == OTHER else OTHER


def _exponential(op: ir.Operation, operands: Sequence[str]) -> str:
    return ZERO if operands[0] == LOWEST else OTHER


def _choice(op: ir.Operation, operands: Sequence[str]) -> str:
    condition, left, right = operands
    if left == right:
        return left
    return left if condition == TRUE else OTHER


def _comparison(op: ir.Operation, operands: Sequence[str]) -> str:
    ordered_equal = ir.IntegerAttr(op.attributes["predicate"]).value == 1
    return TRUE if ordered_equal and operands[0] == operands[1] == LOWEST else OTHER


def _same(op: ir.Operation, operands: Sequence[str]) -> str:
    return operands[0]


def _negation(op: ir.Operation, operands: Sequence[str]) -> str:
    return ZERO if operands[0] == ZERO else OTHER


def _conjunction(op: ir.Operation, operands: Sequence[str]) -> str:
    return TRUE if set(operands) == {TRUE} else OTHER


_RULES = {
    "arith.addf": _sum,
    "arith.subf": _difference,
    "arith.mulf": _product,
    "arith.divf": _quotient,
    "arith.negf": _negation,
    "arith.extf": _same,
    "arith.truncf": _same,
    "arith.select": _choice,
    "arith.cmpf": _comparison,
    "arith.andi": _conjunction,
    "math.exp": _exponential,
    "math.exp2": _exponential,
}
