"""The operations of a bufferized block as loop nests that touch bytes of buffers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from ssft.compiler.analysis.contractions import indexing_maps, is_multiply_accumulate
from ssft.compiler.analysis.forms import is_fill
from ssft.compiler.analysis.step import owner
from ssft.compiler.plan_schema import item_bytes
from ssft.dialects._mlir import ir

VIEWS = frozenset(
    f"memref.{name}"
    for name in ("subview", "expand_shape", "collapse_shape", "cast", "reinterpret_cast")
)
_SOURCES = frozenset({"memref.alloc", "memref.get_global"})


@dataclass(frozen=True)
class Access:
    """Bytes of the buffer `root` that a task touches.

    If `strides` is None, those are all of the buffer. Otherwise iteration ``(i0, i1, …)`` of the
    task's loops touches the element at ``offset + sum_l i_l * strides[l]`` bytes; loops that are
    missing do not move it. `operand` is the operand's number.
    """

    root: ir.Value
    written: bool
    operand: int = -1
    offset: int = 0
    strides: dict[int, int] | None = None
    item: int = 1


@dataclass
class Task:
    """One operation of the block; `position` counts them.

    A task that may share loops with others is a *nest*: `sizes` and `parallel` describe its loops,
    and `maps` has for each operand the loop that each of its dimensions runs over. These loops are
    the operation's own, or what `split` made of them; `origins` says which ones they were. `needs`
    are the positions of tasks that compute values which it uses.
    """

    op: ir.Operation
    position: int
    accesses: list[Access]
    sizes: list[int] = field(default_factory=list)
    parallel: list[bool] = field(default_factory=list)
    maps: list[list[int]] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    needs: set[int] = field(default_factory=set)
    nest: bool = False

    def interval(self, access: Access) -> tuple[float, float]:
        """First byte, and the one past the last, that `access` touches."""
        if access.strides is None:
            return -math.inf, math.inf
        reach = sum((self.sizes[loop] - 1) * step for loop, step in access.strides.items())
        return access.offset, access.offset + reach + access.item

    def split(self, loop: int, minor: int) -> None:
        """Makes `loop` two loops, of which the inner one has `minor` iterations.

        Loops behind `loop` move up by one; the operation itself does not change.
        """

        def moved(number: int) -> int:
            return number + (number > loop)

        self.accesses = [
            access if access.strides is None else _split_access(access, loop, minor)
            for access in self.accesses
        ]
        self.maps = [
            [p for old in loops for p in ((old, old + 1) if old == loop else (moved(old),))]
            for loops in self.maps
        ]
        self.sizes[loop : loop + 1] = [self.sizes[loop] // minor, minor]
        self.parallel.insert(loop, self.parallel[loop])
        self.origins.insert(loop, self.origins[loop])

    def indexed(self) -> set[int]:
        """The loops whose counters the body of the operation uses."""
        used = indexed_loops(self.op)
        return {loop for loop, origin in enumerate(self.origins) if origin in used}


def _split_access(access: Access, loop: int, minor: int) -> Access:
    assert access.strides is not None
    strides = {}
    for number, step in access.strides.items():
        if number == loop:
            strides |= {loop: step * minor, loop + 1: step}
        else:
            strides[number + (number > loop)] = step
    return replace(access, strides=strides)


def refine(tasks: Sequence[Task]) -> None:
    """Splits loops of nests so that nests that touch the same buffer run over loops of one kind.

    A loop over 512 rows becomes one of 4 x 128 if another nest goes through the same rows like
    that. The innermost of several loops stays as it is. Products follow the nests around them.
    """
    nests = [task for task in tasks if task.nest]
    steps: dict[ir.Value, set[int]] = {}
    users: dict[ir.Value, list[Task]] = {}
    for task in nests:
        for access in task.accesses:
            steps.setdefault(access.root, set()).update((access.strides or {}).values())
            users.setdefault(access.root, []).append(task)
    open_ = {task.position: task for task in nests}
    while open_:
        task = open_.pop(min(open_))
        if not _refine(task, steps):
            continue
        for access in task.accesses:
            new = set((access.strides or {}).values()) - steps[access.root]
            if new:
                steps[access.root] |= new
                open_ |= {user.position: user for user in users[access.root]}
    for task in tasks:
        if not task.nest and task.maps and all(a.strides is not None for a in task.accesses):
            _refine(task, steps)


def _refine(task: Task, steps: dict[ir.Value, set[int]]) -> bool:
    """Splits loops of `task` where a step of another nest ends inside; says whether there were."""
    changed, loop = False, 0
    innermost = 1 if len(set(task.origins)) > 1 else 0
    while loop < len(task.sizes) - innermost:
        parts = {
            step // access.strides[loop]
            for access in task.accesses
            if access.strides and access.strides.get(loop)
            for step in steps.get(access.root, ())
            if step % access.strides[loop] == 0
        }
        size = task.sizes[loop]
        minor = max((part for part in parts if 1 < part < size and size % part == 0), default=0)
        if minor and loop not in task.indexed():
            task.split(loop, minor)
            changed = True
        loop += 1
    return changed


def indexed_loops(op: ir.Operation) -> set[int]:
    """The loops whose counters the body of `op` uses."""
    found = set()
    for region in op.regions:
        for inner in region.blocks[0].operations:
            if inner.operation.name == "linalg.index":
                found.add(ir.IntegerAttr(inner.operation.attributes["dim"]).value)
    return found


def root_of(value: ir.Value) -> ir.Value | None:
    """The buffer that `value` is, or is a view of; None if that cannot be told."""
    producer = owner(value)
    while producer is not None and producer.name in VIEWS:
        value = producer.operands[0]
        producer = owner(value)
    return value if producer is None or producer.name in _SOURCES else None


def is_static_view(op: ir.Operation) -> bool:
    """Whether `op` is a view of a buffer from its beginning to a place known at compile time."""
    return op.name in VIEWS and len(op.operands) == 1


def tasks_of(block: ir.Block) -> list[Task] | None:
    """The tasks of `block`, in order; None if it touches a buffer in a way that is not understood.

    Allocations, constants and static views are no tasks: they do nothing.
    """
    tasks: list[Task] = []
    made_by: dict[ir.Operation, int] = {}
    operations = [op.operation for op in block.operations]
    for op in operations[:-1]:
        if op.name in _SOURCES or op.name == "arith.constant" or is_static_view(op):
            continue
        task = _task(op, len(tasks))
        if task is None:
            return None
        for inner in nested(op):
            for value in inner.operands:
                producer = owner(value)
                if producer is not None and producer in made_by:
                    task.needs.add(made_by[producer])
        made_by[op] = task.position
        tasks.append(task)
    return _fills_last(tasks)


def _fills_last(tasks: list[Task]) -> list[Task]:
    """The tasks with each fill right before the first one that touches what it fills."""
    ordered: list[Task] = []
    fills: dict[ir.Value, Task] = {}

    def flush(root: ir.Value) -> None:
        if root in fills:
            ordered.append(fills.pop(root))

    for task in tasks:
        for access in task.accesses:
            flush(access.root)
        if is_fill(task.op) and len(task.accesses) == 1:
            fills[task.accesses[0].root] = task
        else:
            ordered.append(task)
    ordered += fills.values()
    place = {task.position: number for number, task in enumerate(ordered)}
    for task in ordered:
        task.position = place[task.position]
        task.needs = {place[position] for position in task.needs}
    return ordered


def nested(op: ir.Operation) -> Iterator[ir.Operation]:
    """`op` and all operations inside it."""
    yield op
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield from nested(inner.operation)


def _task(op: ir.Operation, position: int) -> Task | None:
    """`op` as a task; None if it uses a buffer whose origin is unknown."""
    if op.name in VIEWS:
        root = root_of(op.operands[0])
        return None if root is None else Task(op, position, [Access(root, True)])
    for make in (_generic, _copy):
        task = make(op, position)
        if task is not None:
            return task
    return _opaque(op, position)


def _opaque(op: ir.Operation, position: int) -> Task | None:
    """Any other operation: it may read and write all of every buffer that it mentions."""
    accesses = []
    written = op.name != "memref.load"
    for inner in nested(op):
        for value in inner.operands:
            if not isinstance(value.type, ir.MemRefType) or _inside(value, op):
                continue
            root = root_of(value)
            if root is None:
                return None
            accesses.append(Access(root, written))
    return Task(op, position, accesses)


def _inside(value: ir.Value, op: ir.Operation) -> bool:
    """Whether `value` is defined inside `op`, or is a view of something that is."""
    producer = owner(value)
    while producer is not None and producer.name in VIEWS:
        value = producer.operands[0]
        producer = owner(value)
    place = value.owner if isinstance(value.owner, ir.Block) else value.owner.operation.block
    while place != op.block:
        parent = place.owner.operation
        if parent == op:
            return True
        if parent.name == "func.func":
            return False
        place = parent.block
    return False


def _generic(op: ir.Operation, position: int) -> Task | None:
    if op.name != "linalg.generic" or op.results:
        return None
    maps = indexing_maps(op)
    if maps is None:
        return None
    kinds = ir.ArrayAttr(op.attributes["iterator_types"])
    parallel = ["parallel" in str(kind) for kind in kinds]
    inputs = ir.DenseI32ArrayAttr(op.attributes["operandSegmentSizes"])[0]
    accesses, sizes = [], [0] * len(parallel)
    for number, (value, loops) in enumerate(zip(op.operands, maps, strict=True)):
        if not isinstance(value.type, ir.MemRefType):
            continue
        access = _access(value, loops, number, number >= inputs)
        if access is None:
            return None
        accesses.append(access)
        for loop, size in zip(loops, ir.MemRefType(value.type).shape, strict=True):
            sizes[loop] = size
    if 0 in sizes:
        return None
    for inner in op.regions[0].blocks[0].operations:
        for value in inner.operation.operands:
            if isinstance(value.type, ir.MemRefType):
                root = root_of(value)
                if root is None:
                    return None
                accesses.append(Access(root, False))
    nest = not _has_matrix(op, maps)
    own = list(range(len(sizes)))
    return Task(op, position, accesses, sizes, parallel, [list(m) for m in maps], own, nest=nest)


def _copy(op: ir.Operation, position: int) -> Task | None:
    if op.name != "memref.copy":
        return None
    sizes = list(ir.MemRefType(op.operands[0].type).shape)
    loops = tuple(range(len(sizes)))
    found = [_access(value, loops, number, number == 1) for number, value in enumerate(op.operands)]
    accesses = [access for access in found if access is not None]
    if len(accesses) != 2 or 0 in sizes:
        return None
    maps, parallel = [list(loops), list(loops)], [True] * len(sizes)
    return Task(op, position, accesses, sizes, parallel, maps, list(loops), nest=True)


def _access(value: ir.Value, loops: Sequence[int], number: int, written: bool) -> Access | None:
    type_ = ir.MemRefType(value.type)
    root = root_of(value)
    dynamic = ir.ShapedType.get_dynamic_stride_or_offset()
    strides, offset = type_.get_strides_and_offset()
    if root is None or not type_.has_static_shape or offset == dynamic or dynamic in strides:
        return None
    element = str(type_.element_type)
    item = 8 if element == "index" else item_bytes(element)
    moves = {loop: stride * item for loop, stride in zip(loops, strides, strict=True)}
    return Access(root, written, number, offset * item, moves, item)


def _has_matrix(op: ir.Operation, maps: list[tuple[int, ...]]) -> bool:
    """Whether `op` multiplies and adds as a matrix product does: its operands share no loop."""
    if len(maps) != 3 or not is_multiply_accumulate(op):
        return False
    lhs, rhs, out = (set(loops) for loops in maps)
    reduces = bool((lhs | rhs) - out)
    return reduces and bool((lhs & out) - rhs or (rhs & out) - lhs)
