"""Scratchpad bytes by direction and purpose, counted by hand and against the totals."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hw_programs import matmul_program
from hw_random_programs import random_program
from hypothesis import given, settings
from hypothesis import strategies as st

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine, preset_names
from ssft.hwmodel.isa import (
    Access,
    DramBuffer,
    MicroOp,
    MicroProgram,
    Nest,
    Program,
    Queue,
    Slot,
    SourceOp,
    SpmSlot,
)
from ssft.hwmodel.isa.encoding import decode, encode
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import simulate
from ssft.hwmodel.timing.regions import Regions
from ssft.hwmodel.timing.scratchpad import operand_bytes
from ssft.hwmodel.timing.stream import UNITS
from ssft.hwmodel.timing.vector import SELECTION_PASSES

SERVER = load_machine("ssft-server")
WAYS = {"read": "spm_read_bytes", "written": "spm_written_bytes"}


def counters(program: Program, preset: str = "ssft-server") -> Counters:
    return Counters(simulate(program, load_machine(preset)))


def by_unit(program: Program) -> dict[str, dict[str, dict[str, int]]]:
    """The report's section, without zeros."""
    found = report(simulate(program, SERVER))["spm_bytes_by_unit_and_purpose"]
    return {
        way: {
            unit: {purpose: size for purpose, size in purposes.items() if size}
            for unit, purposes in units.items()
            if any(purposes.values())
        }
        for way, units in found.items()
    }


def test_a_layer_counted_by_hand():
    """relu(x w): x is [4, 16], w [16, 8], both results [4, 8], in f32. One block, so no repeats."""
    expected = {
        "read": {
            "tensor": {"input": 256, "weight": 512},
            "vector": {"activation": 128},
            "dma_out": {"output": 128},
        },
        "written": {
            "dma_in": {"input": 256, "weight": 512},
            "tensor": {"activation": 128},
            "vector": {"output": 128},
        },
    }
    made = by_unit(matmul_program(4, 8, 16))
    assert made == expected
    assert by_unit(decode(encode(matmul_program(4, 8, 16)))) == expected


def adam_rows(elements: int) -> MicroProgram:
    """Weight and moment, both f32 and in place, from a bf16 gradient."""
    slots = (Slot("f32", elements, "inout"), Slot("bf16", elements, "in"),
             Slot("f32", elements, "inout"))  # fmt: skip
    walk = Access(0, 0, (1,)), Access(1, 0, (1,)), Access(2, 0, (1,))
    code = (MicroOp("addf", (0, 1), "f32"), MicroOp("addf", (2, 1), "f32"))
    nest = Nest((elements,), (False,), walk, (walk[0], walk[2]), code, (5, 6))
    return MicroProgram("adam", slots, (nest,))


def update_program() -> Program:
    """Three rows of ten are gathered by a list, updated, scattered; scores choose the next ones.

    The gradient's slot is that of the scores later on.
    """
    program = Program("any", "f32", arguments=[(256, 512, 768)])
    program.micro_programs = [adam_rows(30)]
    program.operations = [SourceOp("update", "adam", "update"), SourceOp("select", "", "update")]
    program.spm = [
        SpmSlot("list", 0, 64, "index", 0, 1),
        SpmSlot("weight", 256, 128, "weight", 0, 0),
        SpmSlot("gradient", 512, 64, "gradient", 0, 0),
        SpmSlot("moment", 768, 128, "optimizer", 0, 0),
        SpmSlot("scores", 512, 256, "activation", 1, 1),
        SpmSlot("counts", 1024, 64, "activation", 1, 1),
    ]
    rows = {"dram": 0, "index": 0, "count": 3, "row_bytes": 40, "pitch": 400}
    program.queues = {
        Queue.DMA_IN: [isa.GatherRows(spm=256, **rows), isa.GatherRows(spm=768, **rows)],
        Queue.DMA_OUT: [isa.ScatterRows(spm=256, **rows)],
        Queue.TENSOR: [],
        Queue.VECTOR: [
            isa.AdamRows(program=0, arguments=0),
            isa.ScatterAddRows(target=512, source=1024, index=0, count=3, row_elements=2, first=0,
                               rows=9, tag=1),
        ],
        Queue.INDEX: [
            isa.AccumulateScore(gradient=512, score=1024, elements=10, tag=0),
            isa.CountRowsColumns(score=512, counts=1024, rows=4, columns=6, threshold=0,
                                 by_column=1, tag=1),
            isa.TopK(values=1024, index=0, count=6, k=3, tag=1),
        ],
    }  # fmt: skip
    return program


def test_an_update_counted_by_hand():
    found = by_unit(update_program())
    # The list: three numbers of 8 bytes, for each gather and scatter.
    assert found["written"]["dma_in"] == {"weight": 120, "optimizer": 120}
    assert found["read"]["dma_in"] == {"index": 48}
    assert found["read"]["dma_out"] == {"weight": 120, "index": 24}
    # AdamW of 30 elements; then 3 x 2 scores to which as many are added, by the list.
    added = 3 * 2 * 4
    assert found["read"]["vector"] == {
        "weight": 120, "gradient": 60, "optimizer": 120, "activation": 2 * added, "index": 24,
    }  # fmt: skip
    assert found["written"]["vector"] == {"weight": 120, "optimizer": 120, "activation": added}
    # During the update, bytes 512 on are the gradient's, and nobody has byte 1024 yet.
    assert found["read"]["index"] == {
        "gradient": 40, "activation": 96 + SELECTION_PASSES * 6 * 4, "none": 40,
    }  # fmt: skip
    assert found["written"]["index"] == {"activation": 24, "index": 24, "none": 40}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.sampled_from(preset_names()))
def test_purposes_add_up_to_the_totals(seed: int, size: int, preset: str):
    found = counters(random_program(Random(seed), size), preset)
    operations = len(found.simulation.stream.operations)
    queue = found.simulation.stream.queue
    for way, name in WAYS.items():
        traffic = found.scratchpad_traffic[way]
        units = traffic.by_key_and_purpose(queue, len(Queue))
        totals = dict(zip(UNITS.values(), (sum(p.values()) for p in units), strict=True))
        assert totals == found.by_unit(name)
        ops = traffic.by_key_and_purpose(found.tag, operations)
        assert [sum(purposes.values()) for purposes in ops] == found.by_operation(name)
        assert sum(traffic.by_purpose().values()) == found.total(name) == sum(traffic.by_piece())


def address_of(program: Program, command: isa.Command, operand: str | int) -> int:
    if isinstance(operand, str):
        return getattr(command, operand)
    return program.arguments[command.arguments][operand]  # type: ignore[attr-defined]


def looked_up(program: Program, command: isa.Command, address: int) -> str:
    """The purpose of an address, by trying every slot."""
    holders = [
        slot.purpose
        for slot in program.spm
        if slot.first <= command.tag <= slot.last
        and slot.address <= address < slot.address + slot.bytes
    ]
    return holders[0] if len(holders) == 1 else "none"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_every_operand_is_its_slots(seed: int, size: int):
    program = random_program(Random(seed), size)
    expected: dict[str, dict[str, int]] = {way: {} for way in WAYS}
    for command in (c for commands in program.queues.values() for c in commands):
        for operand in operand_bytes(program, SERVER, command):
            purpose = looked_up(program, command, address_of(program, command, operand.operand))
            for way in WAYS:
                expected[way][purpose] = expected[way].get(purpose, 0) + getattr(operand, way)
    for way, traffic in counters(program).scratchpad_traffic.items():
        found = {purpose: moved for purpose, moved in traffic.by_purpose().items() if moved}
        assert found == {purpose: moved for purpose, moved in expected[way].items() if moved}


slots = st.builds(
    lambda address, size, first, length: SpmSlot(
        "s", address, size, "weight", first, first + length
    ),
    *(st.integers(0, 40), st.integers(0, 20), st.integers(0, 9), st.integers(0, 4)),
)


@given(st.lists(slots, max_size=8))
def test_pieces_are_found_where_they_are_alone(pieces: list[SpmSlot]):
    tags, addresses = (grid.ravel() for grid in np.meshgrid(range(-1, 15), range(-2, 63)))
    found = Regions(pieces).find(tags, addresses)
    for tag, address, number in zip(tags, addresses, found.tolist(), strict=True):
        holders = [
            i
            for i, p in enumerate(pieces)
            if p.first <= tag <= p.last and p.address <= address < p.address + p.bytes
        ]
        assert number == (holders[0] if len(holders) == 1 else -1)


@pytest.mark.parametrize(("tag", "purpose"), [(0, "activation"), (1, "gradient"), (2, "weight")])
def test_memory_of_dram_is_whose_it_is_at_the_time(tag: int, purpose: str):
    program = Program("any", "bf16", operations=[SourceOp("o", "", "forward")] * 3)
    program.dram = [
        DramBuffer("a", 0, 64, "i8", (64,), "activation", first=0, last=0),
        DramBuffer("g", 32, 64, "i8", (64,), "gradient", first=1, last=1),
        DramBuffer("w", 128, 64, "i8", (64,), "weight"),
    ]
    address = 128 if purpose == "weight" else 40
    load = isa.Load2D(dram=address, spm=0, rows=1, row_bytes=8, pitch=8, tag=tag)
    program.queues[Queue.DMA_IN] = [load]
    assert counters(program).traffic("dram_useful_bytes")["read"][purpose] == 8
