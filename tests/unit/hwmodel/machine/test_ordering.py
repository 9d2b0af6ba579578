"""Deadlocks and races are found, and only where there are some."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ssft.hwmodel.isa import (
    AccumulateScore,
    Contraction,
    Dim,
    DramBuffer,
    Fence,
    GatherRows,
    Gemm,
    Load2D,
    Mark,
    Post,
    Program,
    Queue,
    SourceOp,
    SpmSlot,
    Store2D,
    Wait,
)
from ssft.hwmodel.machine import DeadlockError, FunctionalMachine, RaceError, UninitializedError
from ssft.hwmodel.machine.footprints import Footprint, overlap

IN, OUT, TENSOR, VECTOR, INDEX = Queue


def program(**queues) -> Program:
    """Commands on 1 KiB of scratchpad and two DRAM buffers of 1 KiB; the host fills the first."""
    found = Program("test", "f32", spm_bytes=1024, dram_bytes=2048)
    found.operations = [SourceOp("first", "k", "forward", "m.py:1"), SourceOp("b", "k", "update")]
    found.dram = [
        DramBuffer("x", 0, 1024, "f32", (256,), "input"),
        DramBuffer("y", 1024, 1024, "f32", (256,), "output"),
    ]
    found.spm = [SpmSlot("slot", 0, 512, "activation", 0, 9)]
    for name, commands in queues.items():
        found.queues[Queue[name]] = commands
    return found


def run(found: Program, **options) -> FunctionalMachine:
    machine = FunctionalMachine(found, **options)
    machine.write("x", np.arange(256))
    machine.run()
    return machine


def load(spm=0, dram=0, size=64, rows=1, pitch=0, **more):
    return Load2D(dram=dram, spm=spm, rows=rows, row_bytes=size, pitch=pitch, **more)


def store(spm=0, dram=1024, size=64, rows=1, pitch=0, **more):
    return Store2D(dram=dram, spm=spm, rows=rows, row_bytes=size, pitch=pitch, **more)


def score(source=0, target=256, **more):
    return AccumulateScore(gradient=source, score=target, elements=16, **more)


def after(command, semaphore, value=1):
    return dataclasses.replace(command, wait=semaphore, wait_value=value)


BOTH = [{"schedule": "round_robin"}, *({"schedule": "random", "seed": s} for s in range(6))]


def assert_race(found: Program, match: str) -> None:
    """In every schedule: the verdict does not depend on luck."""
    for options in BOTH:
        with pytest.raises(RaceError, match=match):
            run(found, **options)


def test_read_without_waiting_for_the_writer():
    initial, again = load(size=512, post=0), load(tag=1)
    found = program(DMA_IN=[initial, again], INDEX=[after(score(), 0)])
    assert_race(found, r"(?s)(idx\.acc_score.*slot 'slot'.*dma\.ld2d|dma\.ld2d.*idx\.acc_score)")
    found = program(
        DMA_IN=[initial, dataclasses.replace(again, post=0)], INDEX=[after(score(), 0, 2)]
    )
    for options in BOTH:
        run(found, **options)


def test_message_names_both_commands_and_their_sources():
    found = program(DMA_IN=[load(size=512, post=0), load(tag=1)], INDEX=[after(score(), 0)])
    with pytest.raises(RaceError) as caught:
        run(found)
    for part in (
        "index[0] `idx.acc_score gradient=0x0 score=0x100 elements=16 square=0 wait=s0>=1`",
        "(operation 0 'first' at m.py:1)",
        "dma_in[1] `dma.ld2d dram=0x0 spm=0x0 rows=1 row_bytes=64 pitch=0` (operation 1 'b')",
        "slot 'slot' + 0x0",
        "no semaphore orders the two",
    ):
        assert part in str(caught.value)


def test_write_before_a_reader_is_done():
    first = load(size=512, post=0)
    reader = after(score(), 0)
    overwrite = load(spm=32, dram=64)
    assert_race(program(DMA_IN=[first, overwrite], INDEX=[reader]), "and no semaphore orders")
    fixed = [first, after(overwrite, 1)]
    run(program(DMA_IN=fixed, INDEX=[dataclasses.replace(reader, post=1)]))


def test_two_writers():
    first = load(size=512, post=0)
    other = dataclasses.replace(after(score(0, 256), 0), post=4)
    assert_race(program(DMA_IN=[first, load(spm=256)], INDEX=[other]), "slot 'slot' \\+ 0x100")


def test_reads_do_not_race():
    run(
        program(
            DMA_IN=[load(size=512, post=0)], INDEX=[after(score(), 0)], DMA_OUT=[after(store(), 0)]
        )
    )


def test_dram_races():
    """A load of what another queue stores, interleaved by rows or not."""
    start = [load(size=1024, post=0)]
    columns = {"rows": 8, "pitch": 128, "size": 64}
    out = [after(store(dram=0, **columns), 0)]
    assert_race(
        program(DMA_IN=[*start, load(spm=512, dram=0, size=512)], DMA_OUT=out), "in buffer 'x'"
    )
    apart = load(spm=512, dram=64, **columns)
    run(program(DMA_IN=[*start, apart], DMA_OUT=out))
    touching = load(spm=512, dram=60, **columns)
    assert_race(program(DMA_IN=[*start, touching], DMA_OUT=out), "in buffer 'x'")


def test_gathered_rows_race_row_by_row():
    rows = np.arange(16, dtype=np.int64)
    found = program()
    found.dram.append(DramBuffer("list", 2048, 128, "i64", (16,), "index", data=rows.tobytes()))
    found.dram_bytes = 2176
    lists = load(spm=512, dram=2048, size=128)
    even = GatherRows(dram=0, spm=0, index=512, count=4, row_bytes=32, pitch=64)
    for dram, racing in ((32, False), (64, True), (4 * 64, False)):
        found.queues[IN] = [
            load(spm=640, dram=0, size=64),
            dataclasses.replace(lists, post=0),
            even,
        ]
        found.queues[OUT] = [after(store(spm=640, dram=dram, size=32), 0)]
        if racing:
            assert_race(found, "dma.gather_rows")
        else:
            run(found)


def test_order_is_transitive_and_by_way_of_any_queue():
    """x -> in -> (s0) -> out waits, posts -> (s1) -> index."""
    relay = [Wait(wait=0, wait_value=1), Mark(), Fence(), Post(semaphore=1, amount=3)]
    found = program(DMA_IN=[load(size=512, post=0)], VECTOR=relay, INDEX=[after(score(), 1, 3)])
    for options in BOTH:
        run(found, **options)


def test_count_that_others_could_have_made_orders_nothing():
    """Two queues post semaphore 0: a count of 1 does not say whose post it was."""
    found = program(
        DMA_IN=[load(size=512, post=0)], VECTOR=[Post(semaphore=0, amount=1)],
        INDEX=[after(score(), 0, 1)],
    )  # fmt: skip
    with pytest.raises(RaceError):
        run(found)
    found.queues[INDEX] = [after(score(), 0, 2)]
    for options in BOTH:
        run(found, **options)


def test_deadlock_names_every_blocked_queue():
    found = program(
        DMA_IN=[load(size=512, post=0, wait=1, wait_value=1)],
        INDEX=[after(score(tag=1, post=1), 0)],
        VECTOR=[Mark()],
    )
    with pytest.raises(DeadlockError) as caught:
        run(found)
    text = str(caught.value)
    assert "dma_in[0] `dma.ld2d" in text
    assert "waits for semaphore 1 >= 1; it stays 0" in text
    assert "index[0] `idx.acc_score" in text
    assert "vector" not in text
    assert text.count("operation 1 'b'") == 1


def test_deadlock_of_a_value_that_is_too_high():
    found = program(DMA_IN=[load(size=512, post=0)], INDEX=[after(score(), 0, 2)])
    with pytest.raises(DeadlockError, match="semaphore 0 >= 2; it stays 1"):
        run(found)


FOOTPRINTS = st.builds(
    Footprint,
    st.lists(st.tuples(st.integers(1, 4), st.integers(-12, 12)), max_size=3),
    st.integers(1, 5),
)


@settings(max_examples=300)
@given(FOOTPRINTS, FOOTPRINTS, st.integers(0, 60))
def test_footprints_overlap_where_they_share_a_byte(first, second, base):
    def touched(footprint, base):
        return {int(base + s + i) for s in footprint.starts() for i in range(footprint.run)}

    shared = touched(first, 30) & touched(second, base)
    assert overlap(first, 30, second, base) == bool(shared)
    assert overlap(second, base, first, 30) == bool(shared)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-12, 12)), max_size=3), st.integers(1, 5))
def test_footprints_are_the_bytes_of_the_loops(dims, run):
    expected = {0}
    for extent, stride in dims:
        expected = {start + i * stride for start in expected for i in range(extent)}
    expected = {start + i for start in expected for i in range(run)}
    footprint = Footprint(dims, run)
    assert {int(s) + i for s in footprint.starts() for i in range(footprint.run)} == expected
    assert (footprint.low, footprint.high) == (min(expected), max(expected) + 1)
    flags = np.zeros(300, np.bool_)
    footprint.flag_view(flags, 120)[...] = True
    assert set((np.flatnonzero(flags) - 120).tolist()) == expected


@st.composite
def pipelines(draw):
    """Tiles that go through load, product, score and store, with slots used in turn.

    Every queue waits for just what it needs: the data, and the slot's last reader.
    """
    tiles, slots = draw(st.integers(2, 6)), draw(st.integers(1, 3))
    found = Program("test", "f32", spm_bytes=slots * 512, dram_bytes=tiles * 512)
    found.contractions = [
        Contraction((Dim("m", 4, 4, 0, 4), Dim("n", 4, 0, 4, 1), Dim("k", 4, 1, 1, 0)))
    ]
    found.dram = [
        DramBuffer("x", 0, tiles * 256, "f32", (tiles, 64), "input"),
        DramBuffer("y", tiles * 256, tiles * 256, "f32", (tiles, 64), "output"),
    ]
    for tile in range(tiles):
        base = (tile % slots) * 512
        free = max(0, tile + 1 - slots)
        here = after(load(base, tile * 256, 256, post=int(IN)), int(OUT), free)
        found.queues[IN].append(here)
        product = Gemm(a=base, b=base + 64, c=base + 256, shape=0, post=int(TENSOR))
        found.queues[TENSOR].append(after(product, int(IN), tile + 1))
        added = score(base + 128, base + 256, post=int(INDEX), square=tile % 2)
        found.queues[INDEX].append(after(added, int(TENSOR), tile + 1))
        out = store(base + 256, (tiles + tile) * 256, 64, post=int(OUT))
        found.queues[OUT].append(after(out, int(INDEX), tile + 1))
    return found


@settings(max_examples=60, deadline=None)
@given(pipelines(), st.integers(0, 2**32))
def test_any_schedule_gives_the_same_bits(found, seed):
    tiles = found.dram[0].shape[0]
    values = np.random.default_rng(seed).standard_normal((tiles, 64))
    results = []
    for options in ({}, {"schedule": "random", "seed": seed}):
        machine = FunctionalMachine(found, **options)
        machine.write("x", values)
        machine.run()
        results.append(machine.dram.data[tiles * 256 :].reshape(tiles, 256)[:, :64].copy())
    assert np.array_equal(*results)


@settings(max_examples=60, deadline=None)
@given(pipelines(), st.data())
def test_any_wait_that_is_taken_away_is_missed(found, data):
    queue = data.draw(st.sampled_from([IN, TENSOR, INDEX, OUT]))
    number = data.draw(st.integers(0, len(found.queues[queue]) - 1))
    command = found.queues[queue][number]
    assume(command.wait_value > 0)
    found.queues[queue][number] = dataclasses.replace(command, wait_value=0)
    machine = FunctionalMachine(found, schedule="random", seed=data.draw(st.integers(0, 99)))
    machine.write("x", np.ones(found.dram[0].shape))
    # What is not written yet when it is read is reported as that.
    with pytest.raises((RaceError, UninitializedError)):
        machine.run()
