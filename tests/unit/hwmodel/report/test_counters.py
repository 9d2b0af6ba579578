"""Every counter of a report, counted again from the program's commands alone."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from random import Random
from typing import Any

import pytest
from hw_random_programs import random_program

from ssft.hwmodel import isa
from ssft.hwmodel.config import load_machine
from ssft.hwmodel.isa import Command, DramBuffer, Program, Queue, SpmSlot
from ssft.hwmodel.report import report
from ssft.hwmodel.timing.events import simulate
from ssft.hwmodel.timing.stream import UNITS

SERVER = load_machine("ssft-server")


@pytest.fixture(scope="module", params=range(3))
def program(request: pytest.FixtureRequest) -> Program:
    return random_program(Random(request.param), 150)


@pytest.fixture(scope="module")
def found(program: Program) -> dict[str, Any]:
    return report(simulate(program, SERVER))


def commands(program: Program) -> list[Command]:
    return list(chain.from_iterable(program.queues.values()))


def test_cycles_of_queues(found: dict[str, Any]):
    assert list(found["units"]) == list(UNITS.values())
    for times in found["units"].values():
        assert set(times) == {"busy", "wait_semaphore", "wait_memory", "idle"}
        assert sum(times.values()) == found["cycles"]
    for part in ("busy", "wait_semaphore", "wait_memory", "idle"):
        assert any(times[part] for times in found["units"].values())


def test_multiply_adds(program: Program, found: dict[str, Any]):
    shapes = [program.contractions[c.shape] for c in commands(program) if isinstance(c, isa.Gemm)]
    assert found["macs"]["executed"] == sum(shape.macs for shape in shapes)
    assert found["macs"]["masked"] == sum(op.masked_macs for op in program.operations)
    assert found["macs"]["skipped"] == 0 < found["macs"]["padded"]


def asked_for(command: Command) -> int:
    match command:
        case isa.Load2D() | isa.Store2D():
            return command.rows * command.row_bytes
        case isa.GatherRows() | isa.ScatterRows():
            return command.count * command.row_bytes
        case isa.GatherColumns() | isa.ScatterColumns():
            return command.rows * command.count * command.element_bytes
    return 0


def test_bytes_bursts_and_overfetch(program: Program, found: dict[str, Any]):
    moved, beyond = found["dram_moved_bytes"], found["dram_overfetch_bytes"]
    for way, queue in (("read", Queue.DMA_IN), ("write", Queue.DMA_OUT)):
        asked = sum(map(asked_for, program.queues[queue]))
        assert asked == sum(found["dram_bytes"][way].values())
        assert sum(beyond[way].values()) == sum(moved[way].values()) - asked > 0
        for purpose, size in beyond[way].items():
            assert size == moved[way][purpose] - found["dram_bytes"][way].get(purpose, 0) >= 0
    total = sum(sum(purposes.values()) for purposes in moved.values())
    assert total == found["dram_bursts"] * SERVER.dram.burst_bytes
    assert 0 < found["dram_activates"] <= found["dram_bursts"]


def list_length(program: Program, command: Command) -> int:
    match command:
        case isa.Gemm() if command.index != isa.NO_LIST:
            indexed = program.contractions[command.shape].indexed
            return (
                0 if indexed is None else program.contractions[command.shape].dims[indexed].extent
            )
        case isa.GatherRows() | isa.ScatterRows() | isa.GatherColumns() | isa.ScatterColumns():
            return command.count
        case isa.ScatterAddRows():
            return command.count
        case isa.TopK():
            return command.k
    return 0


def test_lengths_of_lists(program: Program, found: dict[str, Any]):
    lengths: dict[str, list[int]] = {}
    for command in commands(program):
        if length := list_length(program, command):
            lengths.setdefault(command.MNEMONIC, []).append(length)
    assert len(lengths) > 5
    assert found["lists"] == {
        name: {"lists": len(n), "entries": sum(n), "shortest": min(n), "longest": max(n)}
        for name, n in lengths.items()
    }
    assert found["list_entries"] == sum(map(sum, lengths.values()))


def test_semaphores_and_commands(program: Program, found: dict[str, Any]):
    all_of_them = commands(program)
    posts = sum(c.post is not None for c in all_of_them)
    posts += sum(isinstance(c, isa.Post) for c in all_of_them)
    semaphores = found["semaphores"]
    assert semaphores["waits"] == sum(c.wait is not None for c in all_of_them)
    assert semaphores["posts"] == posts
    assert 0 < semaphores["blocked"] <= semaphores["waits"]
    assert found["commands"] == Counter(c.MNEMONIC for c in all_of_them)


def test_energy_and_roofline_of_operations(found: dict[str, Any]):
    parts = found["energy"]["by_component"]
    assert sum(parts.values()) == pytest.approx(found["energy_joules"], rel=1e-12)
    for op in found["ops"]:
        moved, flops = op["dram_moved_bytes"], 2 * op["macs"]
        if moved and flops:
            assert op["arithmetic_intensity"] == flops / moved
            roof = min(SERVER.peak_flops, flops / moved * SERVER.dram.bandwidth)
            attained = flops * SERVER.clock.frequency / op["active_cycles"]
            assert op["roofline_fraction"] == pytest.approx(attained / roof)


WEIGHT = 1 << 16


def stores(*commands: Command, shape: tuple[int, ...], order: tuple[int, ...]) -> dict[str, Any]:
    """What a report says is updated of one f32 parameter, to which `commands` store."""
    size = 4
    for extent in shape:
        size *= extent
    program = Program("any", "bf16")
    program.dram = [DramBuffer("w", WEIGHT, size, "f32", shape, "weight", order, argument=0)]
    program.spm = [SpmSlot("list", 0, 512, "index", 0, 0)]
    program.queues[Queue.DMA_OUT] = list(commands)
    (each,) = report(simulate(program, SERVER))["updated"]["parameters"]
    return each


def store(element: int, rows: int, length: int, pitch: int) -> isa.Store2D:
    return isa.Store2D(
        dram=WEIGHT + 4 * element, spm=0, rows=rows, row_bytes=4 * length, pitch=4 * pitch
    )


def scatter(element: int, first: int, count: int, length: int, pitch: int) -> isa.ScatterRows:
    """To rows of which the list's entries from `first` on say which."""
    return isa.ScatterRows(dram=WEIGHT + 4 * element, spm=0, index=8 * first, count=count,
                           row_bytes=4 * length, pitch=4 * pitch)  # fmt: skip


CASES = [
    # Three whole rows of six columns, in one run; the same in two tiles that meet.
    ([store(12, 1, 18, 18)], (10, 6), (0, 1), (3, 6)),
    ([store(12, 1, 12, 12), store(24, 1, 6, 6)], (10, 6), (0, 1), (3, 6)),
    # A block of 4 x 2; a run from the middle of a row to the middle of the next.
    ([store(8, 4, 2, 6)], (10, 6), (0, 1), (4, 2)),
    ([store(4, 1, 4, 4)], (10, 6), (0, 1), (2, 4)),
    # Every second row.
    ([store(0, 5, 6, 12)], (10, 6), (0, 1), (5, 6)),
    # Stored by columns: rows of the memory are columns of the parameter.
    ([store(20, 1, 20, 20)], (10, 6), (1, 0), (10, 2)),
    ([scatter(0, 0, 4, 10, 10)], (10, 6), (1, 0), (10, 4)),
    # A list in two parts; the same part for two tiles of columns; more than there are.
    ([scatter(0, 0, 4, 6, 6), scatter(0, 4, 3, 6, 6)], (10, 6), (0, 1), (7, 6)),
    ([scatter(0, 0, 4, 3, 6), scatter(3, 0, 4, 3, 6)], (10, 6), (0, 1), (4, 6)),
    ([store(0, 1, 36, 36), scatter(0, 0, 9, 6, 6)], (10, 6), (0, 1), (10, 6)),
    ([isa.ScatterColumns(dram=WEIGHT, spm=0, index=0, rows=3, count=2, element_bytes=4, pitch=24)],
     (10, 6), (0, 1), (3, 2)),
    # More and fewer dimensions than two.
    ([store(24, 1, 24, 24)], (5, 4, 6), (0, 1, 2), (1, 4)),
    ([store(6, 1, 6, 6)], (5, 4, 6), (0, 1, 2), (1, 1)),
    ([store(3, 1, 4, 4)], (9,), (0,), (4, None)),
]  # fmt: skip


@pytest.mark.parametrize(("commands", "shape", "order", "expected"), CASES)
def test_rows_and_columns_that_are_written(commands, shape, order, expected):
    found = stores(*commands, shape=shape, order=order)
    assert (found["rows"], found["columns"]) == expected
    assert found["elements"] == sum(asked_for(command) for command in commands) / 4
