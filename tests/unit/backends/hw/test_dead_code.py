"""What nobody needs goes, and nothing else."""

from __future__ import annotations

import numpy as np
from hw_graphs import Memory, buffer, double, nest, op, operand

from ssft.compiler.backends.hw.graph import Graph
from ssft.compiler.backends.hw.kernels.dead_code import remove_dead_code

X, Y = (buffer(name, 6, "argument") for name in "xy")


def cleaned(ops, results, arguments=(X, Y)) -> Graph:
    graph = Graph(list(ops), list(arguments), [(n, b) for n, b in enumerate(results)], [])
    remove_dead_code(graph)
    return graph


def test_chains_that_lead_nowhere():
    a, b, c = (buffer(n, 6) for n in "abc")
    kept = double(X, a)
    assert cleaned([kept, double(a, b), double(b, c)], [a]).ops == [kept]


def test_writes_to_arguments_stay():
    write = double(X, Y)
    assert cleaned([write], []).ops == [write]


def two_results(first, second):
    """``first = x * x; second = x + y``."""
    return nest([6], [operand(X, 1), operand(Y, 1)], [operand(first, 1), operand(second, 1)],
                [op("mulf", 0, 0), op("addf", 0, 1)], [4, 5])  # fmt: skip


def test_a_result_of_two():
    a, b = buffer("a", 6), buffer("b", 6)
    (found,) = cleaned([two_results(a, b)], [a]).ops
    assert [o.buffer for o in found.outputs] == [a]
    assert [o.buffer for o in found.inputs] == [X]
    assert [one.name for one in found.code] == ["mulf"]
    memory = Memory()
    memory[X][:] = np.arange(6)
    memory.run([found])
    np.testing.assert_array_equal(memory[a], np.arange(6) ** 2)
    (found,) = cleaned([two_results(a, b)], [b]).ops
    memory[Y][:] = 5
    memory.run([found])
    np.testing.assert_array_equal(memory[b], np.arange(6) + 5)


def running(needed_by_other: bool):
    """A sum, and a count that either steps by one or by the sum so far."""
    total, count = buffer("total", 1), buffer("count", 1)
    step = 1 if needed_by_other else 3
    code = [op("addf", 0, 1), op("constant", immediate=1.0), op("addf", 2, 3 if step == 1 else 4)]
    outputs = [operand(total, 0, initial=0.0), operand(count, 0, initial=0.0)]
    if step != 1:
        code[-1] = op("addf", 2, 4)
    loops = nest([6], [operand(X, 1)], outputs, code, [3, 5], summed=[0])
    return loops, total, count


def test_a_sum_that_only_feeds_itself_goes():
    loops, _, count = running(needed_by_other=False)
    (found,) = cleaned([loops], [count]).ops
    assert [o.buffer for o in found.outputs] == [count]
    assert found.inputs == []
    memory = Memory()
    memory.run([found])
    assert memory[count][0] == 6


def test_a_sum_that_feeds_another_result_stays():
    loops, _, count = running(needed_by_other=True)
    (found,) = cleaned([loops], [count]).ops
    assert len(found.outputs) == 2
    memory = Memory()
    memory[X][:] = [1, 2, 3, 4, 5, 6]
    memory.run([found])
    assert memory[count][0] == 1 + 3 + 6 + 10 + 15 + 21


def test_what_feeds_what_feeds_a_result_stays():
    """A counter that is added to a sum that is added to the result."""
    counter, total, result = (buffer(n, 1) for n in ("counter", "total", "result"))
    code = [
        op("constant", immediate=1.0),
        op("addf", 0, 3),
        op("addf", 1, 0),
        op("addf", 2, 1),
    ]
    outputs = [operand(b, 0, initial=0.0) for b in (counter, total, result)]
    loops = nest([6], [], outputs, code, [4, 5, 6], summed=[0])
    (found,) = cleaned([loops], [result]).ops
    memory = Memory()
    memory.run([found])
    assert memory[result][0] == sum([0, 0, 1, 3, 6, 10])


def test_inputs_of_dead_code_free_their_makers():
    a, b = buffer("a", 6), buffer("b", 6)
    loops = nest([6], [operand(a, 1), operand(X, 1)], [operand(b, 1)],
                 [op("mulf", 0, 0), op("addf", 1, 1)], [4])  # fmt: skip
    found = cleaned([double(X, a), loops], [b])
    assert len(found.ops) == 1
    assert found.ops[0].results == [2]
