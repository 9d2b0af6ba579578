"""Results go straight to where they belong, unless somebody would notice."""

from __future__ import annotations

import numpy as np
import pytest
from hw_graphs import ORIGIN, Memory, buffer, double, nest, op, operand, total

from ssft.compiler.backends.hw.graph import ContractionDim, ContractionOp, Graph, Lookup, Store
from ssft.compiler.backends.hw.kernels.homes import write_results_home
from ssft.compiler.backends.hw.views import Buffer, Factor, View, permuted, sliced, whole

SHAPE = (4, 6)


def tensor(name: str, kind: str = "value") -> Buffer:
    return buffer(name, 24, kind)


def whole_of(memory: Buffer) -> View:
    return whole(memory, SHAPE)


def sent_home(*ops) -> list:
    graph = Graph(list(ops), [], [], [])
    write_results_home(graph)
    return graph.ops


def make(source, target, strides=(6, 1)):
    return nest(SHAPE, [operand(source, 6, 1)], [operand(target, *strides)],
                [op("addf", 0, 0)], [2])  # fmt: skip


def stored(value, target) -> Store:
    return Store(ORIGIN, whole_of(value), whole_of(target))


def test_a_value_is_computed_in_place():
    x, v, y = tensor("x"), tensor("v"), tensor("y", "argument")
    (found,) = sent_home(make(x, v), stored(v, y))
    memory = Memory()
    memory[x][:] = np.arange(24)
    memory.run([found])
    np.testing.assert_array_equal(memory[y], 2 * np.arange(24))


def test_through_views():
    """Rows of the value are every other column of a larger, transposed target."""
    x, v, y = tensor("x"), tensor("v"), buffer("y", 80, "argument")
    target = sliced(permuted(whole(y, (8, 10)), [1, 0]), [3, 1], [4, 6], [2, 1])
    assert target is not None
    (found,) = sent_home(make(x, v), Store(ORIGIN, whole_of(v), target))
    memory = Memory()
    memory[x][:], memory[y][:] = np.arange(24), -1
    memory.run([found])
    expected = np.full((8, 10), -1)
    expected.T[3:10:2, 1:7] = 2 * np.arange(24).reshape(SHAPE)
    np.testing.assert_array_equal(memory[y].reshape(8, 10), expected)


@pytest.mark.parametrize("reader", ["value", "target"])
def test_not_if_somebody_reads_in_between_or_later(reader):
    x, v, y, z = tensor("x"), tensor("v"), tensor("y", "argument"), tensor("z")
    read = double(v if reader == "value" else y, z)
    assert len(sent_home(make(x, v), read, stored(v, y))) == 3


def test_not_if_somebody_writes_in_between():
    x, v, y = tensor("x"), tensor("v"), tensor("y", "argument")
    assert len(sent_home(make(x, v), double(x, y), stored(v, y))) == 3


def test_not_a_sum():
    x, v, y = tensor("x"), buffer("v", 1), buffer("y", 1, "argument")
    assert len(sent_home(total(x, v), Store(ORIGIN, whole(v, ()), whole(y, ())))) == 2


def test_in_place_if_each_element_depends_on_itself():
    v, y = tensor("v"), tensor("y", "argument")
    assert len(sent_home(make(y, v), stored(v, y))) == 1


def test_not_over_what_other_iterations_read():
    """A transpose, a neighbour, a table that is looked up."""
    v, y = tensor("v"), tensor("y", "argument")
    turned = nest((4, 4), [operand(y, 1, 4)], [operand(v, 4, 1)], [], [0])
    square = Store(ORIGIN, whole(v, (4, 4)), whole(y, (4, 4)))
    v.elements = 16
    assert len(sent_home(turned, square)) == 2
    v.elements = 24
    shifted = nest(SHAPE, [operand(y, 6, 1, offset=1)], [operand(v, 6, 1)], [], [0])
    assert len(sent_home(shifted, stored(v, y))) == 2
    lookup = Lookup(y, 0, (24,), (1,), (None,))
    code = [op("index", immediate=0), op("extract", 1, immediate=0)]
    picked = nest(SHAPE, [], [operand(v, 6, 1)], code, [2], lookups=[lookup])
    assert len(sent_home(picked, stored(v, y))) == 2


def test_not_if_the_value_is_picked_by_a_list():
    x, v, y = tensor("x"), tensor("v"), tensor("y", "argument")
    rows = View(buffer("list", 4, "argument", "i64"), 0, ((Factor(4, 1),),))
    picked = View(v, 0, ((Factor(4, 6, rows, 4),), (Factor(6, 1),)))
    assert len(sent_home(make(x, v), Store(ORIGIN, picked, whole_of(y)))) == 2


def test_rows_of_a_target_by_a_list():
    x, v, y = tensor("x"), tensor("v"), buffer("y", 60, "argument")
    rows = View(buffer("list", 4, "argument", "i64"), 0, ((Factor(4, 1),),))
    target = View(y, 0, ((Factor(4, 6, rows, 10),), (Factor(6, 1),)))
    (found,) = sent_home(make(x, v), Store(ORIGIN, whole_of(v), target))
    memory = Memory()
    memory[x][:], memory[y][:], memory[rows.buffer][:] = np.arange(24), -1, [7, 0, 9, 3]
    memory.run([found])
    np.testing.assert_array_equal(
        memory[y].reshape(10, 6)[[7, 0, 9, 3]], 2 * np.arange(24).reshape(SHAPE)
    )


def product(a, b, c) -> ContractionOp:
    dims = (
        ContractionDim("m", 4, 6, 0, 6),
        ContractionDim("n", 6, 0, 1, 1),
        ContractionDim("k", 6, 1, 6, 0),
    )
    return ContractionOp(ORIGIN, dims, (a, 0), (b, 0), (c, 0))


def test_products_write_home_but_not_over_their_factors():
    a, b, v, y = tensor("a"), buffer("b", 36), tensor("v"), tensor("y", "argument")
    (found,) = sent_home(product(a, b, v), stored(v, y))
    assert found.c == (y, 0)
    assert len(sent_home(product(y, b, v), stored(v, y))) == 2
