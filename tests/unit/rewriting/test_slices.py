"""What `take` takes is what the selectors name, and `put` puts it back there and nowhere else."""

from __future__ import annotations

import numpy as np

from ssft.compiler.analysis import step as step_ir
from ssft.compiler.rewriting.slices import put, take
from ssft.compiler.tiles import Indices, Range, Selector
from ssft.dialects._mlir import ir

from .conftest import append_results, find_step, run

SHAPE = (4, 6, 3)
STEP = """
func.func @step(
    %dest: tensor<4x6x3xf64> {ssft.role = "input", ssft.name = "dest"},
    %other: tensor<4x6x3xf64> {ssft.role = "input", ssft.name = "other"},
    %scalar: tensor<f64> {ssft.role = "input", ssft.name = "scalar"}
) -> (tensor<f64> {ssft.role = "loss"}) {
  %two = arith.constant 2.0 : f64
  %empty = tensor.empty() : tensor<4x6x3xf64>
  %filled = linalg.fill ins(%two : f64) outs(%empty : tensor<4x6x3xf64>) -> tensor<4x6x3xf64>
  return %scalar : tensor<f64>
}
"""
# All combinations of what one dimension can have, on the first two dimensions, and some more.
ROWS: list[Selector] = [None, Range(1, 2), Indices((0, 2)), Indices((3,))]
COLUMNS: list[Selector] = [None, Range(0, 1), Range(2, 4), Indices((1, 2, 5))]
CASES: list[tuple[Selector, ...]] = [(row, column, None) for row in ROWS for column in COLUMNS]
CASES += [(None, None, Indices((0, 2))), (Indices((1, 3)), Range(1, 3), Indices((2,)))]


def index_of(selectors: tuple[Selector, ...]) -> tuple[np.ndarray, ...]:
    positions = [
        np.arange(size) if selector is None else np.array(selector.positions)
        for selector, size in zip(selectors, SHAPE, strict=True)
    ]
    return np.ix_(*positions)


def test_take_and_put(parse):
    module = parse(STEP)
    step = find_step(module)
    dest, other, _ = step_ir.body(step).arguments
    results: list[ir.Value] = []
    with module.context, step.location, ir.InsertionPoint(step_ir.terminator(step)):
        for selectors in CASES:
            part = take(other, selectors)
            results += [part, put(dest, part, selectors)]
    append_results(module, results)
    assert module.operation.verify()
    random = np.random.default_rng(0)
    arrays = {name: random.standard_normal(SHAPE) for name in ("dest", "other")}
    _, *found = run(module, arrays | {"scalar": np.zeros(())})
    for selectors, part, whole in zip(CASES, found[::2], found[1::2], strict=True):
        index = index_of(selectors)
        np.testing.assert_array_equal(part, arrays["other"][index], err_msg=str(selectors))
        expected = arrays["dest"].copy()
        expected[index] = arrays["other"][index]
        np.testing.assert_array_equal(whole, expected, err_msg=str(selectors))


def test_what_is_alike_everywhere_is_made_at_the_slices_size(parse):
    module = parse(STEP)
    step = find_step(module)
    filled = next(op for op in step_ir.operations(step) if op.name == "linalg.fill").results[0]
    empty = next(op for op in step_ir.operations(step) if op.name == "tensor.empty").results[0]
    with module.context, step.location, ir.InsertionPoint(step_ir.terminator(step)):
        for value in (filled, empty):
            part = take(value, (Range(1, 2), None, Indices((0, 2))))
            assert part.owner.name == value.owner.name
            assert step_ir.shape_of(part) == [2, 6, 2]


def test_everything_is_the_value_itself(parse):
    module = parse(STEP)
    step = find_step(module)
    dest, other, _ = step_ir.body(step).arguments
    with module.context, step.location, ir.InsertionPoint(step_ir.terminator(step)):
        assert take(other, (None, None, None)) == other
        assert put(dest, other, (None, None, None)) == other
