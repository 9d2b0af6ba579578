"""Which nests run together on a tile of rows, and in which order kernels may run."""

from __future__ import annotations

import itertools

from hw_graphs import ORIGIN, buffer, double, nest, op, operand, total

from ssft.compiler.backends.hw.graph import Graph, GraphOp, Lookup, LoopNest, ScatterAdd
from ssft.compiler.backends.hw.kernels.form import VectorKernel, covers, form_kernels
from ssft.compiler.backends.hw.uses import buffers_read, buffers_written
from ssft.compiler.backends.hw.views import Factor, View

PLENTY = 1 << 20


def formed(*ops: GraphOp, budget: int = PLENTY) -> list[list[GraphOp]]:
    """The operations of each kernel, by their place in `ops`."""
    found = []
    for kernel in form_kernels(Graph(list(ops), [], [], []), budget):
        found.append(list(kernel.nests) if isinstance(kernel, VectorKernel) else [kernel.op])
    respects_order(list(ops), [op for kernel in found for op in kernel])
    return found


def respects_order(before: list[GraphOp], after: list[GraphOp]) -> None:
    """Whoever touches what another one writes still does so on the same side of it."""
    assert sorted(map(id, before)) == sorted(map(id, after))
    for one, other in itertools.combinations(before, 2):
        written = {id(b) for b in buffers_written(one)}
        read = {id(b) for b in buffers_read(one)}
        touched = {id(b) for b in [*buffers_read(other), *buffers_written(other)]}
        later = {id(b) for b in buffers_written(other)}
        if written & touched or read & later:
            assert after.index(one) < after.index(other)


def values(count: int, elements: int = 16):
    return [buffer(f"v{n}", elements) for n in range(count)]


def test_a_chain_is_one_kernel():
    a, b, c, d = values(4)
    assert len(formed(double(a, b), double(b, c), double(c, d))) == 1


def test_nests_without_a_common_value_are_apart():
    a, b, c, d = values(4)
    assert len(formed(double(a, b), double(c, d))) == 2


def test_a_sum_over_the_rows_is_complete_after_the_kernel():
    a, b, c = values(3)
    sum_ = buffer("sum", 1)
    spread = nest([16], [operand(sum_, 0), operand(b, 1)], [operand(c, 1)], [op("mulf", 0, 1)], [3])
    assert [len(kernel) for kernel in formed(double(a, b), total(b, sum_), spread)] == [2, 1]


def test_somebody_else_in_between_ends_a_kernel():
    """The scatter reads `b`; what joined the first kernel would run before or after it."""
    a, b, c, table = values(4)
    positions = View(buffer("list", 16, "argument", "i64"), 0, ((Factor(16, 1),),))
    scatter = ScatterAdd(ORIGIN, table, 16, 1, b, 0, positions, 16)
    kernels = formed(double(a, b), scatter, double(b, c))
    assert len(kernels) == 3


def test_a_kernel_is_not_moved_behind_what_overwrites_its_input():
    x = buffer("x", 16, "argument")
    a, b, c = values(3)
    kernels = formed(double(x, a), double(b, x), double(a, c))
    assert len(kernels) == 3


def test_what_an_argument_holds_after_a_write_is_read_by_another_kernel():
    x = buffer("x", 16, "argument")
    a, b = values(2)
    assert len(formed(double(a, x), double(x, b))) == 2


def turned(source, target) -> LoopNest:
    """A 4 x 4 transpose."""
    return nest([4, 4], [operand(source, 1, 4)], [operand(target, 4, 1)], [], [0])


def test_a_tile_does_not_overwrite_what_the_next_one_reads():
    x = buffer("x", 16, "argument")
    a, b = values(2)
    straight = nest([4, 4], [operand(x, 4, 1)], [operand(a, 4, 1)], [], [0])
    back = nest([4, 4], [operand(a, 4, 1)], [operand(x, 4, 1)], [], [0])
    assert len(formed(turned(x, a), back)) == 2
    assert len(formed(straight, back)) == 1
    assert len(formed(turned(a, b), double(b, x))) == 1


def test_elements_are_looked_up_in_what_is_complete():
    a, b, c = values(3)
    lookup = Lookup(b, 0, (16,), (1,), (None,))
    code = [op("index", immediate=0), op("extract", 2, immediate=0)]
    picked = nest([16], [operand(a, 1)], [operand(c, 1)], code, [3], lookups=[lookup])
    assert len(formed(double(a, b), picked)) == 2


def test_rows_that_are_looked_up_stay_in_no_row():
    a, b, c = values(3)
    positions = View(buffer("list", 16, "argument", "i64"), 0, ((Factor(16, 1),),))
    scattered = nest([16], [operand(c, 1)], [operand(b, 1, index=[positions])], [], [0])
    assert len(formed(double(a, b), scattered)) == 2


def test_parts_of_a_value_are_not_read_by_the_kernel_that_makes_one_of_them():
    """Half of `whole` comes from elsewhere."""
    a, b, c, whole = *values(3, 8), buffer("whole", 16)
    lower = nest([8], [operand(a, 1)], [operand(whole, 1)], [], [0])
    upper = nest([8], [operand(b, 1)], [operand(whole, 1, offset=8)], [], [0])
    halves = nest([2, 8], [operand(whole, 8, 1)], [operand(c, 0, 1, initial=0.0)],
                  [op("addf", 0, 1)], [2], summed=[0])  # fmt: skip
    kernels = formed(double(buffer("p", 8), a), double(buffer("q", 8), b), lower, upper, halves)
    assert [len(kernel) for kernel in kernels] == [2, 2, 1]


def test_updates_are_alone():
    a, b, c = values(3)
    update = double(b, c)
    update.optimizer = 0
    assert len(formed(double(a, b), update)) == 2


def test_rows_must_fit():
    a, b, c = values(3)
    assert len(formed(double(a, b), double(b, c), budget=12)) == 1
    assert len(formed(double(a, b), double(b, c), budget=11)) == 2


def test_covers():
    whole = buffer("whole", 16)
    lower = nest([8], [], [operand(whole, 1)], [], [0])
    upper = nest([4, 2], [], [operand(whole, 2, 1, offset=8)], [], [0])
    even = nest([8], [], [operand(whole, 2)], [], [0])
    assert not covers([lower], whole)
    assert not covers([lower, even], whole)
    assert covers([lower, upper], whole)
    assert covers([nest([16, 3], [], [operand(whole, 1, 0)], [], [0])], whole)
    assert not covers([], whole)
