"""What stays in the scratchpad, and until when that copy is good."""

from __future__ import annotations

import pytest
from accelerator_steps import machine
from hw_graphs import ORIGIN, buffer, double, nest, op, operand

from ssft.compiler.backends.hw.graph import Lookup, ScatterAdd
from ssft.compiler.backends.hw.kernels.form import SingleKernel, VectorKernel
from ssft.compiler.backends.hw.memory.residency import choose_residency
from ssft.compiler.backends.hw.views import Factor, View
from ssft.compiler.diagnostics import UserError

MACHINE = machine("ssft-server", 1 << 16)


def kernels(*nests):
    return [VectorKernel([one], one.extents, place) for place, one in enumerate(nests)]


def chosen(found, share=0.5, results=()):
    return choose_residency(found, {id(b) for b in results}, MACHINE, share)


def values(count, elements=16):
    return [buffer(f"v{n}", elements) for n in range(count)]


def test_values_stay_where_they_are():
    a, b, c = values(3)
    found = chosen(kernels(double(a, b), double(b, c)))
    assert id(b) in found.ids
    assert chosen(kernels(double(a, b), double(b, c)), share=0.0).ids == set()


def test_what_one_kernel_makes_and_uses_takes_no_room():
    a, b, c = values(3)
    found = chosen([VectorKernel([double(a, b), double(b, c)], (16,), 0)], results=[c])
    assert found.temporary == {id(b)}
    assert id(b) not in found.ids


def test_results_are_in_dram():
    a, b, c = values(3)
    assert id(b) not in chosen(kernels(double(a, b), double(b, c)), results=[b]).ids


def test_large_values_do_not_stay():
    a, b, c = values(3, 1 << 14)
    assert chosen(kernels(double(a, b), double(b, c))).ids == set()


def test_room_that_many_want_is_dear():
    """Two long-lived values meet all that is wanted for a short time only; one short-lived one
    stands in the way of both."""
    size = 1 << 12  # elements: half of the budget and a little less
    before, between, after = values(3, size)
    others = [buffer(f"o{number}", 16) for number in range(30)]
    steps = [double(others[0], before)]
    steps += [double(others[number], others[number + 1]) for number in range(10)]
    steps += [double(others[10], between), double(before, others[11])]
    steps += [double(others[11], others[12]), double(others[12], others[13])]
    steps += [double(others[13], after), double(between, others[14])]
    steps += [double(others[number], others[number + 1]) for number in range(14, 24)]
    steps += [double(after, others[25])]
    found = chosen(kernels(*steps), share=0.4).ids
    large = {id(before): "before", id(between): "between", id(after): "after"}
    assert {name for key, name in large.items() if key in found} == {"before", "after"}


def test_an_argument_stays_if_it_is_read_twice():
    x = buffer("x", 16, "argument")
    a, b = values(2)
    assert id(x) in chosen(kernels(double(x, a), double(x, b))).ids
    assert id(x) not in chosen(kernels(double(x, a))).ids


def test_a_copy_is_out_of_date_once_the_argument_is_written():
    x = buffer("x", 16, "argument")
    a, b, c = values(3)
    late = kernels(double(x, a), double(x, b), double(c, x))
    assert id(x) in chosen(late).ids
    early = kernels(double(x, a), double(c, x), double(x, b))
    assert id(x) not in chosen(early).ids


def test_a_table_that_must_stay_serves_only_who_comes_before_the_write():
    x = buffer("x", 16, "argument")
    a, b, c = values(3)
    code = [op("index", immediate=0), op("extract", 1, immediate=0)]
    lookup = Lookup(x, 0, (16,), (1,), (None,))
    picked = nest([16], [], [operand(a, 1)], code, [2], lookups=[lookup])
    found = chosen(kernels(picked, double(c, x), double(x, b)))
    assert id(x) in found.ids
    assert [id(x) in found.ids_at(place, [x]) for place in range(3)] == [True, True, False]


def scatter(positions, elements):
    index = View(positions, 0, ((Factor(elements, 1),),))
    return SingleKernel(ScatterAdd(ORIGIN, *values(1), 16, 1, values(1)[0], 0, index, elements), 0)


def test_lists_stay_whatever_the_share():
    positions = buffer("list", 100, "argument", "i64")
    assert id(positions) in chosen([scatter(positions, 100)], share=0.0).ids


def test_lists_that_do_not_fit():
    with pytest.raises(UserError, match="'list' of 72000 bytes is looked up element by element"):
        chosen([scatter(buffer("list", 9000, "argument", "i64"), 9000)])


def test_values_that_are_written_row_by_row_are_in_dram():
    a, b, c = values(3)
    rows = View(buffer("list", 16, "argument", "i64"), 0, ((Factor(16, 1),),))
    scattered = nest([16], [operand(a, 1)], [operand(b, 1, index=[rows])], [], [0])
    found = chosen(kernels(double(c, b), scattered, double(b, a)))
    assert id(b) not in found.ids | found.temporary
    assert id(rows.buffer) in found.ids
