"""Dependences order exactly the tasks that share memory."""

from __future__ import annotations

import pytest
from hw_tasks import closure, conflicts, intervals, programs, task, tiles
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.compiler.backends.hw.scheduling.dependences import dependences
from ssft.compiler.backends.hw.scheduling.interval_map import Accesses, IntervalMap
from ssft.compiler.backends.hw.scheduling.task import Task, interval, strided
from ssft.hwmodel.isa import Queue


def as_lists(pairs: set[tuple[int, int]], count: int) -> list[list[int]]:
    return [[i for i in range(j) if (i, j) in pairs] for j in range(count)]


@settings(max_examples=300)
@given(programs(intervals() | tiles()))
def test_tasks_are_ordered_as_their_bytes_require(tasks: list[Task]) -> None:
    """In one buffer of one pitch there is a path where bytes ask for one, and nowhere else."""
    found = dependences(tasks)
    assert closure(found) == closure(as_lists(conflicts(tasks), len(tasks)))


@settings(max_examples=300)
@given(programs(tiles(pitches=(8, 5, 12), buffers=3) | intervals()))
def test_memory_of_several_buffers_is_ordered(tasks: list[Task]) -> None:
    """Buffers at the same addresses, in any interleaving: more order is allowed, less is not."""
    assert closure(dependences(tasks)) >= conflicts(tasks)


def test_memory_that_goes_to_another_buffer_and_back() -> None:
    first = [strided("dram", 0, 2, 1, 5, buffer=1), strided("dram", 1, 2, 1, 8, buffer=0)]
    second, third = interval("dram", 0, 2, buffer=0), interval("dram", 1, 5, buffer=1)
    tasks = [task(Queue.DMA_OUT, writes=found) for found in (first, [second], [third])]
    assert dependences(tasks) == [[], [0], [1]]


def test_taking_memory_over_looks_at_each_access_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two matrices of one memory, in column tiles: what one did is not noted in each of them."""
    touched: list[int] = []
    touch = IntervalMap.touch

    def counted(self: IntervalMap, low: int, high: int, past: Accesses) -> None:
        touched.append(1)
        touch(self, low, high, past)

    monkeypatch.setattr(IntervalMap, "touch", counted)
    width = 64
    columns = [
        [strided("dram", c, 8, 1, width, buffer=buffer) for c in range(width)] for buffer in (0, 1)
    ]
    tasks = [task(Queue.DMA_OUT, writes=[region]) for found in columns for region in found]
    found = dependences(tasks)
    assert closure(found) >= {(c, width + c) for c in range(width)}
    assert 0 < len(touched) <= 2 * width


@given(programs(st.sampled_from([strided("dram", 0, 3, 4, 8), strided("dram", 2, 4, 3, 5)])))
def test_two_pitches_in_a_buffer_are_ordered(tasks: list[Task]) -> None:
    assert closure(dependences(tasks)) >= conflicts(tasks)


@given(programs(intervals() | tiles(buffers=2)))
def test_predecessors_are_earlier_sorted_and_not_implied_by_another(tasks: list[Task]) -> None:
    found = dependences(tasks)
    for number, before in enumerate(found):
        assert before == sorted(set(before))
        assert all(0 <= other < number for other in before)
        for other in before:
            assert not set(found[other]) & set(before)


def test_a_chain_has_one_edge_a_link() -> None:
    whole = interval("spm", 0, 64)
    tasks = [task(Queue.VECTOR, reads=[whole], writes=[whole]) for _ in range(4)]
    assert dependences(tasks) == [[], [0], [1], [2]]


def test_readers_do_not_wait_for_each_other() -> None:
    whole = interval("spm", 0, 64)
    tasks = [task(Queue.DMA_IN, writes=[whole])]
    tasks += [task(Queue.TENSOR, reads=[whole]) for _ in range(3)]
    tasks += [task(Queue.DMA_IN, writes=[whole])]
    assert dependences(tasks) == [[], [0], [0], [0], [1, 2, 3]]


def test_tiles_of_a_matrix_are_independent() -> None:
    """Each tile's load waits for its own tile's store, and for no other."""
    size, pitch = 16, 64
    places = [(i, j) for i in range(4) for j in range(4)]
    regions = [strided("dram", i * size * pitch + j * size, size, size, pitch) for i, j in places]
    tasks = [task(Queue.DMA_OUT, writes=[region]) for region in regions]
    tasks += [task(Queue.DMA_IN, reads=[region]) for region in reversed(regions)]
    assert dependences(tasks)[16:] == [[number] for number in range(15, -1, -1)]


def test_row_blocks_meet_column_blocks() -> None:
    """A matrix that is stored by rows and loaded by columns: each load waits for all stores."""
    rows = [interval("dram", i * 256, 256) for i in range(4)]
    columns = [strided("dram", j * 16, 16, 16, 64) for j in range(4)]
    tasks = [task(Queue.DMA_OUT, writes=[region]) for region in rows]
    tasks += [task(Queue.DMA_IN, reads=[region]) for region in columns]
    assert dependences(tasks)[4:] == [[0, 1, 2, 3]] * 4


def test_the_number_of_edges_follows_the_tiles() -> None:
    """Reused scratchpad and reused DRAM with another pitch do not make edges grow with time."""
    tasks: list[Task] = []
    for kernel in range(40):
        pitch = 64 if kernel % 2 else 96
        for tile in range(8):
            slot = interval("spm", tile % 2 * 256, 256)
            source = strided("dram", tile * 16, 16, 16, pitch, kernel)
            target = strided("dram", 4096 + tile * 16, 16, 16, pitch, 1000 + kernel)
            tasks.append(task(Queue.DMA_IN, reads=[source], writes=[slot]))
            tasks.append(task(Queue.DMA_OUT, reads=[slot], writes=[target]))
    found = dependences(tasks)
    per_kernel = [sum(map(len, found[i * 16 : i * 16 + 16])) for i in range(40)]
    assert max(per_kernel[20:]) <= max(per_kernel[:20]) <= 16 * 10
