"""What must hold for every program on every machine."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hw_random_programs import random_program
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.isa import Program, Queue
from ssft.hwmodel.timing.counters import FIELDS, Counters
from ssft.hwmodel.timing.critical_path import critical_path, slack
from ssft.hwmodel.timing.event_loop import DMA, TRANSFER, EventLoop, Sharing
from ssft.hwmodel.timing.events import Simulation, simulate
from ssft.hwmodel.timing.scratchpad import INDEX_BYTES

PRESETS = st.sampled_from(preset_names())
SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(0, 60)
few = settings(max_examples=40, deadline=None)


def timed(seed: int, size: int, preset: str, sharing: Sharing = "fair", *changes: str):
    program = random_program(Random(seed), size)
    return simulate(program, load_machine(preset, changes), sharing=sharing)


def requested_bytes(command: isa.Command) -> int:
    """What a DMA command asks for, counted without the model."""
    match command:
        case isa.Load2D() | isa.Store2D():
            return command.rows * command.row_bytes
        case isa.GatherRows() | isa.ScatterRows():
            return command.count * command.row_bytes
        case isa.GatherColumns() | isa.ScatterColumns():
            return command.rows * command.count * command.element_bytes
    return 0


@few
@given(SEEDS, SIZES, PRESETS)
def test_roofline_is_never_beaten(seed: int, size: int, preset: str):
    counters = Counters(timed(seed, size, preset))
    s, machine = counters.simulation, counters.simulation.machine
    assert (counters.macs + counters.total("padded_macs")) <= s.cycles * machine.peak_macs_per_cycle
    assert counters.total("dram_moved_bytes") <= s.seconds * machine.dram.bandwidth * (1 + 1e-12)
    updated = counters.total("elements_updated")
    assert updated <= s.cycles * machine.update.lanes


@few
@given(SEEDS, SIZES, PRESETS)
def test_bytes_are_conserved(seed: int, size: int, preset: str):
    counters = Counters(timed(seed, size, preset))
    s = counters.simulation
    for queue, direction in ((Queue.DMA_IN, "read"), (Queue.DMA_OUT, "write")):
        asked = sum(requested_bytes(c) for c in s.program.queues[queue])
        assert sum(counters.traffic("dram_useful_bytes")[direction].values()) == asked
    unit = counters.by_unit("dram_useful_bytes")
    assert counters.by_unit("spm_written_bytes")["dma_in"] == unit["dma_in"]
    lists = 8 * counters.by_unit("list_entries")["dma_out"]
    assert counters.by_unit("spm_read_bytes")["dma_out"] == unit["dma_out"] + lists
    moved, useful = counters.total("dram_moved_bytes"), counters.total("dram_useful_bytes")
    assert moved == counters.total("dram_bursts") * s.machine.dram.burst_bytes
    assert moved >= useful


@few
@given(SEEDS, SIZES, PRESETS)
def test_every_count_is_the_sum_of_its_parts(seed: int, size: int, preset: str):
    counters = Counters(timed(seed, size, preset))
    for name in counters.per_command:
        total = counters.total(name)
        assert int(counters.per_command[name].min(initial=0)) >= 0
        assert sum(counters.by_phase(name)) == total
        assert sum(counters.by_operation(name)) == total
        assert sum(counters.by_unit(name).values()) == total
    assert sum(counters.commands().values()) == counters.total("commands") == size


@few
@given(SEEDS, SIZES, st.sampled_from(["on", "off"]))
def test_multiply_adds_are_conserved(seed: int, size: int, sparsity: str):
    s = timed(seed, size, "transcode-server", "fair", f"baseline.enabled={sparsity}")
    counters = Counters(s)
    shapes = s.program.contractions
    asked = sum(shapes[c.shape].macs for c in s.stream.commands if isinstance(c, isa.Gemm))
    assert counters.macs + counters.total("skipped_macs") == asked
    if sparsity == "off":
        assert counters.total("skipped_macs") == 0


@few
@given(SEEDS, SIZES, PRESETS)
def test_the_cycles_of_a_unit_add_up(seed: int, size: int, preset: str):
    s = timed(seed, size, preset)
    counters = Counters(s)
    for time in counters.units.values():
        assert time.total == s.cycles
        assert min(time.busy, time.wait_semaphore, time.wait_memory, time.idle) >= 0
    assert sum(counters.phase_cycles) == s.cycles
    assert all(0 <= a <= s.cycles for a in counters.active_cycles())


FASTER = [
    "dram.bandwidth={}TB/s", "tensor.pes={}000", "vector.lanes={}00000", "update.lanes={}00000",
    "index.lanes={}00000", "tensor.fill_cycles=0", "dram.latency=1e-9", "command.issue_cycles=0",
    "scratchpad.bytes={}GiB", "scratchpad.banks={}000",
]  # fmt: skip


@few
@given(SEEDS, PRESETS, st.sampled_from(FASTER), st.sampled_from(["none", "halves"]))
def test_better_machines_are_never_slower(seed: int, preset: str, change: str, sharing: Sharing):
    base = timed(seed, 50, preset, sharing)
    better = timed(seed, 50, preset, sharing, change.format(9))
    assert better.cycles <= base.cycles
    assert (better.leave <= base.leave).all()


@few
@given(SEEDS, PRESETS, st.sampled_from(FASTER))
def test_better_machines_are_never_slower_with_one_direction(seed: int, preset: str, change: str):
    """Fair sharing is monotone, too, where there is nothing to share."""
    program = random_program(Random(seed), 50)
    only_one_direction(program)
    base = simulate(program, load_machine(preset))
    better = simulate(program, load_machine(preset, [change.format(9)]))
    assert better.cycles <= base.cycles


@pytest.mark.parametrize("change", FASTER)
def test_better_machines_are_hardly_slower_where_directions_share(change: str):
    """Work that is done sooner may let a load meet a store that it would have missed."""
    for seed in range(12):
        base = timed(seed, 50, "ssft-server")
        better = timed(seed, 50, "ssft-server", "fair", change.format(9))
        assert better.cycles <= 1.01 * base.cycles


@few
@given(SEEDS, SIZES, PRESETS)
def test_sharing_lies_between_its_bounds(seed: int, size: int, preset: str):
    fair, all_of_it, half = (timed(seed, size, preset, how) for how in ("fair", "none", "halves"))
    assert all_of_it.cycles <= fair.cycles <= half.cycles
    assert (all_of_it.complete <= fair.complete).all()
    assert (fair.complete <= half.complete).all()


@few
@given(SEEDS, SIZES, st.integers(2, 4))
def test_counts_grow_with_extents(seed: int, size: int, scale: int):
    machine = load_machine("ssft-server")
    once, more = (
        Counters(simulate(random_program(Random(seed), size, factor), machine))
        for factor in (1, scale)
    )
    listed = [isinstance(c, LISTED) for c in once.simulation.stream.commands]
    strided = [isinstance(c, ROUNDED) for c in once.simulation.stream.commands]
    for name in FIELDS:
        small, large = once.per_command[name].copy(), more.per_command[name].copy()
        # The generator grows the batch of products and the rows of columns, not their lists.
        fixed = {"list_entries": 1, "spm_read_bytes": INDEX_BYTES}.get(name, 0)
        entries = np.where(listed, once.per_command["list_entries"], 0) * fixed
        large, small = large - entries, small - entries
        if name in ("dram_moved_bytes", "dram_bursts", "dram_activates"):
            large, small = np.where(strided, 0, large), np.where(strided, 0, small)
        np.testing.assert_array_equal(large, scale * small, name)


LISTED = (isa.Gemm, isa.GatherColumns, isa.ScatterColumns)
ROUNDED = (isa.Load2D, isa.Store2D, isa.GatherColumns, isa.ScatterColumns)
"""Whose runs may share bursts and pages, so that these are not in proportion to rows."""


def replay(s: Simulation) -> None:
    """Checks a trace without looking at how it was made."""
    for queue in Queue:
        mine = s.of(queue)
        assert (s.issue[mine][1:] == s.leave[mine][:-1]).all()
        assert (np.diff(s.complete[mine]) >= 0).all()
    assert (s.issue + s.issue_cycles <= s.start).all()
    assert (s.start + s.work <= s.leave).all()
    latency = np.where(s.kind == TRANSFER, s.latency, 0)
    assert (s.leave + latency <= s.complete).all()
    posts = sorted(
        (time, semaphore, amount)
        for i, time in enumerate(s.complete.tolist())
        for semaphore, amount in (
            (int(s.stream.post[i]), int(s.stream.amount[i])),
            (int(s.stream.extra_post[i]), 1),
        )
        if semaphore >= 0
    )
    for i in np.flatnonzero(s.stream.wait >= 0).tolist():
        start = int(s.start[i])
        level = sum(n for time, sem, n in posts if sem == s.stream.wait[i] and time <= start)
        assert level >= s.stream.wait_value[i]
    for i, command in enumerate(s.stream.commands):
        first = s.stream.first[int(s.stream.queue[i])]
        if isinstance(command, isa.Fence):
            assert (s.complete[first:i] <= s.leave[i]).all()


@few
@given(SEEDS, SIZES, PRESETS)
def test_a_trace_can_be_replayed(seed: int, size: int, preset: str):
    replay(timed(seed, size, preset))


@few
@given(SEEDS, SIZES, PRESETS)
def test_the_dram_works_whenever_there_is_something_to_transfer(seed: int, size: int, preset: str):
    """And never does more than a cycle of work per cycle."""
    s = timed(seed, size, preset)
    times = sorted({*s.start.tolist(), *s.leave.tolist()})
    flows = [i for i in range(len(s.stream)) if s.kind[i] == TRANSFER]
    work = sum(int(s.work[i]) for i in flows)
    busy = sum(
        after - before
        for before, after in pairwise(times)
        if any(s.start[i] <= before and after <= s.leave[i] for i in flows)
    )
    assert work == busy


@few
@given(SEEDS, st.integers(1, 60), PRESETS)
def test_the_critical_path_covers_the_run(seed: int, size: int, preset: str):
    s = timed(seed, size, preset)
    chain = critical_path(s)
    assert sum(segment.cycles for segment in chain) == s.cycles
    if not s.cycles:
        return
    assert (chain[0].begin, chain[-1].end) == (0, s.cycles)
    assert all(a.end == b.begin for a, b in pairwise(chain))
    late = slack(s)
    assert late.min() >= 0
    assert all(late[segment.command] == 0 for segment in chain)


@few
@given(SEEDS, PRESETS, SEEDS)
def test_slack_is_slack(seed: int, preset: str, choice: int):
    """A command that is late by its slack leaves the length of the run; by one cycle more, not."""
    program = random_program(Random(seed), 40)
    only_one_direction(program)
    s = simulate(program, load_machine(preset))
    works = [i for i in range(len(s.stream)) if s.work[i] > 0]
    if not works:
        return
    victim = works[choice % len(works)]
    spare = int(slack(s)[victim])
    assert delayed(s, victim, spare) == s.cycles
    if not posts_compete(s):
        assert delayed(s, victim, spare + 1) == s.cycles + 1


def posts_compete(s: Simulation) -> bool:
    """Whether several queues raise one semaphore: one's post may then stand in for another's."""
    posters = defaultdict(set)
    for posts in (s.stream.post, s.stream.extra_post):
        for semaphore, queue in zip(posts.tolist(), s.stream.queue.tolist(), strict=True):
            posters[semaphore].add(queue)
    return any(len(queues) > 1 for semaphore, queues in posters.items() if semaphore >= 0)


def only_one_direction(program: Program) -> None:
    """Puts marks in the place of what goes out."""
    queue = program.queues[Queue.DMA_OUT]
    queue[:] = [isa.Mark(wait=c.wait, wait_value=c.wait_value, post=c.post)
                if requested_bytes(c) else c for c in queue]  # fmt: skip


def delayed(s: Simulation, victim: int, cycles: int) -> int:
    """The length of the run with one command's work made longer."""
    work = s.work.tolist()
    work[victim] += cycles
    return max(EventLoop(s.stream, work, s.issue_cycles, s.latency).run().complete)


@pytest.mark.parametrize("queue", DMA)
def test_random_programs_have_every_dma_command(queue: Queue):
    """The properties above say nothing about what the generator never makes."""
    seen: set[type] = set()
    for seed in range(40):
        seen |= {type(c) for c in random_program(Random(seed), 60).queues[queue]}
    assert seen == {c for c in isa.COMMANDS if queue in c.QUEUES}
