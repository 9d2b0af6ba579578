"""Hand-made programs whose times can be worked out on paper."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ssft.hwmodel import isa
from ssft.hwmodel.config import Machine, load_machine
from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Command, Phase, Program, Queue, SourceOp
from ssft.hwmodel.timing.events import Simulation, simulate

ISSUE, LATENCY = 10, 70


@pytest.fixture(scope="module")
def machine() -> Machine:
    settings = [f"command.issue_cycles={ISSUE}", "clock.frequency=1GHz", "dram.latency=7e-8"]
    return load_machine("ssft-server", settings)


def given(
    program: Program, machine: Machine, shapes: list[Command], phases: Sequence[Phase]
) -> list[int]:
    """Durations that the commands carry in a field of their own."""
    return [
        c.rows if isinstance(c, isa.Load2D | isa.Store2D)
        else c.shape if isinstance(c, isa.Gemm)
        else c.program if isinstance(c, isa.Vector)
        else 0
        for c in shapes
    ]  # fmt: skip


def load(cycles: int, **head: int) -> Command:
    return isa.Load2D(dram=0, spm=0, rows=cycles, row_bytes=1, pitch=1, **head)


def store(cycles: int, **head: int) -> Command:
    return isa.Store2D(dram=0, spm=0, rows=cycles, row_bytes=1, pitch=1, **head)


def gemm(cycles: int, **head: int) -> Command:
    return isa.Gemm(a=0, b=0, c=0, shape=cycles, **head)


def vector(cycles: int, **head: int) -> Command:
    return isa.Vector(program=cycles, arguments=0, **head)


def run(machine: Machine, **queues: Sequence[Command]) -> Simulation:
    program = Program("any", "bf16", operations=[SourceOp("step", "test", "forward")])
    for name, commands in queues.items():
        program.queues[Queue[name.upper()]] = list(commands)
    return simulate(program, machine, durations=given)


def test_nothing_takes_no_time(machine: Machine):
    assert run(machine).cycles == 0


def test_a_load_is_complete_after_issue_transfer_and_latency(machine: Machine):
    s = run(machine, dma_in=[load(100)])
    assert (s.issue[0], s.start[0], s.leave[0], s.complete[0]) == (0, 10, 110, 180)
    assert s.cycles == 180


def test_latency_overlaps_with_the_next_transfer(machine: Machine):
    s = run(machine, dma_in=[load(100), load(50)])
    assert s.issue.tolist() == [0, 110]
    assert s.leave.tolist() == [110, 170]
    assert s.cycles == 240


def test_a_command_waits_for_its_semaphore_and_knows_who_posted(machine: Machine):
    s = run(machine, dma_in=[load(100, post=0)], tensor=[gemm(40, wait=0, wait_value=1)])
    assert s.start[s.of(Queue.TENSOR)].tolist() == [180]
    assert s.producer.tolist() == [-1, 0]
    assert s.cycles == 220


def test_decoding_overlaps_with_waiting(machine: Machine):
    s = run(machine, vector=[vector(4, post=3)], tensor=[gemm(40, wait=3, wait_value=1)])
    # The post comes at cycle 14, four cycles after the tensor unit has decoded its command.
    assert s.start[s.of(Queue.TENSOR)].tolist() == [14]
    s = run(machine, vector=[isa.Mark(post=3)], tensor=[gemm(40, wait=3, wait_value=1)])
    assert s.start[s.of(Queue.TENSOR)].tolist() == [10]
    assert s.producer.tolist() == [-1, -1]


def test_a_semaphore_counts(machine: Machine):
    s = run(
        machine,
        vector=[vector(100, post=5), vector(100, post=5), vector(100, post=5)],
        tensor=[gemm(1, wait=5, wait_value=2)],
    )
    assert s.start[s.of(Queue.TENSOR)].tolist() == [220]
    assert s.reached[5] == [(1, 1), (2, 2), (3, 3)]


def test_equal_transfers_in_both_directions_take_twice_as_long(machine: Machine):
    s = run(machine, dma_in=[load(100)], dma_out=[store(100)])
    assert s.leave.tolist() == [210, 210]


def test_a_transfer_alone_speeds_up_again(machine: Machine):
    # 10: both start. 70: the store's 30 cycles are done at half speed; 70 of the load remain.
    s = run(machine, dma_in=[load(100)], dma_out=[store(30)])
    assert s.leave.tolist() == [140, 70]


def test_sharing_starts_in_the_middle_of_a_transfer(machine: Machine):
    # 10: the load starts. 60: the store does, with 50 of the load left. 160: the load is done.
    s = run(
        machine,
        vector=[vector(50, post=3)],
        dma_in=[load(100)],
        dma_out=[store(80, wait=3, wait_value=1)],
    )
    assert s.leave[s.of(Queue.DMA_IN)].tolist() == [160]
    assert s.leave[s.of(Queue.DMA_OUT)].tolist() == [190]


def test_sharing_leaves_no_half_cycles(machine: Machine):
    s = run(
        machine,
        vector=[vector(5, post=3)],
        dma_in=[load(16)],
        dma_out=[store(7, wait=3, wait_value=1)],
    )
    # Shared from 15 on: the store needs 14 cycles and leaves at 29, when the load has done 5 + 7.
    assert s.leave[s.of(Queue.DMA_OUT)].tolist() == [29]
    assert s.leave[s.of(Queue.DMA_IN)].tolist() == [33]


def test_a_fence_holds_its_queue_until_all_is_complete(machine: Machine):
    s = run(machine, dma_in=[load(100), isa.Fence(), load(5)])
    assert s.leave.tolist() == [110, 180, 195]
    assert s.work.tolist() == [100, 0, 5]


def test_a_post_waits_for_outstanding_transfers_and_does_not_hold_the_queue(machine: Machine):
    s = run(
        machine,
        dma_in=[load(100), isa.Post(semaphore=6, amount=2), load(5)],
        tensor=[gemm(1, wait=6, wait_value=2)],
    )
    assert s.leave[s.of(Queue.DMA_IN)].tolist() == [110, 120, 135]
    assert s.complete[s.of(Queue.DMA_IN)].tolist() == [180, 180, 205]
    assert s.start[s.of(Queue.TENSOR)].tolist() == [180]


def test_a_queue_completes_in_order(machine: Machine):
    # Otherwise "two posts of this queue" would not mean its first two commands.
    s = run(
        machine,
        dma_in=[load(100, post=0), isa.Mark(post=0)],
        tensor=[gemm(1, wait=0, wait_value=1), gemm(1, wait=0, wait_value=2)],
    )
    assert s.complete[s.of(Queue.DMA_IN)].tolist() == [180, 180]


def test_deadlock_names_the_blocked_commands(machine: Machine):
    with pytest.raises(MachineError) as raised:
        run(
            machine,
            tensor=[gemm(5), gemm(5, wait=3, wait_value=1, post=2)],
            vector=[vector(5, wait=2, wait_value=1, post=3)],
            dma_in=[load(5)],
        )
    assert raised.value.message == "deadlock: tensor, vector wait for posts that never come"
    assert raised.value.notes == (
        "tensor stands at command 1, gemm of step, which waits for semaphore 3 to reach 1;"
        " it is at 0",
        "vector stands at command 0, vec of step, which waits for semaphore 2 to reach 1;"
        " it is at 0",
    )


def test_a_semaphore_that_the_machine_lacks_is_refused(machine: Machine):
    with pytest.raises(MachineError, match="command 1 of vector names semaphore 99"):
        run(machine, vector=[vector(1), isa.Post(semaphore=99, amount=1)])


def test_a_descriptor_that_the_program_lacks_is_refused(machine: Machine):
    program = Program("any", "bf16")
    program.queues[Queue.TENSOR] = [gemm(3)]
    with pytest.raises(MachineError, match="gemm names descriptor 3, and the program has 0"):
        simulate(program, machine)


def test_a_faster_unit_can_make_a_program_slower(machine: Machine):
    """Why `sharing` has bounds: the store is not urgent, and takes bandwidth from what is."""

    def cycles(vector_cycles: int) -> int:
        return run(
            machine,
            vector=[vector(vector_cycles, post=3)],
            dma_out=[store(100, wait=3, wait_value=1)],
            dma_in=[load(100, post=0)],
            tensor=[gemm(1000, wait=0, wait_value=1)],
        ).cycles

    assert cycles(0) == 1280
    assert cycles(100) == 1180
