"""Which matrix products can run block by block with the rows of a loop nest between them.

The probabilities of an attention layer are far larger than what they are computed from and what is
computed from them: a product makes their rows, a softmax works on each, another product uses them.
A *block* is a few rows: if the products run on one block at a time, too, what they hand on stays in
the cache and never needs all of its memory. A product may make rows, use them (then it yields rows
of its own), or sum over them (then it adds to what the blocks before have summed).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from ssft.compiler.analysis.contractions import is_multiply_accumulate
from ssft.compiler.analysis.forms import is_fill
from ssft.compiler.passes._rows.groups import (
    Graph,
    Group,
    are_apart,
    cell,
    moved_bytes,
    used_only_by,
)
from ssft.compiler.passes._rows.nests import Access, Task
from ssft.dialects._mlir import ir

BLOCK_BYTES = 4 << 20
"""What a block of all arrays that products and rows hand on may take."""

FACTOR_BYTES = 2 << 20
"""What of a product's operands is the same for all blocks may always take: it stays in a cache."""

REREAD = 128
"""Rows; more than that may be taken if it is no more than so many of them are: each block reads it
again."""

PITCH = 64
"""Bytes; rows of a block begin at multiples of it, one `PITCH` further apart than they have to.

Rows a power of two apart would compete for the same lines of the caches.
"""

Rows = tuple[int, ...]
"""For each row loop of a group the loop of a task; -1 where it has one iteration."""


@dataclass(frozen=True)
class Limits:
    """When products run in blocks: where that saves `saved` bytes or more of an array.

    Blocks have at most `rows` rows, and a mask leaves out about `columns` columns at a time.
    """

    saved: int
    rows: int
    columns: int


@dataclass(eq=False)
class Blocks(Group):
    """The rows of `core`, and products with them.

    `rows_of` gives the row loops of each product; `fills` are the tasks that prepare what products
    write, row by row. Buffers in `scratch` hold one block, of which the first row has the given
    bytes (first, and past the last). Those in `shared_with` lie where another one does, whose rows
    nobody needs any more when theirs are written.
    """

    core: Group = field(default_factory=lambda: Group([], {}))
    makers: list[Task] = field(default_factory=list)
    users: list[Task] = field(default_factory=list)
    fills: dict[int, Task] = field(default_factory=dict)
    rows_of: dict[int, Rows] = field(default_factory=dict)
    limits: Limits = Limits(0, 1, 1)
    scratch: dict[ir.Value, tuple[int, int]] = field(default_factory=dict)
    shared_with: dict[ir.Value, ir.Value] = field(default_factory=dict)

    @property
    def blocked(self) -> int:
        """The number of the row loop that is cut into blocks: the last that has iterations."""
        return _blocked(self.core)

    @property
    def sums(self) -> bool:
        """Whether products sum over rows, so that blocks have to run one after another."""
        return any(not _keeps_rows(task, self.rows_of[task.position]) for task in self.users)

    @property
    def size(self) -> int:
        """Rows of a block; the last one may have fewer."""
        rows = self.core.row_sizes()[self.blocked]
        taken = sum(self.pitch(root) for root in self.scratch if root not in self.shared_with)
        most = max(1, min(rows, self.limits.rows, BLOCK_BYTES // max(1, taken)))
        return -(-rows // -(-rows // most))

    def row_loops(self, task: Task) -> Rows:
        """The row loops of any member but those in `fills`."""
        return self.rows_of.get(task.position) or self.core.row_loops(task)

    def pitch(self, root: ir.Value) -> int:
        """Bytes from one row of a block to the next."""
        low, high = self.scratch[root]
        return -(-(high - low) // PITCH) * PITCH + PITCH


def attach_products(graph: Graph, limits: Limits) -> int:
    """Makes `Blocks` of groups of at least two nests with the products around them.

    Returns how many were made.
    """
    made = 0
    products: dict[ir.Value, list[Task]] = {}
    for task in filter(_is_product, graph.tasks):
        for root in {access.root for access in task.accesses}:
            products.setdefault(root, []).append(task)
    for group in dict.fromkeys(graph.group_of.values()):
        if group.rows:
            roots = {access.root for task in group.members for access in task.accesses}
            near = {task.position: task for root in roots for task in products.get(root, ())}
            made += _attach(graph, group, [near[position] for position in sorted(near)], limits)
    return made


def _attach(graph: Graph, core: Group, products: Sequence[Task], limits: Limits) -> int:
    """Makes `Blocks` of `core`, if that is worth it; says how many."""
    blocks = Blocks(list(core.members), core.loops, core.rows, core, limits=limits)
    for task in products:
        if len(graph.group_of[task.position].members) > 1:
            continue
        for makes in (True, False):
            rows = _rows_of(core, task, makes)
            if rows is None or not _pays(core, task, rows, makes):
                continue
            attempt = _with(blocks, graph, task, rows, makes)
            if attempt is not None and _is_legal(attempt, graph):
                blocks = attempt
                break
    if not (blocks.makers or blocks.users):
        return 0
    members = {task.op for task in blocks.members}
    for root, entries in _shared(blocks).items():
        if used_only_by(root, members):
            blocks.scratch[root] = cell(blocks, entries)
    blocks.shared_with = _shared_scratch(blocks)
    row_count = math.prod(core.row_sizes())
    saved = sum((high - low) * row_count for low, high in blocks.scratch.values())
    if saved < limits.saved:
        return 0
    for task in blocks.members:
        graph.group_of[task.position] = blocks
    return 1


def _shared_scratch(blocks: Blocks) -> dict[ir.Value, ir.Value]:
    """For arrays that rows write the array of a product that they have read until then."""
    made = {task.accesses[-1].root for task in blocks.makers}
    used = {access.root for task in blocks.users for access in task.accesses}
    reads: dict[ir.Value, int] = {}
    writes: dict[ir.Value, int] = {}
    for task in blocks.core.members:
        for access in task.accesses:
            if access.written:
                writes.setdefault(access.root, task.position)
            if not access.written or access.root in reads:
                reads[access.root] = task.position
    found: dict[ir.Value, ir.Value] = {}
    written = [root for root in blocks.scratch if root not in made]
    for root in sorted(written, key=lambda root: writes[root]):
        for other in blocks.scratch:
            if other not in made or other in used:
                continue
            free = other not in found.values() and reads[other] < writes[root]
            if free and _alike(blocks, root, other):
                found[root] = other
                break
    return found


def _alike(blocks: Blocks, root: ir.Value, other: ir.Value) -> bool:
    types = [ir.MemRefType(value.type).element_type for value in (root, other)]
    return types[0] == types[1] and blocks.pitch(root) == blocks.pitch(other)


def _with(blocks: Blocks, graph: Graph, task: Task, rows: Rows, makes: bool) -> Blocks | None:
    """`blocks` and `task`, with what fills its result if that is done row by row."""
    fill = _fill_of(graph, task) if makes or _keeps_rows(task, rows) else None
    if makes and fill is None:
        return None
    members = [*blocks.members, task, *([fill] if fill else [])]
    return replace(
        blocks,
        members=sorted(members, key=lambda member: member.position),
        makers=[*blocks.makers, *([task] if makes else [])],
        users=[*blocks.users, *([] if makes else [task])],
        fills=blocks.fills | ({task.position: fill} if fill else {}),
        rows_of=blocks.rows_of | {task.position: rows},
    )


def _is_product(task: Task) -> bool:
    if task.nest or len(task.maps) != 3 or not task.accesses:
        return False
    known = len(task.accesses) == 3 and all(access.strides is not None for access in task.accesses)
    return known and is_multiply_accumulate(task.op)


def _blocked(core: Group) -> int:
    return max(number for number, size in enumerate(core.row_sizes()) if size > 1)


def _keeps_rows(task: Task, rows: Rows) -> bool:
    """Whether rows of a product are rows of its result."""
    return all(task.parallel[loop] for loop in rows if loop >= 0)


def _rows_of(core: Group, task: Task, makes: bool) -> Rows | None:
    """The loops of `task` that are the row loops of `core`; None if it does not have them.

    A product that makes rows writes what members of the core read; one that uses rows reads what
    they read or write. It may sum over rows in blocks, but not over other row loops.
    """
    output = task.accesses[-1].root
    wanted = [task.accesses[-1]] if makes else list(task.accesses[:-1])
    found: Rows | None = None
    for member in core.members:
        for theirs in member.accesses:
            for ours in wanted:
                if ours.root != theirs.root:
                    continue
                if (makes and theirs.written) or theirs.strides is None:
                    continue
                rows = _matching(core, member, theirs, task, ours)
                if rows is None or (found is not None and rows != found):
                    return None
                found = rows
    if found is None or (not makes and _touches(core, output)):
        return None
    kept = [task.parallel[loop] for loop in found if loop >= 0]
    return found if all(kept[: -1 if not makes else None]) else None


def _pays(core: Group, task: Task, rows: Rows, makes: bool) -> bool:
    """Whether rows are larger than all else that the product touches, and than what is reread."""
    wide = [a for a in task.accesses if a.written == makes and _touches(core, a.root)]
    others = [access for access in task.accesses if access not in wide]
    gain = sum(moved_bytes(task, access) for access in wide)
    row = gain // math.prod(core.row_sizes())
    return gain > sum(moved_bytes(task, access) for access in others) and _factor_bytes(
        core, task, rows
    ) <= max(FACTOR_BYTES, REREAD * row)


def _factor_bytes(core: Group, task: Task, rows: Rows) -> int:
    """Bytes of what all blocks of one batch have in common: the other factor, and sums."""
    along, total = rows[_blocked(core)], 0
    for access in task.accesses:
        assert access.strides is not None
        if not access.strides.get(along):
            inner = [loop for loop, step in access.strides.items() if step and loop not in rows]
            total += math.prod(task.sizes[loop] for loop in inner) * access.item
    return total


def _touches(core: Group, root: ir.Value) -> bool:
    return any(access.root == root for task in core.members for access in task.accesses)


def _matching(core: Group, member: Task, theirs: Access, task: Task, ours: Access) -> Rows | None:
    assert theirs.strides is not None and ours.strides is not None
    found: list[int] = []
    for size, loop in zip(core.row_sizes(), core.row_loops(member), strict=True):
        step = theirs.strides.get(loop, 0)
        if size == 1:
            found.append(-1)
            continue
        alike = [
            number
            for number, stride in ours.strides.items()
            if stride == step and task.sizes[number] == size and number not in found
        ]
        if not step or not alike:
            return None
        found.append(alike[0])
    return tuple(found)


def _fill_of(graph: Graph, task: Task) -> Task | None:
    """The task that fills what `task` writes right before it, if nothing else is needed of it."""
    output = task.accesses[-1]
    for position in sorted(graph.before[task.position], reverse=True):
        other = graph.tasks[position]
        if any(access.root == output.root for access in other.accesses):
            alone = len(graph.group_of[position].members) == 1
            same = other.accesses[0].offset == output.offset and len(other.accesses) == 1
            same = same and other.interval(other.accesses[0]) == task.interval(output)
            return other if is_fill(other.op) and alone and same else None
    return None


def _is_legal(blocks: Blocks, graph: Graph) -> bool:
    """Whether all of a block may run before all of the next one.

    Nothing may wait for what comes later in a block, and what one member hands on to another has to
    be in the rows of the block.
    """
    makers, core, users = (
        {task.position for task in tasks}
        for tasks in (blocks.makers, blocks.core.members, blocks.users)
    )
    for positions, later in ((makers, makers | core | users), (core, users), (users, users)):
        if any(graph.before[position] & later for position in positions):
            return False
    if not all(_apart(blocks, entries) for entries in _shared(blocks).values()):
        return False
    return not graph.in_cycle(blocks, blocks)


def _entries(blocks: Blocks) -> dict[ir.Value, list[tuple[Task, Access]]]:
    filling = {task.position for task in blocks.fills.values()}
    found: dict[ir.Value, list[tuple[Task, Access]]] = {}
    for task in blocks.members:
        if task.position not in filling:
            for access in task.accesses:
                found.setdefault(access.root, []).append((task, access))
    return found


def _shared(blocks: Blocks) -> dict[ir.Value, list[tuple[Task, Access]]]:
    """What several members touch, some of them a product, and at least one writes."""
    products = {task.position for task in (*blocks.makers, *blocks.users)}
    return {
        root: entries
        for root, entries in _entries(blocks).items()
        if len({task.position for task, _ in entries}) > 1
        and any(task.position in products for task, _ in entries)
        and any(access.written for _, access in entries)
    }


def _handed_on(blocks: Blocks) -> dict[ir.Value, list[tuple[Task, Access]]]:
    return _shared(blocks)


def _steps(blocks: Blocks, task: Task, access: Access) -> tuple[int, ...] | None:
    """How far each row loop moves `access`; 0 for loops of one iteration."""
    if access.strides is None:
        return None
    rows = blocks.row_loops(task)
    sizes = blocks.core.row_sizes()
    return tuple(
        access.strides.get(loop, 0) if size > 1 else 0
        for loop, size in zip(rows, sizes, strict=True)
    )


def _apart(blocks: Blocks, entries: Iterable[tuple[Task, Access]]) -> bool:
    """Whether different rows touch different bytes."""
    entries = list(entries)
    steps = {_steps(blocks, task, access) for task, access in entries}
    only = steps.pop()
    if steps or only is None:
        return False
    return are_apart(only, blocks.core.row_sizes(), cell(blocks, entries))
