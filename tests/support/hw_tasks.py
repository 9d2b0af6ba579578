"""Random tasks of the accelerator's backend, and what they do to memory byte by byte."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from ssft.compiler.backends.hw.scheduling.task import Region, Task, interval, strided
from ssft.hwmodel.isa import Mark, Queue

QUEUES = st.sampled_from(list(Queue))


def region_bytes(region: Region) -> set[tuple[str, int]]:
    """Every byte of a region, with its address space."""
    width = region.high - region.low if region.rows == 1 else region.row_bytes
    starts = [region.low + row * region.pitch for row in range(region.rows)]
    return {(region.space, start + i) for start in starts for i in range(width)}


def conflicts(tasks: Sequence[Task]) -> set[tuple[int, int]]:
    """Pairs (earlier, later) that share a byte which one of them writes."""
    reads = [set().union(*map(region_bytes, task.reads)) for task in tasks]
    writes = [set().union(*map(region_bytes, task.writes)) for task in tasks]
    return {
        (i, j)
        for j in range(len(tasks))
        for i in range(j)
        if writes[i] & (reads[j] | writes[j]) or reads[i] & writes[j]
    }


def closure(predecessors: Sequence[Sequence[int]]) -> set[tuple[int, int]]:
    """Pairs (earlier, later) with a path between them."""
    before: list[set[int]] = []
    for found in predecessors:
        before.append(set(found).union(*(before[i] for i in found)))
    return {(i, j) for j, found in enumerate(before) for i in found}


def task(
    queue: Queue,
    duration: int = 1,
    reads: Sequence[Region] = (),
    writes: Sequence[Region] = (),
    tag: int = 0,
) -> Task:
    """A task whose command does nothing."""
    return Task(Mark(tag=tag), queue, duration, list(reads), list(writes))


@st.composite
def intervals(draw: st.DrawFn) -> Region:
    """A few bytes, possibly none, of either space."""
    return interval(draw(st.sampled_from(("spm", "dram"))), draw(st.integers(0, 30)),
                    draw(st.integers(0, 12)))  # fmt: skip


@st.composite
def tiles(draw: st.DrawFn, pitches: Sequence[int] = (8,), buffers: int = 1) -> Region:
    """A strided region of DRAM; a buffer always has the same pitch."""
    buffer = draw(st.integers(0, buffers - 1))
    pitch = pitches[buffer % len(pitches)]
    return strided("dram", draw(st.integers(0, 40)), draw(st.integers(1, 4)),
                   draw(st.integers(1, pitch)), pitch, buffer)  # fmt: skip


@st.composite
def programs(draw: st.DrawFn, regions: st.SearchStrategy[Region], most: int = 12) -> list[Task]:
    """Tasks with up to two regions read and one or two written."""
    some = st.lists(regions, max_size=2)
    return [
        task(draw(QUEUES), draw(st.integers(0, 9)), draw(some), draw(some), tag=number)
        for number in range(draw(st.integers(0, most)))
    ]


@st.composite
def graphs(draw: st.DrawFn, most: int = 12) -> tuple[list[Task], list[list[int]]]:
    """Tasks without regions, and predecessors of each."""
    count = draw(st.integers(0, most))
    tasks = [task(draw(QUEUES), draw(st.integers(0, 9)), tag=number) for number in range(count)]
    edges = [
        sorted(draw(st.sets(st.integers(0, number - 1), max_size=4))) if number else []
        for number in range(count)
    ]
    return tasks, edges
