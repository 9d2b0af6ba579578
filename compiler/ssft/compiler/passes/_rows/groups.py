"""Which loop nests of a block can run row by row together.

A *row* is one iteration of loops that several nests have in common. Nests may share them if, in
each buffer that one of them writes and another one touches, every row has bytes of its own: then a
row needs nothing from any other row, and what it hands on is still in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field

from ssft.compiler.analysis.step import owner
from ssft.compiler.passes._rows.nests import VIEWS, Access, Task, is_static_view
from ssft.dialects._mlir import ir

WINDOW = 48
"""Nests that are further apart than this many tasks are not joined: values would live longer."""

NEAR = 8
"""The same for nests that only read the same buffers."""

LINE = 32
"""Elements; a nest whose rows are shorter than this is all overhead."""

CACHE_LINE = 64
"""Bytes."""

ROW_BYTES = 1 << 20
"""What one row may touch: it has to remain in a second-level cache."""

SHORT_ROW_BYTES = 64 << 10
"""What one row may touch if there are few of them, or if there were more before joining."""

FEW_ROWS = 64

LITTLE = 4
"""How many times less a nest has to hand on than it works on, so that it is worth no sacrifice."""

Match = tuple[int, ...]
"""For each row loop of a group the loop of one nest."""


@dataclass(eq=False)
class Group:
    """Tasks that run one after another, row by row if there are several.

    `loops` gives for each member the loops that it has in common with all others, in the same
    order for all of them, and `rows` how many of these, from the first on, are row loops.
    """

    members: list[Task]
    loops: dict[int, Match]
    rows: int = 0

    @property
    def first(self) -> int:
        """The position of the first member."""
        return self.members[0].position

    @property
    def last(self) -> int:
        """The position of the last member."""
        return self.members[-1].position

    def row_loops(self, task: Task) -> Match:
        """The loops of `task` that are row loops, outermost first."""
        return self.loops[task.position][: self.rows]

    def row_sizes(self) -> list[int]:
        """Trip counts of the row loops."""
        head = self.members[0]
        return [head.sizes[loop] for loop in self.row_loops(head)]

    def shared(self) -> dict[ir.Value, list[tuple[Task, Access]]]:
        """The buffers that several members touch and at least one writes, with all accesses."""
        found = _by_root(self.members)
        return {
            root: entries
            for root, entries in found.items()
            if len({task.position for task, _ in entries}) > 1
            and any(access.written for _, access in entries)
        }


def join(a: Group, b: Group) -> Group | None:
    """The two groups as one, or None if their nests have no rows in common that are worth it."""
    if not all(task.nest for task in (*a.members, *b.members)):
        return None
    if not _hand_on(a, b) and _distance(a, b) > NEAR:
        return None
    pairs = _match(a, b)
    if not pairs:
        return None
    loops = {position: tuple(found[i] for i, _ in pairs) for position, found in a.loops.items()}
    loops |= {position: tuple(found[j] for _, j in pairs) for position, found in b.loops.items()}
    members = sorted((*a.members, *b.members), key=lambda task: task.position)
    group = Group(members, loops)
    _order_loops(group)
    for rows in range(len(pairs), 0, -1):
        group.rows = rows
        if _longest_row(group) >= LINE and _rows_are_lines(group) and _rows_are_apart(group):
            if _scattered(group) and _hands_on_little(a, b):
                return None
            return group if _worthwhile(group, a, b) else None
    return None


def _by_root(tasks: Iterable[Task]) -> dict[ir.Value, list[tuple[Task, Access]]]:
    found: dict[ir.Value, list[tuple[Task, Access]]] = {}
    for task in tasks:
        for access in task.accesses:
            found.setdefault(access.root, []).append((task, access))
    return found


def _hand_on(a: Group, b: Group) -> bool:
    """Whether one of the groups touches what the other one writes."""
    return any(
        {access.root for task in x.members for access in task.accesses if access.written}
        & {access.root for task in y.members for access in task.accesses}
        for x, y in ((a, b), (b, a))
    )


def _distance(a: Group, b: Group) -> int:
    """How many tasks lie between the first members of the two groups."""
    return abs(a.first - b.first)


def _match(a: Group, b: Group) -> list[tuple[int, int]]:
    """Pairs of common loops of `a` and of `b` that move alike through all that both touch."""
    ours, theirs = _by_root(a.members), _by_root(b.members)
    common = [root for root in ours if root in theirs]
    written = [r for r in common if any(access.written for _, access in ours[r] + theirs[r])]
    roots = written or common
    pairs, taken = [], set[int]()
    for i in range(len(a.loops[a.first])):
        steps = _steps(a, ours, roots, i)
        if steps is None or not any(steps):
            continue
        for j in range(len(b.loops[b.first])):
            if j in taken or _size(a, i) != _size(b, j):
                continue
            if _steps(b, theirs, roots, j) == steps:
                pairs.append((i, j))
                taken.add(j)
                break
    return pairs


def _size(group: Group, number: int) -> int:
    head = group.members[0]
    return head.sizes[group.loops[head.position][number]]


def _steps(
    group: Group,
    accesses: dict[ir.Value, list[tuple[Task, Access]]],
    roots: Sequence[ir.Value],
    number: int,
) -> list[int] | None:
    """How far common loop `number` moves through each root; None if not always as far."""
    found = []
    for root in roots:
        steps = {
            access.strides.get(group.loops[task.position][number], 0)
            for task, access in accesses[root]
            if access.strides is not None
        }
        if len(steps) > 1:
            return None
        found.append(steps.pop() if steps else 0)
    return found


def _order_loops(group: Group) -> None:
    """Puts the common loops in the order in which most of the memory is walked through."""
    count = len(group.loops[group.first])
    distance = [0] * count
    for task in group.members:
        for access in task.accesses:
            for number, loop in enumerate(group.loops[task.position]):
                distance[number] += (access.strides or {}).get(loop, 0)
    order = sorted(range(count), key=lambda number: -distance[number])
    for position, loops in group.loops.items():
        group.loops[position] = tuple(loops[number] for number in order)


def _longest_row(group: Group) -> int:
    return max(
        math.prod(task.sizes) // math.prod(task.sizes[loop] for loop in group.row_loops(task))
        for task in group.members
    )


def _rows_are_lines(group: Group) -> bool:
    """Whether rows of arrays lie in cache lines of their own, which no other row needs as well."""
    for task in group.members:
        rows = group.row_loops(task)
        for access in task.accesses:
            strides = access.strides or {}
            steps = [strides[loop] for loop in rows if strides.get(loop)]
            along = any(
                strides[loop] and task.sizes[loop] > 1 for loop in strides if loop not in rows
            )
            if along and steps and min(steps) < CACHE_LINE:
                return False
    return True


def _rows_are_apart(group: Group) -> bool:
    """Whether different rows touch different bytes of every buffer that hands something on."""
    for entries in group.shared().values():
        if any(access.strides is None for _, access in entries):
            return False
        steps = {_row_steps(group, task, access) for task, access in entries}
        if len(steps) != 1:
            return False
        if not are_apart(steps.pop(), group.row_sizes(), cell(group, entries)):
            return False
    return True


def are_apart(steps: Sequence[int], sizes: Sequence[int], row: tuple[int, int]) -> bool:
    """Whether rows that are `steps` bytes apart do not overlap; `row` is the first one's extent."""
    reach = row[1] - row[0]
    for step, size in sorted(zip(steps, sizes, strict=True)):
        if step < reach and size > 1:
            return False
        reach = max(reach, step * size)
    return True


def _row_steps(group: Group, task: Task, access: Access) -> tuple[int, ...]:
    return tuple((access.strides or {}).get(loop, 0) for loop in group.row_loops(task))


def cell(group: Group, entries: Iterable[tuple[Task, Access]]) -> tuple[int, int]:
    """First byte, and the one past the last, that the first row of `group` touches."""
    lows, highs = [], []
    for task, access in entries:
        rows = group.row_loops(task)
        assert access.strides is not None
        inner = [loop for loop in access.strides if loop not in rows]
        reach = sum((task.sizes[loop] - 1) * access.strides[loop] for loop in inner)
        lows.append(access.offset)
        highs.append(access.offset + reach + access.item)
    return min(lows), max(highs)


def _worthwhile(group: Group, a: Group, b: Group) -> bool:
    """Whether rows are short enough to remain in the cache, and enough for several threads."""
    rows = math.prod(group.row_sizes())
    before = [math.prod(g.row_sizes()) for g in (a, b) if g.rows]
    short = rows < max([FEW_ROWS, *before])
    return rows > 1 and _row_bytes(group) <= (SHORT_ROW_BYTES if short else ROW_BYTES)


def _scattered(group: Group) -> bool:
    """Whether a row of what a member writes is in several places, with other rows between them."""
    for task in group.members:
        rows = group.row_loops(task)
        for access in task.accesses:
            steps = access.strides or {}
            nearest = min((steps[loop] for loop in rows if steps.get(loop)), default=math.inf)
            others = [loop for loop in steps if loop not in rows and task.sizes[loop] > 1]
            if access.written and any(steps[loop] > nearest for loop in others):
                return True
    return False


def _hands_on_little(a: Group, b: Group) -> bool:
    """Whether what one group hands on to the other is little beside what they work on.

    All heads of an attention layer would share rows with the mask that they all read.
    """
    sizes = {
        root: [(task, access) for task, access in entries if access.strides is not None]
        for root, entries in _by_root((*a.members, *b.members)).items()
    }
    extents = {root: max(moved_bytes(*entry) for entry in e) for root, e in sizes.items() if e}
    written = [{r for t in g.members for r in _written(t)} for g in (a, b)]
    touched = [{access.root for t in g.members for access in t.accesses} for g in (a, b)]
    handed = (written[0] & touched[1]) | (written[1] & touched[0])
    most = max(extents.values(), default=0)
    return max((extents.get(root, 0) for root in handed), default=0) * LITTLE < most


def _written(task: Task) -> Iterator[ir.Value]:
    return (access.root for access in task.accesses if access.written)


def moved_bytes(task: Task, access: Access) -> int:
    """What all iterations of `task` touch through `access`, in bytes."""
    moving = [loop for loop, step in (access.strides or {}).items() if step]
    return math.prod(task.sizes[loop] for loop in moving) * access.item


def _row_bytes(group: Group) -> int:
    total = 0
    for entries in _by_root(group.members).values():
        moving = [e for e in entries if e[1].strides is not None and any(_row_steps(group, *e))]
        if moving:
            low, high = cell(group, moving)
            total += high - low
    return total


@dataclass
class Graph:
    """Groups, and which tasks each task has to wait for."""

    tasks: Sequence[Task]
    before: list[set[int]]
    group_of: dict[int, Group] = field(default_factory=dict)

    def in_cycle(self, a: Group, b: Group) -> bool:
        """Whether something outside has to run after one of the two groups and before the other."""
        inside = {task.position for task in (*a.members, *b.members)}
        start = min(inside)
        open_ = [p for position in inside for p in self.before[position] if p not in inside]
        seen: set[int] = set()
        while open_:
            position = open_.pop()
            if position in inside:
                return True
            group = self.group_of[position]
            if group.first in seen or group.last < start:
                continue
            seen.add(group.first)
            open_ += [p for task in group.members for p in self.before[task.position]]
        return False


def dependences(tasks: Sequence[Task]) -> list[set[int]]:
    """For each task the earlier ones that have to run before it."""
    before: list[set[int]] = []
    history: dict[ir.Value, list[tuple[float, float, bool, int]]] = {}
    for task in tasks:
        found = set(task.needs)
        for access in task.accesses:
            low, high = task.interval(access)
            for other_low, other_high, written, position in history.get(access.root, ()):
                if (written or access.written) and low < other_high and other_low < high:
                    found.add(position)
        for access in task.accesses:
            entry = (*task.interval(access), access.written, task.position)
            history.setdefault(access.root, []).append(entry)
        before.append(found - {task.position})
    return before


def form_groups(tasks: Sequence[Task]) -> Graph:
    """All tasks in groups: greedily, nearest partners first."""
    graph = Graph(tasks, dependences(tasks))
    users: dict[ir.Value, list[int]] = {}
    for task in tasks:
        loops = tuple(loop for loop, parallel in enumerate(task.parallel) if parallel)
        group = Group([task], {task.position: loops})
        graph.group_of[task.position] = group
        touched = {access.root for access in task.accesses if access.strides}
        if task.nest:
            near = {p for root in touched for p in users.get(root, ())}
            near = {p for p in near if p >= task.position - WINDOW}
            for position in sorted(near, reverse=True):
                _try_to_join(graph, task.position, position)
            for root in touched:
                users.setdefault(root, []).append(task.position)
    return graph


def _try_to_join(graph: Graph, a: int, b: int) -> None:
    first, second = graph.group_of[a], graph.group_of[b]
    if first is second:
        return
    joined = join(first, second)
    if joined is not None and not graph.in_cycle(first, second):
        for task in joined.members:
            graph.group_of[task.position] = joined


def in_order(graph: Graph) -> list[Group]:
    """The groups in an order in which they can run.

    Each is as early as its first member may run and all that it needs has run.
    """
    ordered: list[Group] = []
    done: set[int] = set()

    def visit(group: Group) -> None:
        if group.first in done:
            return
        done.add(group.first)
        waits = {p for task in group.members for p in graph.before[task.position]}
        needed = {graph.group_of[p].first for p in waits} - {group.first}
        for position in sorted(needed):
            visit(graph.group_of[position])
        ordered.append(group)

    for task in graph.tasks:
        visit(graph.group_of[task.position])
    return ordered


def used_only_by(root: ir.Value, members: Set[ir.Operation]) -> bool:
    """Whether `root` is an allocation that no operation but `members` uses."""
    producer = owner(root)
    if producer is None or producer.name != "memref.alloc":
        return False
    open_ = [root]
    while open_:
        for use in open_.pop().uses:
            user = use.owner.operation
            if user.name in VIEWS and is_static_view(user):
                open_.append(user.results[0])
            elif user not in members:
                return False
    return True
