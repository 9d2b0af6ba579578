"""Micro-programs that no unit can run are refused, with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from machine_programs import Chain, run_micro_program

from ssft.hwmodel.errors import MachineError
from ssft.hwmodel.isa import Access, MicroOp, MicroProgram, Nest, Slot, Vector
from ssft.hwmodel.machine import OutOfBoundsError, UninitializedError

ROW = Access(0, 0, (1,))


def copy(slots, source=ROW, target=None, code=(), results=(0,), reduction=(False,)):
    target = target or Access(len(slots) - 1, 0, (1,))
    return MicroProgram(
        "copy", slots, (Nest((4,), reduction, (source,), (target,), code, results),)
    )


FOUR = (Slot("f32", 4, "in"), Slot("f32", 4, "out"))


def refused(micro, match, error: type[MachineError] = MachineError, inputs=None):
    count = sum(slot.access != "temporary" for slot in micro.slots)
    given = inputs or [np.ones(slot.elements) for slot in micro.slots[:count]]
    with pytest.raises(error, match=match):
        run_micro_program(micro, given)


def operation(name, operands=(0,), dtype="f32", immediate=None):
    return copy(FOUR, code=(MicroOp(name, operands, dtype, immediate),), results=(2,))


@pytest.mark.parametrize(
    ("micro", "match"),
    [
        (copy(FOUR, source=Access(0, 1, (1,))), r"elements 1 to 4 of slot 0, which has 4"),
        (copy(FOUR, source=Access(0, 2, (-1,))), r"elements -1 to 2"),
        (copy(FOUR, target=Access(0, 0, (1,))), "slot 0, which is an input"),
        (copy(FOUR, target=Access(1, 0, (0,))), "writes an output more than once"),
        (copy(FOUR, source=Access(7, 0, (1,))), "slot 7, which does not exist"),
        (copy(FOUR, source=Access(0, 0, (1, 1))), "as many strides"),
        (copy(FOUR, results=(5,)), "register 5"),
        (operation("addf", (0, 2)), "register 2 too early"),
        (operation("frobnicate"), r"no unit runs: frobnicate\(f32\) -> f32"),
        (operation("addf", (0, 0), "f64"), r"addf\(f32, f32\) -> f64"),
        (operation("cmpf", (0, 0), "i1", "oops"), "'oops'"),
        (operation("index", (), "i64", 1), "index 1"),
        (operation("constant", (), "i32", 1), "stores i32 to slot 1 of f32"),
        (copy((*FOUR, Slot("f32", 4, "temporary"), Slot("f32", 4, "out"))), "temporary before"),
    ],
)
def test_refused_when_loaded(micro, match):
    refused(micro, match)


def test_temporary_that_nothing_wrote():
    micro = copy((Slot("f32", 4, "out"), Slot("f32", 4, "temporary")), Access(1, 0, (1,)), ROW)
    with pytest.raises(UninitializedError, match="reads undefined row buffer address 0x0"):
        run_micro_program(micro, [None])


def test_temporaries_do_not_survive_a_command():
    chain = Chain()
    fill = copy((Slot("f32", 4, "in"), Slot("f32", 4, "temporary")))
    read = copy((Slot("f32", 4, "out"), Slot("f32", 4, "temporary")), Access(1, 0, (1,)), ROW)
    address = chain.load("x", "f32", np.ones(4))
    chain.program.micro_programs += [fill, read]
    chain.program.arguments.append((address,))
    for number in (0, 1):
        chain.add(Vector(program=number, arguments=0))
    with pytest.raises(UninitializedError, match=r"vector\[1\]"):
        chain.run()


def test_current_value_is_read_only_where_the_code_uses_it():
    keep = copy((Slot("f32", 4, "in"), Slot("f32", 4, "out")), results=(1,))
    with pytest.raises(UninitializedError):
        run_micro_program(keep, [np.ones(4), None])
    (found,) = run_micro_program(copy(FOUR), [np.ones(4), None])
    assert found.tolist() == [1] * 4


@pytest.mark.parametrize(("position", "match"), [(10, "element 10 of slot 1"), (-1, "element -1")])
def test_extract_outside_its_slot(position, match):
    slots = (Slot("i64", 4, "in"), Slot("f32", 10, "in"), Slot("f32", 4, "out"))
    micro = copy(slots, code=(MicroOp("extract", (0,), "f32", 1),), results=(2,))
    refused(micro, match, OutOfBoundsError, [[0, 1, position, 3], np.ones(10), None])


def bound(micro, offsets) -> Chain:
    """The operands at offsets from the address of 16 defined f32."""
    chain = Chain()
    address = chain.load("x", "f32", np.arange(16))
    chain.program.micro_programs.append(micro)
    chain.program.arguments.append(tuple(address + offset for offset in offsets))
    chain.add(Vector(program=0, arguments=0))
    return chain


def test_operands_may_be_the_same_but_not_overlap():
    doubled = copy(FOUR, code=(MicroOp("addf", (0, 0), "f32"),), results=(2,))
    chain = bound(doubled, (0, 0))
    chain.store("y", "f32", (5,), 0)
    assert chain.run().read("y").tolist() == [0, 2, 4, 6, 4]
    with pytest.raises(MachineError, match="over another operand at a different place"):
        bound(doubled, (0, 4)).run()
    # Every second element of each, interleaved, never meets.
    slots = (Slot("f32", 7, "in"), Slot("f32", 7, "out"))
    bound(copy(slots, Access(0, 0, (2,)), Access(1, 0, (2,))), (0, 4)).run()


def test_operands_and_addresses_are_checked():
    with pytest.raises(MachineError, match="has 2 operands, but argument list 0 has 3"):
        bound(copy(FOUR), (0, 16, 32)).run()
    with pytest.raises(OutOfBoundsError, match="not aligned to 4 bytes"):
        bound(copy(FOUR), (0, 18)).run()
    with pytest.raises(OutOfBoundsError, match="of which only 0x40 are in use"):
        bound(copy(FOUR), (0, 52)).run()
