"""List scheduling: valid orders, bounds of their length, and small optima."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from random import Random

import pytest
from hw_tasks import graphs, task
from hypothesis import given
from hypothesis import strategies as st

from ssft.compiler.backends.hw.scheduling.list_schedule import critical_path, list_schedule
from ssft.compiler.backends.hw.scheduling.task import Task
from ssft.hwmodel.isa import Queue

Graph = tuple[list[Task], list[list[int]]]


def execute(order: dict[Queue, list[int]], predecessors: list[list[int]]) -> Iterator[int]:
    """The tasks in an order that in-order queues allow; stops early at a deadlock."""
    done: set[int] = set()
    waiting = {queue: list(numbers) for queue, numbers in order.items()}
    while ready := [q for q, w in waiting.items() if w and done >= set(predecessors[w[0]])]:
        number = waiting[ready[0]].pop(0)
        done.add(number)
        yield number


@given(graphs(), st.integers(0, 5))
def test_orders_are_complete_and_cannot_deadlock(graph: Graph, latency: int) -> None:
    tasks, predecessors = graph
    order = list_schedule(tasks, predecessors, latency).order
    assert set(order) == set(Queue)
    assert all(tasks[number].queue == queue for queue in Queue for number in order[queue])
    assert sorted(execute(order, predecessors)) == list(range(len(tasks)))


@given(graphs(), st.integers(0, 5))
def test_makespan_is_between_its_bounds(graph: Graph, latency: int) -> None:
    tasks, predecessors = graph
    makespan = list_schedule(tasks, predecessors, latency).makespan
    work = {queue: sum(t.duration for t in tasks if t.queue == queue) for queue in Queue}
    work[Queue.DMA_IN] += work.pop(Queue.DMA_OUT)  # they share one DRAM
    path = max(critical_path(tasks, predecessors, latency), default=0)
    assert makespan >= max(path, *work.values()) - 1e-6
    # Something is always working, or a latency passes on the way to what comes next.
    assert makespan <= sum(work.values()) + latency * len(tasks) + 1e-6


def test_dma_queues_share_bandwidth() -> None:
    tasks = [task(Queue.DMA_IN, 100), task(Queue.DMA_OUT, 60), task(Queue.TENSOR, 10)]
    assert list_schedule(tasks, [[], [], []]).makespan == 160
    assert list_schedule(tasks, [[], [], [1]]).makespan == 160
    # Until 120 both transfers are half as fast; the store has its bytes out by then.
    assert list_schedule([*tasks[:2], task(Queue.TENSOR, 90)], [[], [], [1]]).makespan == 210


def test_latency_delays_others_but_not_the_queue() -> None:
    tasks = [task(Queue.DMA_IN, 10), task(Queue.DMA_IN, 10)]
    tasks += [task(Queue.TENSOR, 6), task(Queue.TENSOR, 5)]
    assert list_schedule(tasks, [[], [], [0], [1]], latency=7).makespan == 10 + 10 + 7 + 5


def test_weight_loads_run_ahead_of_an_activation_that_is_not_there_yet() -> None:
    """In program order: kernel 0 makes the activation that kernel 1 loads, then weights come."""
    tasks = [
        task(Queue.DMA_IN, 10),  # 0: input of kernel 0
        task(Queue.TENSOR, 100),  # 1
        task(Queue.DMA_OUT, 10),  # 2: its result
        task(Queue.DMA_IN, 10),  # 3: the same, loaded by kernel 1
        task(Queue.DMA_IN, 50),  # 4: weights of kernel 1
        task(Queue.TENSOR, 100),  # 5
    ]
    found = list_schedule(tasks, [[], [0], [1], [2], [], [3, 4]])
    assert found.order[Queue.DMA_IN] == [0, 4, 3]
    assert found.makespan == 10 + 100 + 10 + 10 + 100


def test_the_longer_path_goes_first() -> None:
    tasks = [task(Queue.DMA_IN, 5), task(Queue.DMA_IN, 5), task(Queue.TENSOR, 50)]
    assert list_schedule(tasks, [[], [], [1]]).order[Queue.DMA_IN] == [1, 0]


def test_program_order_breaks_ties() -> None:
    tasks = [task(Queue.VECTOR, 5) for _ in range(4)]
    assert list_schedule(tasks, [[] for _ in tasks]).order[Queue.VECTOR] == [0, 1, 2, 3]


def length(tasks: Sequence[Task], orders: Sequence[Sequence[int]], before: list[list[int]]) -> int:
    """When all are done with these orders; a number too large where they deadlock."""
    end: dict[int, int] = {}
    free = dict.fromkeys(range(len(orders)), 0)
    heads = [list(order) for order in orders]
    while any(heads):
        for unit, head in enumerate(heads):
            if head and all(number in end for number in before[head[0]]):
                number = head.pop(0)
                start = max([free[unit], *(end[i] for i in before[number])])
                free[unit] = end[number] = start + tasks[number].duration
                break
        else:
            return 1 << 30
    return max(end.values())


@pytest.mark.parametrize("seed", range(12))
def test_small_tile_pipelines_are_close_to_optimal(seed: int) -> None:
    """Three tiles: two loads, a product, a vector kernel each; all orders are tried."""
    random = Random(seed)
    tasks: list[Task] = []
    before: list[list[int]] = []
    for tile in range(3):
        first = len(tasks)
        tasks += [
            task(Queue.DMA_IN, random.randint(1, 9)),
            task(Queue.TENSOR, random.randint(1, 20)),
            task(Queue.VECTOR, random.randint(1, 20)),
        ]
        before += [[], [first], [first + 1]]
        if tile:
            # The next tile's load takes the place of the last but one's operand.
            before[first + 1] = sorted({first, *random.sample([first - 2, first - 1], 1)})
    queues = (Queue.DMA_IN, Queue.TENSOR, Queue.VECTOR)
    numbers = [[i for i, t in enumerate(tasks) if t.queue == queue] for queue in queues]
    orders = product(*(permutations(found) for found in numbers))
    optimum = min(length(tasks, order, before) for order in orders)
    found = list_schedule(tasks, before)
    assert length(tasks, [found.order[queue] for queue in queues], before) == found.makespan
    assert optimum <= found.makespan <= 1.2 * optimum


def test_circles_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        list_schedule([task(Queue.VECTOR), task(Queue.VECTOR)], [[1], [0]])
