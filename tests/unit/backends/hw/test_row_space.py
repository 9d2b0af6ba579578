"""Which leading loops nests have in common, and splitting them without changing a nest."""

from __future__ import annotations

import copy

import numpy as np
from hw_graphs import Memory, buffer, nest, op, operand

from ssft.compiler.backends.hw.kernels.row_space import (
    common_rows,
    keeps_groups,
    leading_rows,
    merge_sums,
    split_leading,
)


def elementwise(extents, source, target, strides=None):
    walk = strides or np.cumprod([1, *extents[::-1]])[-2::-1].tolist()
    walks = [operand(source, *walk)], [operand(target, *walk)]
    return nest(extents, *walks, [op("addf", 0, 0)], [2])


X, Y, Z = (buffer(name, 24) for name in "xyz")


def test_leading_rows_are_of_one_kind():
    sums = nest([4, 6, 2], [], [operand(X, 6, 1, 0)], [], [0], summed=[2])
    assert leading_rows(sums) == (4, 6)
    sums = nest([4, 6, 2], [], [operand(X, 0, 0, 1)], [], [0], summed=[0, 1])
    assert leading_rows(sums) == (4, 6)
    assert leading_rows(nest([], [], [operand(X)], [], [0])) == ()


def test_rows_are_the_common_cut():
    first, second = elementwise((24,), X, Y), elementwise((4, 6), Y, Z)
    assert common_rows([first], (24,), second, [Y]) == (4, 6)
    assert common_rows([first], (24,), elementwise((5, 5), Y, Z), [Y]) is None


def test_what_is_handed_over_must_stay_in_its_row():
    first = elementwise((4, 6), X, Y)
    turned = elementwise((4, 6), Y, Z, strides=(1, 4))
    assert common_rows([first], (4, 6), turned, [Y]) is None
    assert common_rows([first], (4, 6), turned, []) == (4, 6)
    # Rows of 6 are complete, single elements are not: a sum over columns goes along.
    sums = nest([4, 6], [operand(Y, 6, 1)], [operand(Z, 1, 0, initial=0.0)],
                [op("addf", 0, 1)], [2], summed=[1])  # fmt: skip
    assert common_rows([first], (4, 6), sums, [Y]) == (4,)


def test_looped_positions_are_not_split():
    first = elementwise((24,), X, Y)
    counted = nest([24], [operand(Y, 1)], [operand(Z, 1)], [op("index", immediate=0)], [0])
    assert common_rows([first], (24,), counted, [Y]) == (24,)
    assert common_rows([elementwise((4, 6), X, Y)], (4, 6), counted, [Y]) is None


def test_splitting_changes_nothing():
    before = nest(
        [24, 2],
        [operand(X, 1, 0)],
        [operand(buffer("out", 48), 2, 1)],
        [op("index", immediate=1), op("mulf", 0, 2)],
        [3],
    )
    after = copy.copy(before)
    after.inputs = [copy.copy(o) for o in before.inputs]
    after.outputs = [copy.copy(o) for o in before.outputs]
    split_leading(after, (4, 3))
    assert after.extents == (4, 3, 2, 2)
    assert after.inputs[0].strides == (6, 2, 1, 0)
    assert after.outputs[0].strides == (12, 4, 2, 1)
    assert after.code[0].immediate == 3
    results = []
    for one in (before, after):
        memory = Memory()
        memory[X][:] = np.arange(24)
        memory.run([one])
        results.append(memory[one.outputs[0].buffer])
    np.testing.assert_array_equal(*results)


def test_sums_over_neighbouring_loops_become_one():
    out = buffer("out", 2)
    before = nest([4, 3, 2], [operand(X, 6, 2, 1)], [operand(out, 0, 0, 1, initial=0.0)],
                  [op("index", immediate=2), op("mulf", 0, 2), op("addf", 1, 3)], [4],
                  summed=[0, 1])  # fmt: skip
    after = copy.copy(before)
    after.inputs = [copy.copy(o) for o in before.inputs]
    after.outputs = [copy.copy(o) for o in before.outputs]
    merge_sums(after)
    assert after.extents == (12, 2)
    results = []
    for one in (before, after):
        memory = Memory()
        memory[X][:] = np.arange(24)
        memory.run([one])
        results.append(memory[out].copy())
    np.testing.assert_array_equal(*results)


def test_sums_whose_operands_lie_otherwise_stay():
    out = buffer("out", 1)
    for strides, summed in (((1, 6, 0), [0, 1, 2]), ((6, 2, 1), [0, 2])):
        loops = nest([4, 6, 1], [operand(X, *strides)], [operand(out, 0, 0, 0, initial=0.0)],
                     [op("addf", 0, 1)], [2], summed=summed)  # fmt: skip
        merge_sums(loops)
        assert loops.extents[0] == 4
    counted = nest([4, 6], [operand(X, 6, 1)], [operand(out, 0, 0, initial=0.0)],
                   [op("index", immediate=1), op("addf", 2, 1)], [3], summed=[0, 1])  # fmt: skip
    merge_sums(counted)
    assert counted.extents == (4, 6)


def test_rows_keep_groups_of_terms():
    out = buffer("out", 1)
    sums = nest([24, 2], [operand(X, 1, 0)], [operand(out, 0, 0, initial=0.0)], [op("addf", 0, 1)],
                [2], summed=[0, 1])  # fmt: skip
    assert keeps_groups(sums, (24,))
    assert keeps_groups(sums, (3, 8))
    assert not keeps_groups(sums, (4, 6))
    assert keeps_groups(elementwise((4, 6), X, Y), (4, 6))
