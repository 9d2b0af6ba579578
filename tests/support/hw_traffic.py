"""Whose bytes the operands of a compiled program are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ssft.hwmodel.config import Machine
from ssft.hwmodel.isa import AdamRows, Command, Program, Queue, SgdRows, Vector
from ssft.hwmodel.isa.check import Place, _Checker
from ssft.hwmodel.timing.counters import Counters
from ssft.hwmodel.timing.events import simulate
from ssft.hwmodel.timing.stream import UNITS


class _Places(_Checker):
    """Collects where operands are instead of checking it."""

    def __init__(self, program: Program, machine: Machine) -> None:
        super().__init__(program, machine)
        self.found: list[Place] = []

    def places(self, *places: Place) -> Iterator[str]:
        self.found += [place for place in places if place[2] < place[3]]
        yield from ()

    def vector(self, command: Vector | AdamRows | SgdRows) -> Iterator[str]:
        return self.binding(command.program, command.arguments)

    def of(self, queue: Queue, command: Command) -> list[Place]:
        self.found = []
        assert not list(self.command(queue, command))
        return self.found


def check_traffic(program: Program, machine: Machine) -> Counters:
    """Asserts that each operand is in one slot as a whole, and that purposes make up the totals."""
    places = _Places(program, machine)
    live = [
        [slot for slot in program.spm if slot.first <= tag <= slot.last]
        for tag in range(len(program.operations))
    ]
    for queue, commands in program.queues.items():
        for command in commands:
            for name, address, first, end in places.of(queue, command):
                low, high = address + first, address + end
                holders = [
                    slot
                    for slot in live[command.tag]
                    if slot.address < high and low < slot.address + slot.bytes
                ]
                assert len(holders) == 1, (command, name)
                (slot,) = holders
                assert slot.address <= low and high <= slot.address + slot.bytes, (command, name)
    counters = Counters(simulate(program, machine))
    queue = counters.simulation.stream.queue
    for way, traffic in counters.scratchpad_traffic.items():
        purposes = traffic.by_key_and_purpose(queue, len(Queue))
        assert not any("none" in found for found in purposes)
        totals = {unit: sum(p.values()) for unit, p in zip(UNITS.values(), purposes, strict=True)}
        assert totals == counters.by_unit(f"spm_{way}_bytes")
    assert not any("none" in found for found in counters.traffic().values())
    return counters


def check_updates(counters: Counters, masks: Sequence[dict[str, Any]]) -> None:
    """Asserts that the program's stores write the rows and columns that the plan's masks choose."""
    found = {each.name: each for each in counters.updated}
    chosen: dict[str, list[set[int]]] = {}
    for mask in masks:
        shape = found[mask["name"]].shape[:2]
        lists = [mask["rows"], mask["columns"]][: len(shape)]
        if mask["combine"] == "union":
            lists = [None] * len(shape)
        of_mask = chosen.setdefault(mask["name"], [set() for _ in shape])
        for positions, extent, numbers in zip(of_mask, shape, lists, strict=True):
            positions.update(range(extent) if numbers is None else numbers)
    assert {name: tuple(map(len, positions)) for name, positions in chosen.items()} == {
        name: (each.rows, each.columns)[: len(each.shape)] for name, each in found.items()
    }
    assert sum(each.elements for each in found.values()) == counters.total("elements_updated")
