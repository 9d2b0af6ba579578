"""bf16 in memory where only the tensor unit looks, and nowhere else."""

from __future__ import annotations

import numpy as np
from hw_graphs import ORIGIN, Memory, buffer, double, nest, op, operand, total

from ssft.compiler.backends.hw.graph import ContractionDim, ContractionOp, Graph
from ssft.compiler.backends.hw.kernels.storage import narrow_storage


def product(a, b, c, accumulate=False):
    """``c = a b`` of 4 x 4 matrices."""
    dims = (
        ContractionDim("m", 4, 4, 0, 4),
        ContractionDim("n", 4, 0, 1, 1),
        ContractionDim("k", 4, 1, 4, 0),
    )
    return ContractionOp(ORIGIN, dims, (a, 0), (b, 0), (c, 0), accumulate=accumulate)


def narrowed(ops, arguments=(), results=(), values=()):
    graph = Graph(list(ops), list(arguments), [(0, b) for b in results], list(values))
    narrow_storage(graph)
    return graph


def values(count):
    return [buffer(f"v{n}", 16) for n in range(count)]


def test_what_only_products_read():
    x, a, b, c, d = values(5)
    narrowed([double(x, a), product(a, b, c), product(c, b, d)], values=[x, a, b, c, d])
    assert [v.stored_as for v in (x, a, b, c, d)] == ["f32", "bf16", "bf16", "bf16", "f32"]


def test_what_somebody_else_reads():
    a, b, c, d = values(4)
    narrowed([product(a, b, c), double(a, d)], values=[a, b, c, d])
    assert a.stored_as == "f32"


def test_what_the_host_reads():
    a, b, c = values(3)
    narrowed([double(b, a), product(a, b, c)], results=[a], values=[a, b, c])
    assert a.stored_as == "f32"


def test_sums_that_are_put_together_from_tiles():
    a, b, c, d = values(4)
    narrowed([total(b, a), product(a, a, c, accumulate=True), product(c, c, d)],
             values=[a, b, c, d])  # fmt: skip
    assert a.stored_as == c.stored_as == "f32"


def test_other_types_stay():
    a = buffer("half", 16, dtype="bf16")
    narrowed([product(a, a, buffer("c", 16))], values=[a])
    assert a.storage is None


def test_numbers_of_the_plan_are_rounded():
    a, c = buffer("a", 16, "constant"), buffer("c", 16)
    a.data = np.full(16, 1 + 3 * 2.0**-8, np.float32)
    a.data[1:5] = [np.nan, np.inf, -0.0, 1 + 2.0**-8]
    narrowed([product(a, a, c)], values=[a, c])
    assert a.data.dtype == np.uint16
    assert a.data.nbytes == a.bytes
    wide = (a.data.astype(np.uint32) << 16).view(np.float32)
    assert wide[0] == wide[5] == 1 + 2.0**-6
    assert np.isnan(wide[1])
    assert wide[2] == np.inf
    assert np.signbit(wide[3])
    assert wide[4] == 1  # to even


def test_a_parameter_that_trains_has_a_mirror():
    w, a, c, g = buffer("w", 16, "argument"), *values(3)
    w.argument = 3
    update = nest([16], [operand(w, 1), operand(g, 1)], [operand(w, 1)], [op("subf", 0, 1)], [3])
    multiply = product(a, w, c)
    graph = narrowed([multiply, update], arguments=[w], values=[a, c, g])
    copy = graph.arguments[-1]
    assert (w.stored_as, copy.stored_as, copy.mirror, copy.argument) == ("f32", "bf16", 3, None)
    assert multiply.b[0] is copy
    assert [o.buffer for o in update.outputs] == [w, copy]
    memory = Memory()
    memory[w][:], memory[g][:] = 5, np.arange(16)
    memory.run([update])
    np.testing.assert_array_equal(memory[w], 5 - np.arange(16))
    np.testing.assert_array_equal(memory[copy], memory[w])


def test_a_parameter_that_a_product_writes_has_none():
    w, a, c = buffer("w", 16, "argument"), *values(2)
    graph = narrowed([product(a, w, c), product(a, c, w)], arguments=[w], values=[a, c])
    assert len(graph.arguments) == 1
    assert w.stored_as == "f32"
