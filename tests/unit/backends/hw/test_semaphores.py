"""Semaphores honour every dependence in every interleaving, and none is superfluous.

A machine with counting semaphores is monotone: withholding one completion never enables anything.
So whether a command can start before another is complete is decided by running everything else as
far as it goes while that completion is withheld.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hw_tasks import graphs, task
from hypothesis import given, settings

from ssft.compiler.backends.hw.scheduling.list_schedule import list_schedule
from ssft.compiler.backends.hw.scheduling.semaphores import plan_waits, synchronize
from ssft.compiler.backends.hw.scheduling.task import Task
from ssft.hwmodel.isa import Command, Queue, Wait

Graph = tuple[list[Task], list[list[int]]]
Streams = dict[Queue, list[Command]]
DMA = (Queue.DMA_IN, Queue.DMA_OUT)


def reached(command: Command, semaphores: Counter[int]) -> bool:
    return command.wait is None or semaphores[command.wait] >= command.wait_value


def run(streams: Streams, withheld: Command | None = None) -> set[int]:
    """The tags of all tasks that can start while command `withheld` does not become complete.

    Queues start and complete commands in order. DMA queues start a command without the one before
    being complete; the others do not.
    """
    started, completed = Counter[Queue](), Counter[Queue]()
    semaphores = Counter[int]()
    found: set[int] = set()
    progress = True
    while progress:
        progress = False
        for queue, stream in streams.items():
            if completed[queue] < started[queue] and stream[completed[queue]] is not withheld:
                post = stream[completed[queue]].post
                if post is not None:
                    semaphores[post] += 1
                completed[queue] += 1
                progress = True
            if started[queue] < len(stream):
                command = stream[started[queue]]
                free = queue in DMA or completed[queue] == started[queue]
                if free and (
                    command.wait is None or semaphores[command.wait] >= command.wait_value
                ):
                    started[queue] += 1
                    progress = True
                    if not isinstance(command, Wait):
                        found.add(command.tag)
    return found


def violated(streams: Streams, predecessors: list[list[int]]) -> set[tuple[int, int]]:
    """Dependences (before, after) that some interleaving breaks."""
    commands = {c.tag: c for s in streams.values() for c in s if not isinstance(c, Wait)}
    return {
        (before, after)
        for before in {number for found in predecessors for number in found}
        for after in run(streams, commands[before])
        if before in predecessors[after]
    }


def scheduled(graph: Graph) -> Streams:
    tasks, predecessors = graph
    return synchronize(tasks, list_schedule(tasks, predecessors).order, predecessors)


@settings(max_examples=300)
@given(graphs())
def test_every_dependence_is_honoured(graph: Graph) -> None:
    streams = scheduled(graph)
    assert violated(streams, graph[1]) == set()
    assert run(streams) == set(range(len(graph[0])))


@settings(max_examples=200)
@given(graphs())
def test_no_wait_is_superfluous(graph: Graph) -> None:
    streams = scheduled(graph)
    for queue, stream in streams.items():
        for position, command in enumerate(stream):
            if command.wait is not None:
                without = stream.copy()
                without[position] = replace(command, wait=None)
                assert violated(streams | {queue: without}, graph[1])


@given(graphs())
def test_posts_are_those_that_somebody_waits_for(graph: Graph) -> None:
    streams = scheduled(graph)
    awaited = {(c.wait, c.wait_value) for s in streams.values() for c in s if c.wait is not None}
    for queue, stream in streams.items():
        posting = [command for command in stream if command.post is not None]
        assert all(command.post == queue for command in posting)
        assert {(int(queue), i + 1) for i in range(len(posting))} == {
            pair for pair in awaited if pair[0] == queue
        }


@given(graphs())
def test_commands_are_all_there_in_order(graph: Graph) -> None:
    tasks, predecessors = graph
    order = list_schedule(tasks, predecessors).order
    streams = synchronize(tasks, order, predecessors)
    for queue in Queue:
        stream = streams[queue]
        assert [c.tag for c in stream if not isinstance(c, Wait)] == order[queue]
        for one, other in pairwise(stream):
            if isinstance(one, Wait):
                assert one.post is None
                assert one.tag == other.tag
        assert not (stream and isinstance(stream[-1], Wait))


def stream_of(tasks: list[Task], predecessors: list[list[int]]) -> Streams:
    order = {q: [i for i, t in enumerate(tasks) if t.queue == q] for q in Queue}
    return synchronize(tasks, order, predecessors)


def test_a_second_wait_is_a_command_of_its_own() -> None:
    tasks = [task(Queue.DMA_IN), task(Queue.VECTOR), task(Queue.TENSOR, tag=7)]
    wait, command = stream_of(tasks, [[], [], [0, 1]])[Queue.TENSOR]
    assert isinstance(wait, Wait)
    assert {(c.wait, c.wait_value, c.tag) for c in (wait, command)} == {
        (int(Queue.DMA_IN), 1, 7),
        (int(Queue.VECTOR), 1, 7),
    }


def test_a_path_through_another_queue_needs_no_wait() -> None:
    tasks = [task(Queue.DMA_IN), task(Queue.TENSOR), task(Queue.VECTOR)]
    (last,) = stream_of(tasks, [[], [0], [0, 1]])[Queue.VECTOR]
    assert (last.wait, last.wait_value) == (int(Queue.TENSOR), 1)


def test_compute_units_need_no_wait_for_themselves_and_dma_does() -> None:
    tasks = [task(Queue.TENSOR), task(Queue.TENSOR), task(Queue.DMA_IN), task(Queue.DMA_IN)]
    plan = plan_waits(tasks, {Queue.TENSOR: [0, 1], Queue.DMA_IN: [2, 3]}, [[], [0], [], [2]])
    assert plan.waits == [(), (), (), (2,)]
    assert plan.posts == [False, False, True, False]


def test_queues_that_wait_for_each_other_are_refused() -> None:
    tasks = [task(Queue.TENSOR), task(Queue.VECTOR), task(Queue.TENSOR), task(Queue.VECTOR)]
    order = {Queue.TENSOR: [0, 2], Queue.VECTOR: [3, 1]}
    with pytest.raises(ValueError, match="wait for each other"):
        plan_waits(tasks, order, [[], [0], [1], [2]])
