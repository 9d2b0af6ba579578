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
from collections.abc import Container, Sequence, Set
from dataclasses import dataclass, field

from ssft.compiler.analysis.step import owner
from ssft.compiler.passes._rows.blocks import Blocks
from ssft.compiler.passes._rows.groups import used_only_by
from ssft.compiler.passes._rows.nests import Access, Task
from ssft.dialects._mlir import ir

ZERO, LOWEST, TRUE, OTHER = "zero", "-inf", "true", "other"
"""What is known of a number in a dead column."""

NARROW = 32
"""Columns; products of fewer are slow, so that it does not pay to leave out so few."""

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
    `condition` is not None, that is selected where its value is its truth value. `columns` gives
    the column loop of every task that has one. There are `size` columns, `chunk` of which are
    treated alike.
    """

    task: Task
    operand: int
    test: ir.Value
    condition: tuple[ir.Value, bool] | None
    columns: dict[int, int] = field(default_factory=dict)
    size: int = 0
    chunk: int = 0


def find_mask(blocks: Blocks) -> Mask | None:
    """The mask of `blocks`; None if there is none, or if something needs what it hides."""
    columns = _Columns()
    if not columns.begin(blocks) or not all(columns.extend(blocks, t) for t in _tasks(blocks)):
        return None
    if not columns.are_whole(blocks):
        return None
    written = {access.root for t in blocks.members for access in t.accesses if access.written}
    tasks = (task for task in blocks.core.members if task.position in columns.loops)
    masks = (_mask_of(task, columns.strides, written) for task in tasks)
    mask = next((mask for mask in masks if mask is not None), None)
    if mask is None:
        return None
    mask.columns, mask.size = columns.loops, columns.size
    most = min(blocks.limits.columns, mask.size)
    mask.chunk = max(part for part in range(1, most + 1) if mask.size % part == 0)
    if mask.chunk < min(NARROW, blocks.limits.columns) or mask.chunk == mask.size:
        return None
    return mask if _Hidden(blocks, mask, columns.strides).is_unneeded() else None


def _tasks(blocks: Blocks) -> list[Task]:
    """All members but those that only fill what a product writes, in the order of a block."""
    return [*blocks.makers, *blocks.core.members, *blocks.users]


@dataclass
class _Columns:
    """What runs over the columns of rows that products make.

    The stride of columns in each buffer that has some, and the loop of each task over them.
    """

    size: int = 0
    strides: dict[ir.Value, int] = field(default_factory=dict)
    loops: dict[int, int] = field(default_factory=dict)

    def begin(self, blocks: Blocks) -> bool:
        """Finds the columns of what products make; False if there are none, or of several sizes."""
        for task in blocks.makers:
            output = task.accesses[-1]
            strides = output.strides or {}
            rows = blocks.rows_of[task.position]
            inner = [loop for loop in strides if loop not in rows and task.sizes[loop] > 1]
            if len(inner) != 1 or self.size not in (0, task.sizes[inner[0]]):
                return False
            self.size = task.sizes[inner[0]]
            self.strides[output.root] = strides[inner[0]]
        return bool(self.strides)

    def extend(self, blocks: Blocks, task: Task) -> bool:
        """Finds the columns of what `task` makes of columns; False if it mixes them."""
        rows = blocks.row_loops(task)
        found: set[int] = set()
        for access in task.accesses:
            if access.root not in self.strides:
                continue
            alike = [
                loop
                for loop, step in (access.strides or {}).items()
                if (step, task.sizes[loop]) == (self.strides[access.root], self.size)
                and loop not in rows
            ]
            if len(alike) != 1:
                return False
            found.add(alike[0])
        if len(found) > 1:
            return False
        for loop in found:
            self.loops[task.position] = loop
            for access in task.accesses:
                step = (access.strides or {}).get(loop, 0)
                if step and access.written and self.strides.setdefault(access.root, step) != step:
                    return False
        return True

    def are_whole(self, blocks: Blocks) -> bool:
        """Whether all who touch rows that have columns touch these columns, and nothing beside.

        Slices that are shifted would need other columns than those that a mask leaves, and of
        several slices in one buffer each has columns of its own.
        """
        summed = {task.accesses[-1].root for task in blocks.users}
        places: dict[ir.Value, set[int]] = {}
        for task in _tasks(blocks):
            rows = blocks.row_loops(task)
            for access in task.accesses:
                if access.root not in self.strides or access.root in summed:
                    continue
                inner = {
                    (step, task.sizes[loop])
                    for loop, step in (access.strides or {}).items()
                    if loop not in rows and task.sizes[loop] > 1
                }
                if inner != {(self.strides[access.root], self.size)}:
                    return False
                places.setdefault(access.root, set()).add(access.offset)
        return all(len(offsets) == 1 for offsets in places.values())


def _mask_of(task: Task, made: Container[ir.Value], written: Set[ir.Value]) -> Mask | None:
    """The mask that `task` applies to an array in `made`, if it does nothing else afterwards.

    It is looked at before anything else in a block, so that it must not be `written` there.
    """
    if task.op.name != "linalg.generic" or not all(task.parallel):
        return None
    block = task.op.regions[0].blocks[0]
    *_, result = block.operations
    producer = owner(result.operation.operands[0])
    operands = [access.operand for access in task.accesses if access.root in made]
    if producer is None or not operands or len(result.operation.operands) != 1:
        return None
    masked = {block.arguments[number] for number in operands}
    condition = None
    values = list(producer.operands)
    if producer.name == "arith.select":
        condition = values.pop(0)
    elif producer.name != "arith.addf":
        return None
    free = [value for value in values if not _depends(value, masked)]
    if (
        len(free) != 1
        or _is_finite(free[0])
        or (condition is not None and _depends(condition, masked))
    ):
        return None
    chosen = None if condition is None else (condition, free[0] == values[0])
    arrays = {block.arguments[access.operand] for access in task.accesses if access.operand >= 0}
    scalars = set(block.arguments) - arrays
    if any(_depends(value, scalars) for value in (free[0], *producer.operands)):
        return None
    for access in task.accesses:
        used = access.operand < 0 or any(
            _depends(value, {block.arguments[access.operand]})
            for value in (free[0], *([condition] if condition is not None else []))
        )
        if used and access.root in written:
            return None
    return Mask(task, operands[0], free[0], chosen)


def _is_finite(value: ir.Value) -> bool:
    """Whether `value` is a constant that masks nothing."""
    producer = owner(value)
    if producer is None or producer.name != "arith.constant":
        return False
    return _constant(producer.attributes["value"]) != LOWEST


def _depends(value: ir.Value, arguments: Set[ir.Value]) -> bool:
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
        accesses = {access.operand: access for access in task.accesses}
        known: dict[ir.Value, str] = {
            argument: self._state(task, accesses[number]) if number in accesses else OTHER
            for number, argument in enumerate(block.arguments)
        }
        *_, result = block.operations
        values = list(result.operation.operands)
        column = self.mask.columns[task.position]
        for number, value in enumerate(values, len(task.op.operands) - len(values)):
            access = accesses[number]
            if (access.strides or {}).get(column):
                state = LOWEST if task is self.mask.task else _evaluate(value, known)
                self.states[access.root] = state
            elif not _leaves_out(value, block.arguments[number], known):
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
