"""Nests put into one compute what they computed one after the other."""

from __future__ import annotations

import numpy as np
from hw_graphs import Memory, buffer, double, nest, op, operand

from ssft.compiler.backends.hw.graph import Lookup
from ssft.compiler.backends.hw.kernels.form import VectorKernel
from ssft.compiler.backends.hw.kernels.fuse_nests import MAX_OPERATIONS, fuse_nests

X, Y = buffer("x", 6, "argument"), buffer("y", 6, "argument")


def fused(nests, kept=()):
    """The nests of a kernel after merging; what they compute must not change."""
    results = []
    before = list(nests)
    kernel = VectorKernel(list(nests), (6,), 0)
    fuse_nests([kernel], {id(b) for b in kept})
    for ops in (before, kernel.nests):
        memory = Memory()
        memory[X][:], memory[Y][:] = np.arange(6), [5, 1, 4, 0, 3, 2]
        memory.run(ops)
        results.append([memory[b].copy() for b in [*kept, X, Y]])
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    return kernel.nests


def values(count):
    return [buffer(f"v{n}", 6) for n in range(count)]


def test_a_chain_becomes_one_nest_without_what_is_in_between():
    a, b, c = values(3)
    (found,) = fused([double(X, a), double(a, b), double(b, c)], kept=[c])
    assert [o.buffer for o in found.outputs] == [c]
    assert [o.buffer for o in found.inputs] == [X]


def test_what_is_needed_later_is_still_written():
    a, b = values(2)
    (found,) = fused([double(X, a), double(a, b)], kept=[a, b])
    assert [o.buffer for o in found.outputs] == [a, b]


def test_the_same_input_is_loaded_once():
    a, b = values(2)
    both = nest([6], [operand(X, 1), operand(a, 1)], [operand(b, 1)], [op("subf", 1, 0)], [3])
    (found,) = fused([double(X, a), both], kept=[b])
    assert len(found.inputs) == 1


def test_a_sum_goes_along_but_nothing_follows_it():
    a, b, c = *values(2), buffer("sum", 1)
    total = nest([6], [operand(a, 1)], [operand(c, 0, initial=0.0)], [op("addf", 0, 1)], [2],
                 summed=[0])  # fmt: skip
    (found,) = fused([double(X, a), total], kept=[c])
    assert found.reduction == (True,)
    spread = nest([6], [operand(c, 0)], [operand(b, 1)], [], [0])
    assert len(fused([total, spread], kept=[b])) == 2


def test_other_ways_through_a_value_stay_apart():
    a, b = values(2)
    backwards = nest([2, 3], [operand(a, 1, 2)], [operand(b, 3, 1)], [], [0])
    forwards = nest([2, 3], [operand(X, 3, 1)], [operand(a, 3, 1)], [], [0])
    assert len(fused([forwards, backwards], kept=[b])) == 2
    longer = buffer("longer", 7)
    first = nest([6], [operand(X, 1)], [operand(longer, 1)], [], [0])
    shifted = nest([6], [operand(longer, 1, offset=1)], [operand(b, 1)], [], [0])
    assert len(fused([first, shifted], kept=[b])) == 2


def test_nothing_is_moved_past_what_it_depends_on():
    """The third nest fits the first one, but reads what the second overwrites, or writes it."""
    a, b = values(2)
    sums = nest([6], [operand(Y, 1)], [operand(X, 0, initial=0.0)], [op("addf", 0, 1)], [2],
                summed=[0])  # fmt: skip
    assert len(fused([double(Y, a), sums, double(X, b)], kept=[a, b])) == 2
    read = nest([2, 3], [operand(Y, 3, 1)], [operand(a, 3, 1)], [], [0])
    assert len(fused([double(X, b), read, double(b, Y)], kept=[a])) == 3


def test_inputs_are_not_overwritten_in_the_same_nest():
    a, b = values(2)
    assert len(fused([double(X, a), double(Y, X)], kept=[a])) == 2
    assert len(fused([double(X, a), double(Y, a)], kept=[a, b][:1])) == 2


def test_positions_are_looked_up_in_the_right_table():
    a, b = values(2)
    code = [op("index", immediate=0), op("extract", 2, immediate=0)]
    lookups = [[Lookup(t, 0, (6,), (1,), (None,))] for t in (Y, X)]
    first = nest([6], [operand(X, 1)], [operand(a, 1)], code, [3], lookups=lookups[0])
    code = [op("extract", 0, immediate=0), op("addf", 0, 2)]
    second = nest([6], [operand(a, 1)], [operand(b, 1)], code, [3], lookups=lookups[1])
    (found,) = fused([first, second], kept=[b])
    assert [lookup.buffer for lookup in found.lookups] == [Y, X]


def test_a_value_is_complete_before_it_is_looked_up():
    a, b = values(2)
    code = [op("index", immediate=0), op("extract", 2, immediate=0)]
    lookup = Lookup(a, 0, (6,), (1,), (None,))
    picked = nest([6], [operand(Y, 1)], [operand(b, 1)], code, [3], lookups=[lookup])
    assert len(fused([double(X, a), picked], kept=[b])) == 2


def test_programs_stay_short():
    a, b = values(2)
    long = nest([6], [operand(a, 1)], [operand(b, 1)],
                [op("addf", 0, 0)] * MAX_OPERATIONS, [2])  # fmt: skip
    assert len(fused([double(X, a), long], kept=[b])) == 2
